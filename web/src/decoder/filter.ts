// FILT is a filter of the clip's frames: two convolutions without biases (FORMAT.md, section 6).

import type { Decoder } from "./coder";
import { demand } from "./refused";
import { readTensors, type Tensor } from "./weights";

/** A layer sees so many pixels, three rows of three. */
export const TAPS = 9;
const CHANNELS = 4;
const WIDEST = 64;

/** The weights of the two layers are [width, 4, 3, 3] and [4, width, 3, 3], shaped [out, in, row, column]. */
export interface Filter {
  readonly width: number;
  readonly first: Tensor;
  readonly second: Tensor;
}

/** Return the filter. Throws Refused for a width, exponents and weights out of range. */
export function readFilter(decoder: Decoder): Filter {
  const width = decoder.integers(1)[0];
  demand(width >= 1 && width <= WIDEST, "the width of the frames' filter is out of range");
  const count = CHANNELS * width * TAPS;
  const [first, second] = readTensors(decoder, [count, count]);
  return { width, first, second };
}
