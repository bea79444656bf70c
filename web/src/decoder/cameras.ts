// CAMS holds the camera, a pose and gains for each frame, ZOOM how many times its focal length (FORMAT.md, section 4).

import type { Decoder } from "./coder";
import { demand } from "./refused";

export interface Camera {
  readonly width: number;
  readonly height: number;
  /** These are fx, fy, cx, cy in pixels. */
  readonly intrinsics: readonly [number, number, number, number];
  /** These are k1, k2, p1, p2. */
  readonly distortion: readonly [number, number, number, number];
}

/** A pose takes points of the world to the camera: `rotation` (9 numbers, row by row) and `translation`. */
export interface Pose {
  readonly rotation: readonly number[];
  readonly translation: readonly number[];
}

export interface Cameras {
  readonly camera: Camera;
  readonly poses: readonly Pose[];
  /** Frame i has zooms[i] times the camera's focal lengths. */
  readonly zooms: Float64Array;
  /** Frame i takes (red, green, blue, alpha) to its own red by maps[12 i] ... maps[12 i + 3], then to green, then to blue. */
  readonly maps: Float64Array;
}

const FAR = 4096;
const LARGEST = 2 ** 40;
const LARGEST_TINT = 32768;
const ZOOM_UNIT = 8192;
const LARGEST_ZOOM = 64;

/** Sections of their own hold zooms and tints, or there are none. */
export interface PerFrame {
  readonly zooms: Decoder | null;
  readonly tints: Decoder | null;
}

/** Return the cameras of all frames. Throws Refused for values that no renderer takes. */
export function readCameras(decoder: Decoder, { zooms, tints }: PerFrame, frames: number): Cameras {
  const camera = readCamera(decoder);
  const bits = decoder.integers(3);
  demand(bits.every((b) => b >= 0 && b <= 28), "the precision of the poses is out of range");
  const [turnUnit, sideUnit, depthUnit] = Array.from(bits, (b) => 2 ** b);
  const first = decoder.integers(3);
  const others = [0, 1, 2].map(() => sequence(decoder, frames - 1));
  const turns = [0, 1, 2].map((axis) => Float64Array.of(first[axis], ...others[axis]));
  demand(turns.every((axis) => within(axis, turnUnit)), "a turn is out of range");
  const units = [sideUnit, sideUnit, depthUnit];
  const places = units.map(() => sequence(decoder, frames));
  demand(places.every((axis, i) => within(axis, FAR * units[i])), "a pose is out of range");
  const gains = readGains(decoder, frames);
  const maps = tints === null ? unchanged(frames) : readTints(tints, frames);
  for (let i = 0; i < maps.length; i++) if (i % 4 < 3) maps[i] *= gains[3 * Math.floor(i / 12) + (i % 4)];
  return { camera, poses: posesOf(turns, turnUnit, places, units), zooms: readZooms(zooms, frames), maps };
}

/** Return the zooms in ZOOM. */
function readZooms(decoder: Decoder | null, frames: number): Float64Array {
  if (decoder === null) return new Float64Array(frames).fill(1);
  const zooms = sequence(decoder, frames).map((step) => step / ZOOM_UNIT);
  demand(zooms.every((zoom) => zoom >= 1 / LARGEST_ZOOM && zoom <= LARGEST_ZOOM), "a zoom is out of range");
  return zooms;
}

function unchanged(frames: number): Float64Array {
  return Float64Array.from({ length: 12 * frames }, (_, i) => (i % 12) % 5 === 0 ? 1 : 0);
}

/** Return the maps of colours in TINT: the identity, and directions, each times a frame's weight. */
function readTints(decoder: Decoder, frames: number): Float64Array {
  const rank = decoder.integers(1)[0];
  demand(rank >= 1 && rank <= 12, "the number of tints is out of range");
  const directions = decoder.integers(12 * rank);
  demand(within(Float64Array.from(directions), LARGEST_TINT), "a tint is out of range");
  const moved = new Float64Array(12 * frames);
  for (let direction = 0; direction < rank; direction++) {
    const weights = sequence(decoder, frames);
    demand(within(weights, LARGEST_TINT), "a tint is out of range");
    for (let i = 0; i < moved.length; i++) moved[i] += weights[Math.floor(i / 12)] * directions[12 * direction + (i % 12)];
  }
  const maps = unchanged(frames);
  return maps.map((value, i) => value + moved[i] / 4096);
}

