// SPEC holds the facts of the video and the shapes of the field (FORMAT.md, section 3).

import { demand } from "./refused";

export interface Level {
  readonly resolution: number;
  readonly features: number;
}

export interface Spec {
  readonly frames: number;
  /** The film has so many frames a second. */
  readonly rate: number;
  readonly name: string;
  readonly volume: readonly Level[];
  readonly planes: readonly Level[];
  readonly volumeLimit: number;
  readonly planeLimit: number;
  readonly occupancy: number;
  readonly steps: number;
  readonly width: number;
  readonly colorLayers: number;
  readonly geometry: number;
  readonly directions: number;
  readonly frequencies: number;
  readonly perRay: boolean;
  readonly contextWidth: number;
}

/** A table holds the entries of one level of the 3D grid, or of one plane. */
export interface Table extends Level {
  /** The axes are 0, 1, 2 of the 3D grid, or the two of a plane. */
  readonly axes: readonly number[];
  readonly entries: number;
  readonly hashed: boolean;
  /** The grid is 0 for 3D, and 1, 2, 3 for the planes (x,y), (x,z), (y,z). */
  readonly grid: number;
  /** This is the level's number within its grid. */
  readonly level: number;
}

const MOST_VALUES = 2 ** 26;
const MOST_VERTICES = 2 ** 28;

class Numbers {
  private position = 0;

  constructor(private readonly data: Uint8Array) {}

  /** Return a number that must lie in a range. It is read as a double: none that is too large for that is within any range. */
  take(least: number, most: number, what: string): number {
    let value = 0;
    for (let i = 0; i < 9; i++) {
      const byte = this.bytes(1)[0];
      value += (byte & 127) * 2 ** (7 * i);
      if (byte < 128) {
        demand(value >= least && value <= most, `${what} is out of range`);
        return value;
      }
    }
    demand(false, `${what} is out of range`);
  }

  bytes(count: number): Uint8Array {
    demand(this.position + count <= this.data.length, "section SPEC ends early");
    this.position += count;
    return this.data.subarray(this.position - count, this.position);
  }

  levels(finest: number, what: string): Level[] {
    const count = this.take(1, 16, `the number of ${what}`);
    return Array.from({ length: count }, () => ({
      resolution: this.take(2, finest, `a resolution of ${what}`),
      features: this.take(1, 8, `a number of features of ${what}`),
    }));
  }

  finish(): void {
    demand(this.position === this.data.length, "section SPEC has bytes left over");
  }
}

/** Return the facts and shapes. Throws Refused for values out of range, and for fields larger than any decoder takes. */
export function readSpec(payload: Uint8Array): Spec {
  const numbers = new Numbers(payload);
  const frames = numbers.take(1, 65536, "the number of frames");
  const numerator = numbers.take(1, 2 ** 31, "the frame rate");
  const rate = numerator / numbers.take(1, 2 ** 31, "the frame rate");
  const name = new TextDecoder().decode(numbers.bytes(numbers.take(0, 255, "the name's length")));
  numbers.bytes(32);
  const spec = {
    frames,
    rate,
    name,
    volume: numbers.levels(1024, "3D levels"),
    planes: numbers.levels(4096, "plane levels"),
    volumeLimit: 2 ** numbers.take(8, 24, "the limit of 3D tables"),
    planeLimit: 2 ** numbers.take(8, 24, "the limit of plane tables"),
    occupancy: numbers.take(8, 256, "the occupancy's side"),
    steps: numbers.take(8, 4096, "the number of steps"),
    width: numbers.take(1, 256, "the width of the heads"),
    colorLayers: numbers.take(0, 4, "the number of colour layers"),
    geometry: numbers.take(1, 128, "the number of geometry features"),
    directions: numbers.take(1, 4, "the number of directions"),
    frequencies: numbers.take(0, 16, "the number of frequencies"),
    perRay: numbers.take(0, 1, "the shading") === 1,
    contextWidth: numbers.take(1, 64, "the width of the context models"),
  };
  numbers.finish();
  checkSize(tablesOf(spec));
  return spec;
}

function checkSize(tables: Table[]): void {
  let values = 0;
  let vertices = 0;
  for (const table of tables) {
    values += table.entries * table.features;
    vertices += (table.resolution + 1) ** table.axes.length;
  }
  demand(values <= MOST_VALUES && vertices <= MOST_VERTICES, "the field is larger than any that is played");
}

const AXES = [[0, 1, 2], [0, 1], [0, 2], [1, 2]];

/** Return all tables in coding order. */
export function tablesOf(spec: Spec): Table[] {
  return AXES.flatMap((axes, grid) => {
    const limit = grid === 0 ? spec.volumeLimit : spec.planeLimit;
    return (grid === 0 ? spec.volume : spec.planes).map((each, level) => {
      const vertices = (each.resolution + 1) ** axes.length;
      return { ...each, axes, grid, level, hashed: vertices > limit, entries: Math.min(vertices, limit) };
    });
  });
}

/** Return the number of features of all tables together. */
export function featuresOf(spec: Spec): number {
  return tablesOf(spec).reduce((sum, table) => sum + table.features, 0);
}
