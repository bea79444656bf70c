// The tests take the built script as pages do, so they need nothing but Node.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runInThisContext } from "node:vm";

const root = new URL("../../", import.meta.url);

runInThisContext(readFileSync(new URL("nerfsem_method/web/viewer.js", root), "utf8"));

export const { decode, symbolHash, Refused } = globalThis.nerfsem;

const golden = new URL("tests/golden/", root);

/** Return the golden bundles: names, bytes, and what is known of them. */
export function goldenBundles() {
  const names = readdirSync(golden).filter((name) => name.endsWith(".nsem")).map((name) => name.slice(0, -5));
  return names.map((name) => ({
    name,
    data: new Uint8Array(readFileSync(new URL(`${name}.nsem`, golden))),
    facts: JSON.parse(readFileSync(new URL(`${name}.json`, golden), "utf8")),
  }));
}

export function hex(bytes) {
  return Buffer.from(bytes).toString("hex");
}

/** Return the path of a file beside the tests. */
export function beside(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}
