// BACK is PC mode's background: mean colours, which no picture depends on, and an H.264 stream (FORMAT.md, section 9).

import { demand } from "./refused";

const LONGEST = 4096;

/** Return the H.264 stream, in Annex B. Throws Refused for colours and beginnings that no encoder writes. */
export function readBackground(payload: Uint8Array, frames: number): Uint8Array {
  demand(payload.length >= 4 && payload[3] <= 8, "the background's colours are out of range");
  let position = 32;
  const bit = () => {
    demand(position < 8 * payload.length, "the background ends too early");
    const at = position++;
    return (payload[at >> 3] >> (7 - (at & 7))) & 1;
  };
  const colour = [0, 0, 0]; // These are red - green, green and blue - green.
  for (let frame = 0; frame < frames; frame++) {
    for (let i = 0; i < 3; i++) {
      let code = 0;
      while (bit()) demand(++code <= LONGEST, "the background's colours are out of range");
      for (let n = 0; n < payload[3]; n++) code = 2 * code + bit();
      colour[i] += code % 2 ? -(code + 1) / 2 : code / 2;
    }
    const [red, green, blue] = [colour[0] + colour[1], colour[1], colour[2] + colour[1]];
    demand([red, green, blue].every((value) => value >= 0 && value <= 255), "the background's colours are out of range");
  }
  const stream = payload.subarray(Math.ceil(position / 8));
  demand(stream[0] === 0 && stream[1] === 0 && stream[2] === 1, "the background is no H.264 stream");
  return stream;
}
