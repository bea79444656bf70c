// A bundle comes from an address, or from a script beside it where a page lies on a disk, and is decoded in a worker.

import { type Bundle, decode, type Listener, type Recipe } from "../decoder/bundle";
import { Refused } from "../decoder/refused";
import { type Space, spaceOf } from "../render/space";
import workerSource from "worker:../worker.ts";

export interface Decoded {
  readonly bundle: Bundle;
  readonly space: Space;
}

/** The worker answers with the recipe, its progress, and at last with what it decoded or with a reason. */
export type Answer =
  | { recipe: Recipe }
  | { progress: number }
  | { decoded: Decoded }
  | { refused: string };

const LARGEST = 2 ** 28;

/** These bundles were brought along by scripts, in base64, by their file names: `nerfsem publish` writes such scripts. */
const registered = new Map<string, string>();

/** Keep a bundle for pages that may not read files beside them. */
export function register(name: string, base64: string): void {
  registered.set(name, base64);
}

/** Return the bytes at an address. Throws Refused where there is nothing, or more than any bundle has. */
export async function fetchBytes(address: string, signal: AbortSignal): Promise<Uint8Array> {
  const url = new URL(address, document.baseURI);
  if (url.protocol === "file:") return fromScript(url);
  const response = await fetch(url, { signal }).catch((error) => {
    if (signal.aborted) throw error;
    throw new Refused(`${address} cannot be fetched`);
  });
  if (!response.ok) throw new Refused(`${address} cannot be fetched: the server says ${response.status}`);
  const data = new Uint8Array(await response.arrayBuffer());
  if (data.length > LARGEST) throw new Refused(`${address} is larger than any bundle that is played`);
  return data;
}

/** Browsers let a page on a disk run the scripts beside it, but not read the files. */
async function fromScript(url: URL): Promise<Uint8Array> {
  const name = decodeURIComponent(url.pathname.slice(url.pathname.lastIndexOf("/") + 1));
  if (!registered.has(name)) {
    const script = document.createElement("script");
    script.src = `${url.href}.js`;
    const loaded = new Promise((resolve) => (script.onload = script.onerror = resolve));
    document.head.append(script);
    await loaded;
    script.remove();
  }
  const base64 = registered.get(name);
  if (base64 === undefined) throw new Refused(`${name} cannot be read from a disk without ${name}.js beside it`);
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** Decode a bundle. Rejects with Refused, with the reason; an abort ends the worker. */
export function decodeAside(data: Uint8Array, listener: Listener, signal: AbortSignal): Promise<Decoded> {
  const address = URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" }));
  const worker = new Worker(address);
  let alive = false;
  return new Promise<Decoded>((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    // A page's policy may forbid workers of this kind: then the page waits for its own decoding.
    worker.onerror = () => (alive ? reject(new Refused("the decoder failed")) : resolve(decodeHere(data, listener)));
    worker.onmessage = ({ data: answer }: MessageEvent<Answer>) => {
      alive = true;
      try {
        if ("recipe" in answer) listener.recipe?.(answer.recipe);
        else if ("progress" in answer) listener.progress?.(answer.progress);
        else if ("decoded" in answer) resolve(answer.decoded);
        else reject(new Refused(answer.refused));
      } catch (error) {
        reject(error);
      }
    };
    worker.postMessage(data);
  }).finally(() => {
    worker.terminate();
    URL.revokeObjectURL(address);
  });
}

async function decodeHere(data: Uint8Array, listener: Listener): Promise<Decoded> {
  await new Promise((resolve) => setTimeout(resolve)); // What the page shows until now is painted first.
  const bundle = decode(data, listener);
  return { bundle, space: spaceOf(bundle.occupancy) };
}
