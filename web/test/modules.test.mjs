// What no golden bundle reaches is tested on the modules themselves, where the bundler is installed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { beside, decode, goldenBundles } from "./viewer.mjs";

const esbuild = await import("esbuild").catch(() => null);
const skip = esbuild ? false : "esbuild is not installed; run npm ci in web/";

async function load(module) {
  const { outputFiles } = await esbuild.build({
    entryPoints: [beside(`../src/${module}`)], bundle: true, format: "esm", write: false, platform: "node",
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}

test("means of logits are exact beyond 2^53", { skip }, async () => {
  const { WeightedMean } = await load("decoder/grid.ts");
  const mean = new WeightedMean(1);
  let [sum, total] = [0n, 0n];
  for (let i = 1; i < 4000; i++) {
    const [weight, logit] = [2 ** 24 - 977 * i, (i % 3 ? -1 : 1) * (2 ** 32 - 123457 * i)];
    mean.add(weight, Float64Array.of(logit));
    sum += BigInt(weight) * BigInt(logit);
    total += BigInt(weight);
  }
  const floor = sum / total - (sum % total < 0n ? 1n : 0n);
  assert.equal(BigInt(mean.of(0)), floor);
});

test("boxes of the occupancy are counted as by hand", { skip }, async () => {
  const { BoxSums } = await load("decoder/occupancy.ts");
  const counts = Array.from({ length: 4 * 5 * 6 }, (_, i) => (i * i) % 3);
  const sums = new BoxSums(counts, [4, 5, 6]);
  let byHand = 0;
  for (let x = 1; x < 4; x++) for (let y = 2; y < 5; y++) for (let z = 0; z < 4; z++) byHand += counts[(x * 5 + y) * 6 + z];
  assert.equal(sums.over(1, 4, 2, 5, 0, 4), byHand);
});

test("chessboard distances are those of a search", { skip }, async () => {
  const { spaceOf } = await load("render/space.ts");
  const side = 9;
  const voxels = new Uint8Array(side ** 3);
  const full = [[1, 2, 3], [7, 7, 0]];
  for (const [x, y, z] of full) voxels[(x * side + y) * side + z] = 1;
  const { distances, low, high } = spaceOf({ side, voxels });
  for (let at = 0; at < side ** 3; at++) {
    const place = [Math.floor(at / side / side), Math.floor(at / side) % side, at % side];
    const nearest = Math.min(...full.map((one) => Math.max(...one.map((value, axis) => Math.abs(value - place[axis])))));
    assert.equal(distances[at], nearest);
  }
  assert.deepEqual([low, high], [[1, 2, 0].map((v) => v / side), [8, 8, 4].map((v) => v / side)]);
});

test("streams are cut into a picture a frame, whose first is a key, and are named as browsers name them", { skip }, async () => {
  const { cut } = await load("view/streams.ts");
  const names = { "dense-pc": /^avc1\.64000a$/, "hevc-pc": /^hev1\.1\.6\.L30\.B0$/, "obus-pc": /^av01\.0\.00M\.08$/ };
  for (const [golden, expected] of Object.entries(names)) {
    const { background, codec, spec } = decode(goldenBundles().find(({ name }) => name === golden).data);
    const { name, pictures } = cut(background, codec);
    assert.match(name, expected);
    assert.equal(pictures.length, spec.frames);
    assert.deepEqual(pictures.map(({ type }) => type), ["key", ...Array(spec.frames - 1).fill("delta")]);
    assert.equal(pictures.reduce((sum, { data }) => sum + data.length, 0), background.length);
    const end = { BACK: [0, 0, 1], HEVC: [0, 0, 1], OBUS: [0x12, 0] }[codec];
    for (const { data } of pictures) assert.deepEqual([...data.subarray(0, end.length)], end);
    const late = Uint8Array.of(...pictures[1].data, ...background); // A decoder would throw at its first picture.
    assert.equal(cut(late, codec).name, null);
    assert.equal(cut(late.subarray(0, 0), codec).name, null);
  }
});

test("the free view stays upright and within its bounds", { skip }, async () => {
  const { Orbit } = await load("view/orbit.ts");
  const { spaceOf } = await load("render/space.ts");
  const bundle = decode(goldenBundles().find(({ name }) => name === "vase").data);
  const orbit = new Orbit(bundle, spaceOf(bundle.occupancy));
  for (const [right, up] of [[0, 0], [1, 100], [2, -100]]) {
    orbit.turn(right, up);
    const { rotation: R } = orbit.view(300, 500);
    const dot = (a, b) => [0, 1, 2].reduce((sum, i) => sum + R[3 * a + i] * R[3 * b + i], 0);
    for (let a = 0; a < 3; a++) for (let b = 0; b < 3; b++) assert.ok(Math.abs(dot(a, b) - (a === b ? 1 : 0)) < 1e-9);
    assert.ok(Math.abs(R[2]) < 0.02, "the horizon is level");
    assert.ok(Math.abs(R[8]) < Math.sin((85.1 * Math.PI) / 180), "nobody looks straight down");
  }
});

test("the first free view stands where the first frame's camera stood", { skip }, async () => {
  const { Orbit } = await load("view/orbit.ts");
  const { spaceOf } = await load("render/space.ts");
  const { placeOf } = await load("view/cameras.ts");
  const bundle = decode(goldenBundles().find(({ name }) => name === "vase").data);
  const there = placeOf(new Orbit(bundle, spaceOf(bundle.occupancy)).view(300, 500));
  placeOf(bundle.cameras.poses[0]).forEach((value, axis) => assert.ok(Math.abs(value - there[axis]) < 1e-9));
});

test("a frame's view has the focal lengths of its own lens, and the free view those of the camera", { skip }, async () => {
  const { frameView, fittedView } = await load("view/cameras.ts");
  const bundle = decode(goldenBundles().find(({ name }) => name === "zoomed-fp").data);
  const [fx, fy, cx, cy] = bundle.cameras.camera.intrinsics;
  bundle.cameras.zooms.forEach((zoom, index) => {
    assert.deepEqual([...frameView(bundle, index).lens], [zoom * fx, zoom * fy, cx, cy]);
    assert.deepEqual([...fittedView(bundle, index, 48, 64).lens], [2 * zoom * fx, 2 * zoom * fy, 2 * cx, 2 * cy]);
  });
  const { Orbit } = await load("view/orbit.ts");
  const { spaceOf } = await load("render/space.ts");
  const free = new Orbit(bundle, spaceOf(bundle.occupancy)).view(24, 32);
  assert.equal(free.lens[0], Math.min(fx, fy));
});
