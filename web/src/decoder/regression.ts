// A regression says how probable a bit is, and learns each one (FORMAT.md, section 7).

import type { Decoder } from "./coder";

const LIMIT = 2816;
const ONE = 65536;
/** The input 1 of a regression. */
export const CONSTANT = 64;

/** ones[z + 2816] is P(1), in 1/65536, of a logit z in 1/256. */
const ONES = Uint16Array.from({ length: 2 * LIMIT + 1 }, (_, i) => {
  const positive = Math.min(Math.round(ONE / (1 + Math.exp(-Math.abs(i - LIMIT) / 256))), ONE - 1);
  return i >= LIMIT ? positive : ONE - positive;
});

/** STRETCHED[ones] is the largest logit whose probability is no more than ones / 65536. */
export const STRETCHED = new Int16Array(ONE);
for (let ones = 1, z = 0; ones < ONE; ones++) {
  while (z < 2 * LIMIT && ONES[z + 1] <= ones) z++;
  STRETCHED[ones] = z - LIMIT;
}

/**
 * Regressions have weights in 2^-20. Doubles hold them exactly: one codes at most 2^24 bits, and each adds at most
 * 65535 * 2816 / 2^11 to the weight of input 0 and 65535 * 256 / 2^11 to the others. Neither they nor their sums with inputs
 * reach 2^53.
 */
export function newWeights(regressions: number, inputs: number): Float64Array {
  const weights = new Float64Array(regressions * inputs);
  for (let i = 0; i < weights.length; i += inputs) weights[i] = 2 ** 20;
  return weights;
}

/** Return a bit by the first `count` inputs, and the weights from `base` on, which learn it. */
export function readMixed(decoder: Decoder, weights: Float64Array, base: number, inputs: Float64Array, count: number): 0 | 1 {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += weights[base + i] * inputs[i];
  const ones = ONES[clamped(Math.floor(sum / 2 ** 20)) + LIMIT];
  const bit = decoder.bit(ones);
  const error = (bit ? ONE : 0) - ones;
  for (let i = 0; i < count; i++) weights[base + i] += (error * inputs[i] + 1024) >> 11;
  return bit;
}

/** Return a logit within the limits of an input. */
export function clamped(logit: number): number {
  return Math.min(Math.max(logit, -LIMIT), LIMIT);
}