function readCamera(decoder: Decoder): Camera {
  const [width, height, fx, fy, cx, cy, ...lens] = decoder.integers(10);
  const sides = [width, height];
  demand(sides.every((side) => side >= 1 && side <= 65535) && width * height <= 2 ** 26, "the picture's size is out of range");
  demand(fx > 0 && fx + fy > 0, "the focal length is out of range");
  const distortion = lens.map((value) => value / 2 ** 20);
  demand(distortion.every((value) => Math.abs(value) <= FAR), "the distortion is out of range");
  return {
    width,
    height,
    intrinsics: [fx / 256, (fx + fy) / 256, cx / 256 + width / 2, cy / 256 + height / 2],
    distortion: distortion as [number, number, number, number],
  };
}

/** Return the `count` values of a sequence. All stay below 2^42, since no integer that is summed exceeds 2^40 / k. */
function sequence(decoder: Decoder, count: number): Float64Array {
  if (count === 0) return new Float64Array(0);
  const [first, order] = decoder.integers(2);
  demand(Math.abs(first) <= LARGEST && order >= 0 && order <= 3, "a sequence of numbers is out of range");
  const rest = decoder.integers(count - 1);
  const bound = Math.floor(LARGEST / count);
  for (let pass = 0; pass < order; pass++) {
    demand(within(rest, bound), "a sequence of numbers is out of range");
    for (let i = 1; i < rest.length; i++) rest[i] += rest[i - 1];
  }
  const values = new Float64Array(count).fill(first);
  for (let i = 1; i < count; i++) values[i] += rest[i - 1];
  return values;
}

function within(values: Float64Array, bound: number): boolean {
  return values.every((value) => Math.abs(value) <= bound);
}

function readGains(decoder: Decoder, frames: number): Float64Array {
  const gains = new Float64Array(3 * frames).fill(1);
  if (decoder.integers(1)[0] === 0) return gains;
  const [green, red, blue] = [0, 1, 2].map(() => sequence(decoder, frames));
  for (let i = 0; i < frames; i++) {
    const steps = [red[i] + green[i], green[i], blue[i] + green[i]];
    demand(steps.every((step) => Math.abs(step) <= 1024), "a frame's exposure is out of range");
    steps.forEach((step, channel) => (gains[3 * i + channel] = 2 ** (step / 128)));
  }
  return gains;
}

type Quaternion = [number, number, number, number];

function posesOf(turns: Float64Array[], unit: number, places: Float64Array[], units: number[]): Pose[] {
  let heading: Quaternion = [1, 0, 0, 0];
  return Array.from(turns[0], (_, frame) => {
    heading = normalised(product(rodrigues(turns.map((axis) => axis[frame] / unit)), heading));
    const rotation = matrixOf(heading);
    const translation = [0, 1, 2].map((row) => {
      const centre = (rotation[3 * row] + rotation[3 * row + 1] + rotation[3 * row + 2]) / 2;
      return places[row][frame] / units[row] - centre;
    });
    return { rotation, translation };
  });
}

/** Return the unit quaternion of modified Rodrigues parameters. */
function rodrigues(m: number[]): Quaternion {
  const n = m[0] * m[0] + m[1] * m[1] + m[2] * m[2];
  return [(1 - n) / (1 + n), (2 * m[0]) / (1 + n), (2 * m[1]) / (1 + n), (2 * m[2]) / (1 + n)];
}

function product(a: Quaternion, b: Quaternion): Quaternion {
  return [
    a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
    a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
    a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
    a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
  ];
}

function normalised(q: Quaternion): Quaternion {
  const length = Math.hypot(...q);
  return q.map((value) => value / length) as Quaternion;
}

function matrixOf([w, x, y, z]: Quaternion): number[] {
  return [
    1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
    2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
    2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
  ];
}
