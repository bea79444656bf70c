// A context model predicts the signs at a vertex from coarser levels and from the occupancy (FORMAT.md, section 7).

import type { Layout } from "./layout";
import type { BoxSums } from "./occupancy";
import type { Layer } from "./weights";

/** A source has values at the vertices of one level or plane, which contexts of a finer one read. */
export interface Source {
  readonly resolution: number;
  readonly features: number;
  readonly values: Int8Array | Int32Array;
  readonly entry: (x: number, y: number, z: number) => number;
}

/** A part of a context writes some of its inputs for one vertex. */
export interface Part {
  readonly size: number;
  write(x: number, y: number, z: number, inputs: Int32Array, at: number): void;
}

/** An interpolated part is a source's values at the vertices of a level, by integer weights, times a factor. */
export class Interpolated implements Part {
  readonly size: number;
  private readonly base: Int32Array;
  private readonly fraction: Int32Array;
  private readonly sums: Int32Array;
  private readonly depth: number;
  private readonly whole: number;

  constructor(private readonly source: Source, private readonly N: number, flat: boolean, private readonly factor: number) {
    this.size = source.features;
    this.sums = new Int32Array(this.size);
    this.base = new Int32Array(N + 1);
    this.fraction = new Int32Array(N + 1);
    for (let i = 0; i <= N; i++) {
      this.base[i] = Math.floor((i * source.resolution) / N);
      this.fraction[i] = (i * source.resolution) % N;
    }
    this.depth = flat ? 1 : N;
    this.whole = N * N * this.depth;
  }

  write(x: number, y: number, z: number, inputs: Int32Array, at: number): void {
    const { base, fraction, N, depth, sums, size } = this;
    sums.fill(0);
    for (let corner = 0; corner < 8; corner++) {
      const i = corner & 1;
      const j = (corner >> 1) & 1;
      const k = corner >> 2;
      // The third axis of a plane has one vertex, at which everything weighs 1.
      const wz = k ? fraction[z] : depth - fraction[z];
      const weight = (i ? fraction[x] : N - fraction[x]) * (j ? fraction[y] : N - fraction[y]) * wz;
      if (weight === 0) continue;
      const first = this.source.entry(base[x] + i, base[y] + j, base[z] + k) * size;
      for (let f = 0; f < size; f++) sums[f] += weight * this.source.values[first + f];
    }
    for (let f = 0; f < size; f++) inputs[at + f] = Math.floor((this.factor * sums[f]) / this.whole);
  }
}

/** The moments are the occupied share around a vertex, and its differences along the axes. */
export class Moments implements Part {
  readonly size = 4;
  private readonly from: Int32Array;
  private readonly to: Int32Array;
  /** The part behind vertex i begins at here[i], and the part before it ends at there[i]. */
  private readonly here: Int32Array;
  private readonly there: Int32Array;

  constructor(private readonly sums: BoxSums, N: number) {
    const G = sums.sides[0];
    const at = (of: (i: number) => number) => Int32Array.from({ length: N + 1 }, (_, i) => of(i));
    this.from = at((i) => Math.max(Math.floor(((i - 1) * G) / N) - 1, 0));
    this.to = at((i) => Math.min(Math.ceil(((i + 1) * G) / N) + 1, G));
    this.here = at((i) => Math.floor((i * G) / N));
    this.there = at((i) => Math.ceil((i * G) / N));
  }

  write(x: number, y: number, z: number, inputs: Int32Array, at: number): void {
    const { from, to, here, there, sums } = this;
    const x0 = from[x], x1 = to[x], y0 = from[y], y1 = to[y], z0 = from[z], z1 = to[z];
    const size = (x1 - x0) * (y1 - y0) * (z1 - z0);
    const share = (difference: number) => Math.floor((256 * difference) / size);
    inputs[at] = share(sums.over(x0, x1, y0, y1, z0, z1));
    inputs[at + 1] = share(sums.over(here[x], x1, y0, y1, z0, z1) - sums.over(x0, there[x], y0, y1, z0, z1));
    inputs[at + 2] = share(sums.over(x0, x1, here[y], y1, z0, z1) - sums.over(x0, x1, y0, there[y], z0, z1));
    inputs[at + 3] = share(sums.over(x0, x1, y0, y1, here[z], z1) - sums.over(x0, x1, y0, y1, z0, there[z]));
  }
}

/** Return the projections of the last 3D level onto the three planes: 256 times the mean along each column, at valid vertices. */
export function projections(layout: Layout, values: Int8Array): Source[] {
  const { resolution, features, axes } = layout.table;
  const R = resolution + 1;
  const counts = axes.map(() => new Int32Array(R * R));
  const sums = axes.map(() => new Int32Array(R * R * features));
  layout.visit((_, x, y, z) => {
    const first = layout.entry(x, y, z) * features;
    const columns = [x * R + y, x * R + z, y * R + z];
    for (let plane = 0; plane < 3; plane++) {
      counts[plane][columns[plane]]++;
      for (let f = 0; f < features; f++) sums[plane][columns[plane] * features + f] += values[first + f];
    }
  });
  return sums.map((sum, plane) => {
    const means = sum.map((value, i) => Math.floor((256 * value) / Math.max(counts[plane][Math.floor(i / features)], 1)));
    return { resolution, features, values: means, entry: (x: number, y: number) => x * R + y };
  });
}

/** A context model is two layers of integers over the parts of a context. */
export class ContextModel {
  private readonly inputs: Int32Array;
  private readonly hidden: Float64Array;
  /** `predict` leaves the logit of each feature here: whole numbers, of up to 33 bits. */
  readonly logits: Float64Array;

  constructor(private readonly first: Layer, private readonly second: Layer, private readonly parts: readonly Part[]) {
    this.inputs = new Int32Array(first.inputs);
    this.hidden = new Float64Array(first.outputs);
    this.logits = new Float64Array(second.outputs);
  }

  predict(x: number, y: number, z: number): void {
    const { first, second, inputs, hidden, logits } = this;
    let at = 0;
    for (const part of this.parts) {
      part.write(x, y, z, inputs, at);
      at += part.size;
    }
    const count = inputs.length;
    for (let j = 0, w = 0; j < hidden.length; j++) {
      let sum = 0; // No sum exceeds 32 inputs * 2^15 * 2^8 in magnitude.
      for (let i = 0; i < count; i++) sum = (sum + Math.imul(first.weights[w++], inputs[i])) | 0;
      hidden[j] = Math.min(Math.max((sum >> 5) + first.bias[j], 0), 65535);
    }
    for (let o = 0, w = 0; o < logits.length; o++) {
      let sum = 0;
      for (let j = 0; j < hidden.length; j++) sum += second.weights[w++] * hidden[j];
      logits[o] = Math.floor(sum / 32) + second.bias[o];
    }
  }
}
