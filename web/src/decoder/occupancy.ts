// OCCU or VOXL is a grid of voxels (FORMAT.md, section 5), and sums over boxes of it are what the tables' layout is made of (section 7).

import { type Decoder, Models } from "./coder";
import { CONSTANT, newWeights, readMixed, STRETCHED } from "./regression";

/** The occupancy has one byte a voxel, z fastest: 1 where it is occupied. */
export interface Occupancy {
  readonly side: number;
  readonly voxels: Uint8Array;
}

const ROWS = 16;
const NEIGHBOURS = [
  [0, 0, -1], [0, -1, 0], [-1, 0, 0], [0, -1, -1], [-1, 0, -1], [-1, -1, 0],
  [0, -1, 1], [-1, 0, 1], [-1, 1, 0], [0, 0, -2], [0, -2, 0], [-2, 0, 0],
];

/** A regression looks at the voxels before one, in order of x, y and z, that are no farther than this. */
const BORDER = 3;

function ball(): number[][] {
  const found = [];
  for (let x = -BORDER; x <= 0; x++) {
    for (let y = -BORDER; y <= (x ? BORDER : 0); y++) {
      for (let z = -BORDER; z <= (x || y ? BORDER : -1); z++) if (x * x + y * y + z * z <= BORDER * BORDER) found.push([x, y, z]);
    }
  }
  return found;
}

/** Return the occupancy of `side`^3 voxels, which regressions have coded if `mixed`. */
export function readOccupancy(decoder: Decoder, side: number, mixed: boolean): Occupancy {
  const models = new Models(ROWS + 4096);
  const padded = side + 2 * BORDER; // Empty voxels before and behind make every neighbour an ordinary one.
  const grid = new Uint8Array(padded ** 3);
  const rows = new Uint8Array(padded * padded);
  const steps = (offsets: number[][]) => Int32Array.from(offsets, ([x, y, z]) => (x * padded + y) * padded + z);
  const near = steps(NEIGHBOURS);
  const around = steps(ball());
  const inputs = new Float64Array(2 + around.length);
  const weights = newWeights(1, inputs.length);
  inputs[1] = CONSTANT;
  const voxels = new Uint8Array(side ** 3);
  for (let x = 0; x < side; x++) {
    for (let y = 0; y < side; y++) {
      const row = (x + BORDER) * padded + y + BORDER;
      const before = row - padded;
      const model = rows[row - 1] + 2 * rows[before] + 4 * rows[before + 1] + 8 * rows[before - 1];
      rows[row] = decoder.adaptive(models, model);
      if (!rows[row]) continue;
      const start = row * padded + BORDER;
      for (let at = start; at < start + side; at++) {
        let context = ROWS;
        for (let n = 0; n < near.length; n++) context += grid[at + near[n]] << n;
        if (!mixed) {
          grid[at] = decoder.adaptive(models, context);
          continue;
        }
        inputs[0] = STRETCHED[models.ones[context]];
        for (let n = 0; n < around.length; n++) inputs[2 + n] = grid[at + around[n]] ? 256 : -256;
        const bit = (grid[at] = readMixed(decoder, weights, 0, inputs, inputs.length));
        models.learn(context, bit);
      }
      voxels.set(grid.subarray(start, start + side), (x * side + y) * side);
    }
  }
  return { side, voxels };
}

/** Box sums are of a grid of counts, in three dimensions or two (then z has one layer). */
export class BoxSums {
  private readonly sums: Int32Array;
  private readonly rowStep: number;
  private readonly planeStep: number;

  constructor(counts: ArrayLike<number>, readonly sides: readonly [number, number, number]) {
    const [sx, sy, sz] = sides;
    this.rowStep = sz + 1;
    this.planeStep = (sy + 1) * (sz + 1);
    this.sums = new Int32Array((sx + 1) * this.planeStep);
    for (let x = 0, from = 0; x < sx; x++) {
      for (let y = 0; y < sy; y++) {
        let at = (x + 1) * this.planeStep + (y + 1) * this.rowStep + 1;
        for (let z = 0, row = 0; z < sz; z++, at++) {
          row += counts[from++];
          const above = at - this.planeStep;
          this.sums[at] = row + this.sums[at - this.rowStep] + this.sums[above] - this.sums[above - this.rowStep];
        }
      }
    }
  }

  /** Return the sum over [x0, x1) x [y0, y1) x [z0, z1). */
  over(x0: number, x1: number, y0: number, y1: number, z0: number, z1: number): number {
    const low = x0 * this.planeStep;
    const high = x1 * this.planeStep;
    y0 *= this.rowStep;
    y1 *= this.rowStep;
    const s = this.sums;
    return s[high + y1 + z1] - s[high + y1 + z0] - s[high + y0 + z1] + s[high + y0 + z0]
      - s[low + y1 + z1] + s[low + y1 + z0] + s[low + y0 + z1] - s[low + y0 + z0];
  }
}

/** Return the sums of each grid: of the voxels, and of the three planes' columns. */
export function sumsOf({ side, voxels }: Occupancy): BoxSums[] {
  const columns = [new Int32Array(side * side), new Int32Array(side * side), new Int32Array(side * side)];
  for (let x = 0, at = 0; x < side; x++) {
    for (let y = 0; y < side; y++) {
      for (let z = 0; z < side; z++, at++) {
        if (!voxels[at]) continue;
        columns[0][x * side + y]++;
        columns[1][x * side + z]++;
        columns[2][y * side + z]++;
      }
    }
  }
  return [new BoxSums(voxels, [side, side, side]), ...columns.map((plane) => new BoxSums(plane, [side, side, 1]))];
}
