// Damaged bundles end as they end in the Python decoder: refused, or with the same symbols. A test in Python makes the cases.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { decode, hex, Refused, symbolHash } from "./viewer.mjs";

const folder = process.env.NERFSEM_CASES;
const skip = folder ? false : "NERFSEM_CASES names no folder of cases; tests/test_web_viewer.py makes one";

function verdict(data) {
  try {
    return hex(symbolHash(decode(data).tables));
  } catch (error) {
    if (error instanceof Refused && error.message) return "refused";
    throw error;
  }
}

test("every case ends as in Python", { skip }, () => {
  const expected = JSON.parse(readFileSync(join(folder, "verdicts.json"), "utf8"));
  const read = (name) => new Uint8Array(readFileSync(join(folder, name)));
  const found = Object.fromEntries(Object.keys(expected).map((name) => [name, verdict(read(name))]));
  assert.deepEqual(found, expected);
});
