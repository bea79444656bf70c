// Where a field is empty is known once, so that rays need not ask for every step.

import type { Occupancy } from "../decoder/occupancy";

/** A space knows the box of the occupied voxels, and how far each voxel is from the nearest occupied one. */
export interface Space {
  readonly low: [number, number, number];
  readonly high: [number, number, number];
  /** The chessboard distances are at most 255, 0 where a voxel is occupied; z is fastest. */
  readonly distances: Uint8Array;
}

/** Return the space of an occupancy. */
export function spaceOf({ side, voxels }: Occupancy): Space {
  const low: [number, number, number] = [side, side, side];
  const high: [number, number, number] = [0, 0, 0];
  for (let x = 0, at = 0; x < side; x++) {
    for (let y = 0; y < side; y++) {
      for (let z = 0; z < side; z++, at++) {
        if (!voxels[at]) continue;
        [x, y, z].forEach((value, axis) => {
          low[axis] = Math.min(low[axis], value);
          high[axis] = Math.max(high[axis], value + 1);
        });
      }
    }
  }
  const scaled = (corner: number[]) => corner.map((value) => value / side) as [number, number, number];
  const none = high[0] === 0;
  return { low: none ? [0, 0, 0] : scaled(low), high: none ? [0, 0, 0] : scaled(high), distances: distancesOf(voxels, side) };
}

/** Return the chessboard distances in two passes, each of which looks at the 13 neighbours that it has visited. */
function distancesOf(voxels: Uint8Array, side: number): Uint8Array {
  const padded = side + 2;
  const grid = new Uint8Array(padded ** 3).fill(255);
  const start = (x: number, y: number) => ((x + 1) * padded + y + 1) * padded + 1;
  for (let x = 0; x < side; x++) {
    for (let y = 0; y < side; y++) {
      for (let z = 0; z < side; z++) grid[start(x, y) + z] = voxels[(x * side + y) * side + z] ? 0 : 255;
    }
  }
  const earlier = Array.from({ length: 13 }, (_, n) => {
    return ((Math.floor(n / 9) - 1) * padded + (Math.floor(n / 3) % 3) - 1) * padded + (n % 3) - 1;
  });
  for (const sign of [1, -1]) {
    for (let i = 0; i < side; i++) {
      for (let j = 0; j < side; j++) {
        const row = sign > 0 ? start(i, j) : start(side - 1 - i, side - 1 - j) + side - 1;
        for (let k = 0; k < side; k++) {
          const at = row + sign * k;
          let least = grid[at];
          for (let n = 0; n < 13 && least > 0; n++) least = Math.min(least, grid[at + sign * earlier[n]] + 1);
          grid[at] = least;
        }
      }
    }
  }
  const distances = new Uint8Array(side ** 3);
  for (let x = 0; x < side; x++) {
    for (let y = 0; y < side; y++) distances.set(grid.subarray(start(x, y), start(x, y) + side), (x * side + y) * side);
  }
  return distances;
}
