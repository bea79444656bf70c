// HNRV is PC mode's background as a network that paints it (FORMAT.md, section 9). The viewer checks it, and shows the object alone.

import type { Decoder } from "./coder";
import { demand } from "./refused";

const MOST = { channels: 1024, keys: 65536, features: 256, scale: 8, depth: 8, expansion: 8 };

interface Stage {
  readonly scale: number;
  readonly depth: number;
  readonly expansion: number;
}

/** Read a section to its end. Throws Refused for what no encoder writes, and for more work than a decoder may be asked for. */
export function checkNetwork(decoder: Decoder, frames: number, width: number, height: number): void {
  const [count] = decoder.integers(1);
  demand(count >= 1 && count <= 6, "the number of the background's stages is out of range");
  const numbers = [...decoder.integers(4 + 3 * count)];
  const limits = [MOST.channels, MOST.keys, MOST.features, MOST.features];
  for (let i = 0; i < count; i++) limits.push(MOST.scale, MOST.depth, MOST.expansion);
  demand(numbers.every((value, i) => value >= 1 && value <= limits[i]), "the shape of the background's network is out of range");
  const [channels, keys, features, tiles] = numbers;
  const stages = Array.from({ length: count }, (_, i): Stage => {
    const [scale, depth, expansion] = numbers.slice(4 + 3 * i);
    return { scale, depth, expansion };
  });
  const side = stages.reduce((product, stage) => product * stage.scale, 1);
  const cells = Math.ceil(height / side) * Math.ceil(width / side);
  demand(side <= 128 && channels >> (count - 1) >= 1, "the background's network is of no possible shape");
  checkWork(stages, channels, cells);
  const sizes = [keys * features * cells, (keys >> 1 || 1) * 2 * features * cells, 27 * features * channels, channels];
  let before = channels;
  stages.forEach(({ scale, depth, expansion }, i) => {
    const after = channels >> i;
    const tile = tiles >> i || 1;
    for (let level = 0; level < 3; level++) sizes.push((frames >> level || 1) * (tile << level) * scale * scale);
    sizes.push(before * 7 * tile);
    for (let block = 0; block < depth; block++, before = after) {
      sizes.push(9 * before, expansion * after * before, expansion * after * after);
    }
  });
  sizes.push(3 * before, 3);
  demand(sizes.reduce((sum, size) => sum + size, 0) <= 2 ** 22, "the background's network is too large");
  demand(decoder.integers(sizes.length).every((step) => step >= -192 && step <= 0), "a step of the background is out of range");
  for (const size of sizes) {
    demand(decoder.integers(size).every((value) => Math.abs(value) < 2 ** 15), "a weight of the background is out of range");
  }
}

function checkWork(stages: readonly Stage[], channels: number, cells: number): void {
  let pixels = cells;
  let before = channels;
  let products = 0;
  stages.forEach(({ scale, depth, expansion }, i) => {
    const after = channels >> i;
    pixels *= scale * scale;
    demand(pixels * before <= 2 ** 28, "the background's network would take too much memory");
    products += pixels * (expansion * after * (before + after + (depth - 1) * 2 * after) + 9 * depth * before);
    before = after;
  });
  demand(products <= 2 ** 39, "the background's network would take too much time");
}
