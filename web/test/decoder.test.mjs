// The decoder reads the golden bundles as every decoder does, and refuses by name what is none.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { goldenBundles, decode, hex, Refused, symbolHash } from "./viewer.mjs";
import { crc32, joined, sectionsOf } from "./sections.mjs";

const bundles = goldenBundles();
const tiny = bundles.find(({ name }) => name === "dense-pc").data;
const zoomed = bundles.find(({ name }) => name === "zoomed-fp").data;
const sharp = bundles.find(({ name }) => name === "sharp-pc").data;

function refusal(data) {
  try {
    decode(data);
  } catch (error) {
    if (error instanceof Refused) return error.message;
    throw error;
  }
  return "decoded";
}

/** Return a bundle with a section's payload changed and its checksum right. */
function withSection(data, tag, change) {
  return joined(data, sectionsOf(data).map((part) => (part.tag === tag ? { tag, payload: change(part.payload) } : part)));
}

for (const { name, data, facts } of bundles) {
  test(`the symbols of ${name} are the golden ones`, () => {
    const bundle = decode(data);
    assert.equal(hex(symbolHash(bundle.tables)), facts.symbols);
    const stream = bundle.background && createHash("sha256").update(bundle.background).digest("hex");
    assert.equal(stream ?? undefined, facts.background);
    assert.equal(bundle.cameras.poses.length, bundle.spec.frames);
  });
}

test("a filter has the weights that were written", () => {
  const { filter } = decode(sharp);
  assert.equal(filter.width, 5);
  filter.first.integers.forEach((value, i) => assert.equal(value, Math.round(60 * Math.sin(1.7 * i))));
  filter.second.integers.forEach((value, i) => assert.equal(value, Math.round(50 * Math.sin(2.3 * i + 1))));
  assert.deepEqual([filter.first.unit, filter.second.unit, filter.second.integers.length], [2 ** -6, 2 ** -9, 180]);
  assert.equal(decode(tiny).filter, null);
});

test("a filter that no encoder writes is refused", () => {
  assert.match(refusal(withSection(sharp, "FILT", () => new Uint8Array(40))), /filter is out of range/);
  assert.match(refusal(withSection(sharp, "FILT", () => new Uint8Array(40).fill(255))), /filter is out of range/);
  assert.match(refusal(withSection(sharp, "FILT", (payload) => payload.subarray(0, 60))), /section ends too early/);
});

test("frames have the zooms that were written", () => {
  const zooms = [...decode(zoomed).cameras.zooms];
  const written = [1.7, 1, 0.6, 1, 1, 1.7].map((zoom) => Math.round(zoom * 8192) / 8192);
  assert.deepEqual(zooms, written);
  assert.deepEqual([...decode(tiny).cameras.zooms], [1, 1, 1, 1, 1, 1]);
});

test("zooms that no encoder writes are refused", () => {
  for (const fill of [0, 255]) {
    assert.match(refusal(withSection(zoomed, "ZOOM", () => new Uint8Array(40).fill(fill))), /out of range/);
  }
  assert.match(refusal(withSection(zoomed, "ZOOM", (payload) => payload.subarray(0, 3))), /section ends too early|out of range/);
});

test("a background that is a network is checked, and not painted", () => {
  const { data } = bundles.find(({ name }) => name === "neural-pc");
  const { background, painted } = decode(data);
  assert.ok(painted && background === null && !decode(tiny).painted);
  assert.match(refusal(withSection(data, "HNRV", (payload) => payload.subarray(0, 40))), /ends/);
  assert.match(refusal(withSection(data, "HNRV", (payload) => payload.map((byte) => byte ^ 255))), /background/);
  const back = sectionsOf(tiny).find(({ tag }) => tag === "BACK");
  assert.match(refusal(joined(data, [...sectionsOf(data).slice(0, -1), back, sectionsOf(data).at(-1)])), /two backgrounds/);
});

