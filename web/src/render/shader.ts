// The shader marches along a pixel's ray, looks the field up and runs the heads (FORMAT.md, sections 4 and 8).

import type { Bundle } from "../decoder/bundle";
import { atlasSource, type Chunk, chunksOf, findCell, lookUp } from "./atlas";
import { HeadWriter, inOrder, type Packed, packed } from "./heads";

/** A shader comes with the weights that it reads, as vectors of four. */
export interface Shader {
  readonly source: string;
  readonly weights: Float32Array;
  /** The shader reads them from a texture named `weights` if this is true; else they are in its source. */
  readonly needsWeights: boolean;
  readonly chunks: Chunk[];
}

/** Terms of harmonics follow each other in the order of the format. */
const HARMONICS = [
  "1.0", "y", "z", "x", "x * y", "y * z", "3.0 * z * z - 1.0", "x * z", "x * x - y * y",
  "y * (3.0 * x * x - y * y)", "x * y * z", "y * (5.0 * z * z - 1.0)", "z * (5.0 * z * z - 3.0)", "x * (5.0 * z * z - 1.0)",
  "z * (x * x - y * y)", "x * (x * x - 3.0 * y * y)",
];

/** Return the shader of a bundle, of which no more need be known than its shapes and heads. */
export function shaderOf(bundle: Pick<Bundle, "spec" | "heads">): Shader {
  const { spec } = bundle;
  const chunks = chunksOf(spec);
  const layers = packedHeads(bundle, chunks);
  const vectors = layers.reduce((sum, layer) => sum + layer.values.length / 4, 0);
  const weights = new Float32Array(4 * vectors);
  for (const layer of layers) weights.set(layer.values, 4 * layer.first);
  const writer = new HeadWriter(weights);
  const [density0, density1, ...color] = layers;
  const sums = spec.perRay ? density1.outputs : 1;
  const source = `#version 300 es
precision highp float;
precision highp int;
uniform mat3 toWorld;
uniform vec3 origin, low, high;
uniform vec4 colors[3];
uniform vec4 lens, distortion;
uniform float height;
uniform bool stored;
uniform highp sampler2D rays;
uniform highp usampler3D empty;
${writer.header}
out vec4 color;
const float STEP = 1.0 / ${spec.steps}.0;
const int SIDE = ${spec.occupancy};
${atlasSource(chunks)}
${GEOMETRY}
void main() {
  vec3 direction = aim(gl_FragCoord.xy);
  float x = direction.x, y = direction.y, z = direction.z;
  vec2 inside = span(direction, vec3(0), vec3(1)), occupied = span(direction, low, high);
  float near = inside.x, far = min(inside.y, occupied.y + STEP);
  int k = max(int((occupied.x - near) / STEP) - 1, 0);
  if (occupied.x > occupied.y) far = near;
  float light = 1.0, alpha = 0.0;
  ${writer.declare("sum", sums)}
  vec3 p;
  while (light > 1e-4 && advance(direction, near, far, k, p)) {
    ivec3 v; vec3 f;
    ${writer.declare("e", density0.inputs)}
    ${features(chunks, spec.frequencies, writer)}
    ${writer.declare("h", density0.outputs)}
    ${writer.layer(density0, "e", "h", true)}
    ${writer.declare("g", density1.outputs)}
    ${writer.layer(density1, "h", "g", false)}
    float left = exp(-exp(min(${writer.name("g", 0)}.x + 3.0, 15.0)) * STEP);
    float weight = light * (1.0 - left);
    light *= left;
    alpha += weight;
    ${spec.perRay ? "" : colors(color, density1.outputs, spec.directions, writer)}
    ${inOrder(sums).map((i) => `${writer.name("sum", i)} += weight * ${spec.perRay ? writer.name("g", i) : "rgb"};`).join("\n")}
  }
  ${spec.perRay ? atTheEnd(color, density1.outputs, spec.directions, writer) : `vec3 shade = ${writer.name("sum", 0)}.xyz;`}
  alpha = clamp(alpha, 0.0, 1.0);
  vec4 seen = vec4(shade, alpha);
  color = vec4(clamp(vec3(dot(colors[0], seen), dot(colors[1], seen), dot(colors[2], seen)), 0.0, alpha), alpha);
}`;
  return { source, weights, needsWeights: !writer.writtenOut, chunks };
}

