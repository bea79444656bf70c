// HEAD and CTXT are the weights of small networks (FORMAT.md, section 6).

import type { Decoder } from "./coder";
import { demand } from "./refused";
import { featuresOf, type Level, type Spec } from "./spec";

/** A layer computes W x + b; its numbers are `weights` [out, in] and `bias` times powers of two. */
export interface Layer {
  readonly inputs: number;
  readonly outputs: number;
  readonly weights: Int32Array;
  readonly bias: Int32Array;
  readonly weightUnit: number;
  readonly biasUnit: number;
}

type Shape = [inputs: number, outputs: number];

/** Return the shapes of the rendering heads' layers: density.0, density.1, color.0, ... */
export function headShapes(spec: Spec): Shape[] {
  const { width } = spec;
  const shapes: Shape[] = [[featuresOf(spec) + 6 * spec.frequencies, width], [width, 1 + spec.geometry]];
  let inputs = spec.geometry + spec.directions ** 2;
  for (let layer = 0; layer < spec.colorLayers; layer++, inputs = width) shapes.push([inputs, width]);
  return [...shapes, [inputs, 3]];
}

/** Return the shapes of the context models' layers, two a level. */
export function contextShapes(spec: Spec): Shape[] {
  const last = spec.volume[spec.volume.length - 1].features;
  const of = (levels: readonly Level[], more: number): Shape[] =>
    levels.flatMap((level, i): Shape[] => {
      const before = levels.slice(Math.max(i - 3, 0), i).reduce((sum, each) => sum + each.features, 0);
      return [[before + more, spec.contextWidth], [spec.contextWidth, level.features]];
    });
  return [...of(spec.volume, 4), ...of(spec.planes, last)];
}

/** Return the layers of a section. Throws Refused for exponents and weights out of range. */
export function readLayers(decoder: Decoder, shapes: Shape[]): Layer[] {
  const tensors = readTensors(decoder, shapes.flatMap(([inputs, outputs]) => [inputs * outputs, outputs]));
  return shapes.map(([inputs, outputs], i) => {
    const [weights, bias] = [tensors[2 * i], tensors[2 * i + 1]];
    return { inputs, outputs, weights: weights.integers, bias: bias.integers, weightUnit: weights.unit, biasUnit: bias.unit };
  });
}

/** A tensor's numbers are integers times a power of two, last index fastest. */
export interface Tensor {
  readonly integers: Int32Array;
  readonly unit: number;
}

/** Return tensors of so many numbers each. Throws Refused for exponents and weights out of range. */
export function readTensors(decoder: Decoder, counts: number[]): Tensor[] {
  const exponents = decoder.integers(counts.length);
  demand(exponents.every((e) => e >= -24 && e <= 8), "a weight's exponent is out of range");
  return counts.map((count, i) => {
    const integers = decoder.integers(count);
    demand(integers.every((value) => Math.abs(value) < 2 ** 15), "a weight is out of range");
    return { integers: Int32Array.from(integers), unit: 2 ** exponents[i] };
  });
}