test("a residual is known, and passed over", () => {
  const { data } = bundles.find(({ name }) => name === "residual-fp");
  assert.ok(decode(data).residual && !decode(tiny).residual);
});

test("progress goes from little to all", () => {
  const heard = [];
  decode(tiny, { progress: (share) => heard.push(share) });
  assert.ok(heard.length > 1 && heard.every((share, i) => share > (heard[i - 1] ?? 0)) && heard.at(-1) > 0.99);
});

test("a file that is cut anywhere is refused", () => {
  for (let length = 0; length < tiny.length; length += 7) assert.match(refusal(tiny.subarray(0, length)), /ends early/);
});

test("every changed byte is noticed", () => {
  for (let at = 0; at < tiny.length; at += 11) {
    const damaged = tiny.slice();
    damaged[at] ^= 16;
    assert.notEqual(refusal(damaged), "decoded", `byte ${at}`);
  }
});

test("other versions, flags and sections are refused by name", () => {
  const version = tiny.slice();
  version[8] = 2;
  assert.match(refusal(version), /version 2/);
  const flags = tiny.slice();
  flags[11] = 1;
  assert.match(refusal(flags), /flags/);
  const parts = sectionsOf(tiny);
  const extra = (tag) => joined(tiny, [{ tag, payload: Uint8Array.of(1, 2) }, ...parts]);
  assert.match(refusal(extra("NEWS")), /NEWS is of a newer version/);
  assert.match(refusal(extra("SPEC")), /SPEC occurs twice/);
  assert.match(refusal(joined(tiny, parts.filter(({ tag }) => tag !== "CAMS"))), /CAMS is missing/);
  assert.equal(refusal(extra("news")), "decoded");
});

test("sections may come in any order", () => {
  const parts = sectionsOf(tiny);
  const end = parts.pop();
  assert.equal(refusal(joined(tiny, [...parts.reverse(), end])), "decoded");
});

test("signs that are not those that were written are refused", () => {
  assert.match(refusal(withSection(tiny, "HASH", (hash) => hash.map((byte) => byte ^ 1))), /signs are not those/);
});

test("a short file cannot ask for much work", () => {
  // A level of 1024^3 vertices is beyond all limits; one of 200^3 in a full occupancy is so beside few bytes of signs.
  const shapes = [8, 8, 16, 32, 8, 1, 3, 2, 0, 1, 16];
  const spec = (level, plane) => Uint8Array.of(6, 10, 1, 0, ...new Uint8Array(32), 1, ...level, 1, ...plane, ...shapes);
  const huge = withSection(tiny, "SPEC", () => spec([128, 8, 1], [4, 1]));
  assert.match(refusal(huge), /larger than any/);
  const many = joined(tiny, sectionsOf(tiny).map(({ tag, payload }) => {
    const forged = { SPEC: spec([200, 1, 1], [4, 1]), OCCU: new Uint8Array(900).fill(255), GRID: new Uint8Array(100) };
    for (const each of ["HEAD", "CTXT"]) forged[each] = new Uint8Array(500);
    return tag === "BACK" ? { tag: "back", payload } : { tag, payload: forged[tag] ?? payload };
  }));
  const before = process.memoryUsage().arrayBuffers;
  assert.match(refusal(many), /more vertices than one of its size/);
  assert.ok(process.memoryUsage().arrayBuffers - before < 64e6);
});

test("metadata is read, and is no reason to show nothing", () => {
  const described = (text) => joined(tiny, [{ tag: "meta", payload: new TextEncoder().encode(text) }, ...sectionsOf(tiny)]);
  assert.deepEqual({ ...decode(described('{"title":"Amphora","rights":"CC0"}')).metadata }, { title: "Amphora", rights: "CC0" });
  for (const text of ["[", "3", "null", '{"title":3}']) assert.deepEqual({ ...decode(described(text)).metadata }, {});
});

test("checksums are those of ISO 3309", () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
});
