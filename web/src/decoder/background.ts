// PC mode's background is mean colours, which no picture depends on, and a stream (FORMAT.md, section 9).

import { demand } from "./refused";

const LONGEST = 4096;

/** These sections hold streams of H.264, H.265 and AV1. */
export const STREAMS = ["BACK", "HEVC", "OBUS"] as const;
export type StreamTag = (typeof STREAMS)[number];

/** Return the stream. Throws Refused for colours and beginnings that no encoder writes. */
export function readBackground(payload: Uint8Array, tag: StreamTag, frames: number): Uint8Array {
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
  const beginning = tag === "OBUS" ? [0x12, 0] : [0, 0, 1];
  demand(beginning.every((byte, i) => stream[i] === byte), "the background is no stream");
  return stream;
}
