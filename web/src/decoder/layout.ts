// Which entries exist follows from the occupancy (FORMAT.md, section 7). A plane is a grid whose third axis has one vertex.

import type { BoxSums } from "./occupancy";
import { demand, Refused } from "./refused";
import type { Table } from "./spec";

const PRIME_Y = 2654435761 | 0;
const PRIME_Z = 805459861;
const MOST_VALID = 2 ** 24;
const FREE = 2 ** 19;
const FOR_A_BYTE = 2048;

/** Vertex i of an axis touches the voxels from[i] ... to[i] - 1, of `side` voxels in all. */
interface Axis {
  readonly from: Int32Array;
  readonly to: Int32Array;
  readonly side: number;
}

/** A layout knows a table's vertices, and which of them the occupied voxels touch. */
export class Layout {
  /** There are so many vertices along each axis. */
  readonly sides: readonly [number, number, number];
  private readonly axes: readonly [Axis, Axis, Axis];
  private readonly mask: number;

  constructor(readonly table: Table, readonly sums: BoxSums) {
    const R = table.resolution + 1;
    const touched = axisOf(table.resolution, sums.sides[0]);
    const flat = { from: Int32Array.of(0), to: Int32Array.of(1), side: 1 };
    this.sides = table.axes.length === 3 ? [R, R, R] : [R, R, 1];
    this.axes = [touched, touched, table.axes.length === 3 ? touched : flat];
    this.mask = table.entries - 1;
  }

  /** Return the entry of a vertex. */
  entry(x: number, y: number, z: number): number {
    if (this.table.hashed) return (x ^ Math.imul(y, PRIME_Y) ^ Math.imul(z, PRIME_Z)) & this.mask;
    return (x * this.sides[1] + y) * this.sides[2] + z;
  }

  /** Return how many occupied voxels the vertex touches, or has in the columns that it touches. */
  weight(x: number, y: number, z: number): number {
    const [a, b, c] = this.axes;
    return this.sums.over(a.from[x], a.to[x], b.from[y], b.to[y], c.from[z], c.to[z]);
  }

  /** Visit the valid vertices in ascending order, of which none is left out. */
  visit(seen: (vertex: number, x: number, y: number, z: number) => void): void {
    const [a, b, c] = this.axes;
    const [sx, sy, sz] = this.sides;
    for (let x = 0; x < sx; x++) {
      if (this.sums.over(a.from[x], a.to[x], 0, b.side, 0, c.side) === 0) continue;
      for (let y = 0; y < sy; y++) {
        if (this.sums.over(a.from[x], a.to[x], b.from[y], b.to[y], 0, c.side) === 0) continue;
        for (let z = 0; z < sz; z++) {
          if (this.weight(x, y, z) > 0) seen((x * sy + y) * sz + z, x, y, z);
        }
      }
    }
  }

  /** Return the number of valid vertices. Throws Refused beyond the limit of a table. */
  count(): number {
    let count = 0;
    this.visit(() => {
      if (++count > MOST_VALID) throw new Refused("a table has more vertices than any that is played");
    });
    return count;
  }

  /** Return the valid vertices, of which there are `count`, by ascending entry and among equal ones by ascending number. */
  ordered(count: number): Uint32Array {
    const vertices = new Uint32Array(count);
    let at = 0;
    if (!this.table.hashed) {
      this.visit((vertex) => (vertices[at++] = vertex));
      return vertices;
    }
    const starts = new Uint32Array(this.table.entries + 1);
    this.visit((_, x, y, z) => starts[this.entry(x, y, z) + 1]++);
    for (let entry = 0; entry < this.table.entries; entry++) starts[entry + 1] += starts[entry];
    this.visit((vertex, x, y, z) => (vertices[starts[this.entry(x, y, z)]++] = vertex));
    return vertices;
  }
}

function axisOf(resolution: number, side: number): Axis {
  const from = new Int32Array(resolution + 1);
  const to = new Int32Array(resolution + 1);
  for (let i = 0; i <= resolution; i++) {
    from[i] = Math.max(Math.floor(((i - 1) * side) / resolution), 0);
    to[i] = Math.min(Math.ceil(((i + 1) * side) / resolution), side);
  }
  return { from, to, side };
}

/** Return the valid vertices of each table. Throws Refused where a GRID of so many bytes may not have so many of them. */
export function countAll(layouts: Layout[], bytes: number): number[] {
  const counts: number[] = [];
  let signs = 0;
  for (const layout of layouts) {
    const count = layout.count();
    counts.push(count);
    signs += count * layout.table.features;
    demand(signs <= FREE + FOR_A_BYTE * bytes, "the bundle has more vertices than one of its size may have");
  }
  return counts;
}