/** Return the layers of both heads with their inputs in the order that the shader has them. */
function packedHeads({ spec, heads }: Pick<Bundle, "spec" | "heads">, chunks: Chunk[]): Packed[] {
  const looked = chunks.flatMap((chunk) => chunk.features);
  while (looked.length % 4) looked.push(-1);
  const before = heads[0].inputs - 6 * spec.frequencies;
  const waves = inOrder(6 * spec.frequencies).map((i) => before + i);
  const geometry = [-1, ...inOrder(spec.geometry)]; // The density is not handed on.
  while (geometry.length % 4) geometry.push(-1);
  const directions = inOrder(spec.directions ** 2).map((i) => spec.geometry + i);
  const orders = [[...looked, ...waves], inOrder(spec.width), [...geometry, ...directions]];
  let first = 0;
  return heads.map((layer, i) => {
    const made = packed(layer, orders[i] ?? inOrder(spec.width), first);
    first += made.values.length / 4;
    return made;
  });
}

const LETTERS = "xyzw";

/** Return code that fills the vectors e of the density head's inputs. */
function features(chunks: Chunk[], frequencies: number, writer: HeadWriter): string {
  const lines: string[] = [];
  let at = 0;
  for (const chunk of chunks) {
    const letters = LETTERS.slice(at % 4, (at % 4) + chunk.channels);
    lines.push(findCell(chunk.table.resolution), `${writer.name("e", at >> 2)}.${letters} = ${lookUp(chunk)};`);
    at += chunk.channels;
  }
  at = Math.ceil(at / 4) * 4;
  for (const axis of "xyz") {
    for (const wave of ["sin", "cos"]) {
      // The argument is reduced to one turn first: devices may be coarse where it is large.
      for (let k = 0; k < frequencies; k++, at++) {
        const turns = `fract(p.${axis} * ${k > 0 ? `${2 ** k / 2}.0` : "0.5"})`;
        lines.push(`${writer.name("e", at >> 2)}.${LETTERS[at % 4]} = ${wave}(6.283185307 * ${turns});`);
      }
    }
  }
  return lines.join("\n    ");
}

/** Return code that computes vec4 rgb from the geometry in g and from the direction. */
function colors(layers: Packed[], geometry: number, directions: number, writer: HeadWriter): string {
  const lines = [writer.declare("c", layers[0].inputs)];
  for (let i = 0; i < geometry; i++) lines.push(`${writer.name("c", i)} = ${writer.name("g", i)};`);
  HARMONICS.slice(0, directions ** 2).forEach((term, i) => {
    lines.push(`${writer.name("c", geometry + (i >> 2))}.${LETTERS[i % 4]} = ${term};`);
  });
  let from = "c";
  layers.forEach((layer, i) => {
    const to = `o${i}_`;
    lines.push(writer.declare(to, layer.outputs), writer.layer(layer, from, to, i < layers.length - 1));
    from = to;
  });
  return `${lines.join("\n    ")}\n    vec4 rgb = 1.0 / (1.0 + exp(-${writer.name(from, 0)}));`;
}

function atTheEnd(layers: Packed[], geometry: number, directions: number, writer: HeadWriter): string {
  const means = inOrder(geometry).map((i) => `${writer.name("g", i)} = ${writer.name("sum", i)} / max(alpha, 1e-3);`);
  return [writer.declare("g", geometry), ...means, colors(layers, geometry, directions, writer), "vec3 shade = alpha * rgb.xyz;"]
    .join("\n  ");
}

const GEOMETRY = `
vec3 aim(vec2 pixel) {
  if (stored) return texelFetch(rays, ivec2(pixel.x, height - pixel.y), 0).xyz;
  vec2 q = (vec2(pixel.x, height - pixel.y) - lens.zw) / lens.xy, p = q;
  if (distortion != vec4(0)) {
    for (int i = 0; i < 8; i++) {
      float r = dot(p, p), l = 1.0 + r * (distortion.x + r * distortion.y), xy = 2.0 * p.x * p.y;
      vec2 t = distortion.zw;
      p += q - (p * l + t * xy + t.yx * (r + 2.0 * p * p));
    }
  }
  return normalize(toWorld * vec3(p, 1));
}
vec2 span(vec3 d, vec3 lower, vec3 upper) {
  vec2 found = vec2(0, 1e9);
  for (int i = 0; i < 3; i++) {
    if (abs(d[i]) < 1e-9) {
      if (origin[i] < lower[i] || origin[i] > upper[i]) found.y = -1.0;
      continue;
    }
    float a = (lower[i] - origin[i]) / d[i], b = (upper[i] - origin[i]) / d[i];
    found = vec2(max(found.x, min(a, b)), min(found.y, max(a, b)));
  }
  return found;
}
bool advance(vec3 d, float near, float far, inout int k, out vec3 p) {
  while (true) {
    float t = near + (float(k) + 0.5) * STEP;
    if (!(t < far)) return false;
    k++;
    p = clamp(origin + t * d, 0.0, 1.0);
    ivec3 v = min(ivec3(p * float(SIDE)), SIDE - 1);
    int away = int(texelFetch(empty, v.zyx, 0).r);
    if (away == 0) return true;
    k += int(float(away - 1) * (0.999 / (float(SIDE) * STEP)));
  }
}`;
