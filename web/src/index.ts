// The script defines <nerfsem-viewer> where there is a page, and leaves the decoder to other scripts as `nerfsem`.

import { decode, symbolHash } from "./decoder/bundle";
import { Refused } from "./decoder/refused";
import { register } from "./view/loader";

declare const VERSION: string;

/** These are for other scripts: `register` is what the scripts call that `nerfsem publish` writes. */
const nerfsem = { version: VERSION, decode, symbolHash, Refused, register };

Object.assign(globalThis, { nerfsem });

// Node has no elements to extend, so the viewer is loaded where there are some.
if ("customElements" in globalThis) {
  const { Viewer } = require("./view/element") as typeof import("./view/element");
  if (!customElements.get("nerfsem-viewer")) customElements.define("nerfsem-viewer", Viewer);
}
