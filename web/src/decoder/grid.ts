// GRID holds the signs of all tables (FORMAT.md, section 7).

import type { Decoder } from "./coder";
import { ContextModel, Interpolated, Moments, type Part, projections, type Source } from "./context";
import { countAll, Layout } from "./layout";
import type { BoxSums } from "./occupancy";
import { clamped, CONSTANT, newWeights, readMixed } from "./regression";
import { type Spec, tablesOf } from "./spec";
import type { Layer } from "./weights";

const WORD = 65536;
const VOLUME_OFFSETS = [
  [0, 0, -1], [0, -1, 0], [-1, 0, 0], [0, -1, -1], [-1, 0, -1], [-1, -1, 0], [0, -1, 1], [-1, 0, 1], [-1, 1, 0],
  [-1, -1, -1], [-1, 1, 1], [-1, -1, 1], [-1, 1, -1], [0, 0, -2], [0, -2, 0], [-2, 0, 0],
];
const PLANE_OFFSETS = [
  [0, -1], [-1, 0], [-1, -1], [-1, 1], [0, -2], [-2, 0], [-1, 2], [-1, -2], [-2, -1], [-2, 1], [0, -3], [-3, 0],
].map(([x, y]) => [x, y, 0]);

/** Return each table's values, -1, 0 or +1, entry after entry. `progress` hears of the share that is done. */
export function readTables(
  decoder: Decoder, spec: Spec, sums: BoxSums[], layers: Layer[], bytes: number, progress: (share: number) => void,
): Int8Array[] {
  const layouts = tablesOf(spec).map((table) => new Layout(table, sums[table.grid]));
  const counts = countAll(layouts, bytes);
  const total = counts.reduce((sum, count) => sum + count, 1);
  let projected: Source[] = [];
  let sources: Source[] = [];
  let done = 0;
  return layouts.map((layout, index) => {
    const { grid, level, resolution } = layout.table;
    const flat = grid > 0;
    if (level === 0) sources = [];
    const parts: Part[] = sources.slice(-3).map((source) => new Interpolated(source, resolution, flat, 256));
    parts.push(flat ? new Interpolated(projected[grid - 1], resolution, true, 1) : new Moments(layout.sums, resolution));
    const model = 2 * (flat ? spec.volume.length + level : level);
    const reader = new TableReader(layout, new ContextModel(layers[model], layers[model + 1], parts));
    const values = reader.read(decoder, counts[index]);
    sources.push({ ...layout.table, values, entry: (x, y, z) => layout.entry(x, y, z) });
    if (!flat && level === spec.volume.length - 1) projected = projections(layout, values);
    progress((done += counts[index]) / total);
    return values;
  });
}

/** A table's reader holds what its signs have taught so far. */
class TableReader {
  private readonly values: Int8Array;
  private readonly offsets: number[][];
  private readonly inputs: Float64Array;
  private readonly weights: Float64Array;

  constructor(private readonly layout: Layout, private readonly model: ContextModel) {
    const { entries, features, axes } = layout.table;
    this.values = new Int8Array(entries * features);
    this.offsets = axes.length === 3 ? VOLUME_OFFSETS : PLANE_OFFSETS;
    this.inputs = new Float64Array(2 + this.offsets.length + features);
    this.weights = newWeights(features, this.inputs.length);
  }

  /** Read the signs of all entries to which one of `count` valid vertices maps. */
  read(decoder: Decoder, count: number): Int8Array {
    const { layout, model } = this;
    const [, sy, sz] = layout.sides;
    const vertices = layout.ordered(count);
    const neighbours = new Int32Array(this.offsets.length);
    const mean = new WeightedMean(layout.table.features);
    for (let i = 0; i < count; ) {
      let entry = -1;
      for (; i < count; i++) {
        const z = vertices[i] % sz;
        const row = (vertices[i] - z) / sz;
        const y = row % sy;
        const x = (row - y) / sy;
        const own = layout.entry(x, y, z);
        if (entry < 0) {
          this.findNeighbours(x, y, z, neighbours);
          mean.reset();
        } else if (own !== entry) break;
        entry = own;
        model.predict(x, y, z);
        mean.add(layout.weight(x, y, z), model.logits);
      }
      this.readEntry(decoder, entry, neighbours, mean);
    }
    return this.values;
  }

  /** Write where the values of the neighbours' entries begin, or -1 for a vertex outside of the grid. */
  private findNeighbours(x: number, y: number, z: number, found: Int32Array): void {
    const [sx, sy, sz] = this.layout.sides;
    for (let n = 0; n < found.length; n++) {
      const [dx, dy, dz] = this.offsets[n];
      const u = x + dx, v = y + dy, w = z + dz;
      const inside = u >= 0 && u < sx && v >= 0 && v < sy && w >= 0 && w < sz;
      found[n] = inside ? this.layout.entry(u, v, w) * this.layout.table.features : -1;
    }
  }

  /** Read one entry. What is not coded yet, or not at all, is still 0 in `values`. */
  private readEntry(decoder: Decoder, entry: number, neighbours: Int32Array, mean: WeightedMean): void {
    const { inputs, weights, values } = this;
    const { features } = this.layout.table;
    const first = entry * features;
    const own = 2 + neighbours.length;
    for (let f = 0; f < features; f++) {
      inputs[0] = clamped(mean.of(f));
      inputs[1] = CONSTANT;
      for (let n = 0; n < neighbours.length; n++) inputs[2 + n] = neighbours[n] < 0 ? 0 : 256 * values[neighbours[n] + f];
      const count = own + f;
      const bit = readMixed(decoder, weights, f * inputs.length, inputs, count);
      values[first + f] = bit ? 1 : -1;
      inputs[count] = 256 * values[first + f];
    }
  }
}

/**
 * This is a mean of logits, by weights, rounded down. Products of the two may exceed 2^53, so each logit is split into an
 * upper part and 16 lower bits, whose sums do not: all weights of a table together stay below 2^36, by the limits of the format.
 */
export class WeightedMean {
  private readonly upper: Float64Array;
  private readonly lower: Float64Array;
  private total = 0;

  constructor(features: number) {
    this.upper = new Float64Array(features);
    this.lower = new Float64Array(features);
  }

  reset(): void {
    this.upper.fill(0);
    this.lower.fill(0);
    this.total = 0;
  }

  add(weight: number, logits: Float64Array): void {
    this.total += weight;
    for (let f = 0; f < logits.length; f++) {
      const upper = Math.floor(logits[f] / WORD);
      this.upper[f] += weight * upper;
      this.lower[f] += weight * (logits[f] - upper * WORD);
    }
  }

  of(feature: number): number {
    const whole = Math.floor(this.upper[feature] / this.total);
    const rest = this.upper[feature] - whole * this.total;
    return whole * WORD + Math.floor((rest * WORD + this.lower[feature]) / this.total);
  }
}
