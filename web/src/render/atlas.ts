// The tables become textures: one texel an entry, of one, two or four signed channels; wider entries take two texels.

import type { Bundle } from "../decoder/bundle";
import { type Spec, type Table, tablesOf } from "../decoder/spec";
import { texture } from "./gl";

const SIDE = 2048;
const PAGE = SIDE * SIDE;

/** A chunk is at most four features of one table, which a texel holds from index `base` of its atlas on. */
export interface Chunk {
  readonly table: Table;
  readonly channels: 1 | 2 | 4;
  readonly base: number;
  /** These features of all tables, counted in coding order, are in the channels; -1 stands for an unused one. */
  readonly features: readonly number[];
  /** The chunk is of this table, and begins with this feature of it. */
  readonly index: number;
  readonly firstFeature: number;
}

/** Return the chunks of all tables, those of four channels first, so that they fill whole vectors of a head's inputs. */
export function chunksOf(spec: Spec): Chunk[] {
  const used: Record<number, number> = { 1: 0, 2: 0, 4: 0 };
  const chunks: Chunk[] = [];
  let before = 0;
  tablesOf(spec).forEach((table, index) => {
    for (let first = 0; first < table.features; first += 4) {
      const left = Math.min(table.features - first, 4);
      const channels = left > 2 ? 4 : (left as 1 | 2);
      const features = Array.from({ length: channels }, (_, c) => (c < left ? before + first + c : -1));
      chunks.push({ table, channels, base: used[channels], features, index, firstFeature: first });
      used[channels] += table.entries;
    }
    before += table.features;
  });
  return chunks.sort((a, b) => b.channels - a.channels);
}

/** Return the GLSL of the atlases' samplers and of the functions that read a texel by its index. */
export function atlasSource(chunks: Chunk[]): string {
  const types: Record<number, [string, string]> = { 1: ["float", "r"], 2: ["vec2", "rg"], 4: ["vec4", "rgba"] };
  const at = `ivec3(i & ${SIDE - 1}, (i >> 11) & ${SIDE - 1}, i >> 22)`;
  return [4, 2, 1].filter((channels) => chunks.some((chunk) => chunk.channels === channels)).map((channels) => {
    const [type, swizzle] = types[channels];
    return `uniform highp sampler2DArray atlas${channels};
      ${type} entry${channels}(int i) { return texelFetch(atlas${channels}, ${at}, 0).${swizzle}; }`;
  }).join("\n");
}

/** Make the atlases' textures, by name. */
export function uploadAtlases(
  gl: WebGL2RenderingContext, chunks: Chunk[], tables: Bundle["tables"],
): Map<string, WebGLTexture> {
  const made = new Map<string, WebGLTexture>();
  const formats = { 1: [gl.R8_SNORM, gl.RED], 2: [gl.RG8_SNORM, gl.RG], 4: [gl.RGBA8_SNORM, gl.RGBA] } as const;
  for (const channels of [4, 2, 1] as const) {
    const own = chunks.filter((chunk) => chunk.channels === channels);
    if (own.length === 0) continue;
    const texels = own.reduce((sum, chunk) => sum + chunk.table.entries, 0);
    const pages = Math.ceil(texels / PAGE);
    const height = pages > 1 ? SIDE : Math.ceil(texels / SIDE);
    const data = new Int8Array(SIDE * height * pages * channels);
    for (const chunk of own) fill(data, chunk, tables[chunk.index]);
    const [internal, format] = formats[channels];
    made.set(`atlas${channels}`, texture(gl, gl.TEXTURE_2D_ARRAY, () =>
      gl.texImage3D(gl.TEXTURE_2D_ARRAY, 0, internal, SIDE, height, pages, 0, format, gl.BYTE, data)));
  }
  return made;
}

function fill(data: Int8Array, { table, channels, base, features, firstFeature }: Chunk, values: Int8Array): void {
  const count = features.filter((feature) => feature >= 0).length;
  for (let entry = 0; entry < table.entries; entry++) {
    for (let c = 0; c < count; c++) {
      data[(base + entry) * channels + c] = 127 * values[entry * table.features + firstFeature + c];
    }
  }
}

/** Return GLSL that reads a chunk at point p, interpolated between the corners of the cell that `findCell` found. */
export function lookUp(chunk: Chunk): string {
  const { table, channels, base } = chunk;
  const [a, b, c] = table.axes.map((axis) => "xyz"[axis]);
  const corner = (dx: number, dy: number, dz: number) => `entry${channels}(${base} + ${address(table, dx, dy, dz)})`;
  const along = (dx: number, dy: number) =>
    c === undefined ? corner(dx, dy, 0) : `mix(${corner(dx, dy, 0)}, ${corner(dx, dy, 1)}, f.${c})`;
  const across = (dx: number) => `mix(${along(dx, 0)}, ${along(dx, 1)}, f.${b})`;
  return `mix(${across(0)}, ${across(1)}, f.${a})`;
}

/** Return GLSL that finds the cell v and the fraction f of point p in a level. */
export function findCell(resolution: number): string {
  const N = `${resolution}.0`;
  return `v = min(ivec3(p * ${N}), ${resolution - 1}); f = p * ${N} - vec3(v);`;
}

function address({ axes, hashed, entries, resolution }: Table, ...steps: number[]): string {
  const at = axes.map((axis, i) => (steps[i] ? `(v.${"xyz"[axis]} + 1)` : `v.${"xyz"[axis]}`));
  if (!hashed) return at.slice(1).reduce((sum, vertex) => `(${sum} * ${resolution + 1} + ${vertex})`, at[0]);
  const primes = ["", " * 2654435761u", " * 805459861u"];
  const mixed = at.map((vertex, i) => `uint(${vertex})${primes[i]}`).join(" ^ ");
  return `int((${mixed}) & ${entries - 1}u)`;
}
