import { decode, symbolHash } from "./decoder/bundle";
import { Refused } from "./decoder/refused";
import { decodeAside, register } from "./view/loader";
import { Renderer } from "./render/renderer";
import { pictureOf } from "./view/picture";
declare const VERSION: string;
const api = { version: VERSION, decode, symbolHash, Refused, register, decodeAside, Renderer, pictureOf };
Object.assign(globalThis, { nerfsem: api });
