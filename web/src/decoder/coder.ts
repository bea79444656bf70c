// The arithmetic coder (FORMAT.md, section 2). Its state has 32 bits and its products 48, which doubles hold exactly.

import { demand } from "./refused";

const HALF = 2 ** 31;
const QUARTER = 2 ** 30;
const ONE = 65536;
const ALLOWANCE = 32;
const GROUP = 84;
const LONGEST = 40;

/** Adaptive models are pairs of P(1) in 1/65536 and the number of bits seen. */
export class Models {
  readonly ones: Uint16Array;
  readonly counts: Uint8Array;

  constructor(count: number) {
    this.ones = new Uint16Array(count).fill(ONE / 2);
    this.counts = new Uint8Array(count);
  }

  /** Let model `index` learn a bit. */
  learn(index: number, bit: 0 | 1): void {
    const before = this.ones[index];
    const count = Math.min(this.counts[index] + 1, 255);
    this.counts[index] = count;
    const after = before + Math.floor(((bit ? ONE : 0) - before) / (count + 1));
    this.ones[index] = Math.min(Math.max(after, 32), 65504);
  }
}

/** A decoder takes bits out of one section. Each method throws Refused where the section asks for more bits than it may. */
export class Decoder {
  private low = 0;
  private high = 2 ** 32 - 1;
  private value = 0;
  private position = 0;
  private readonly end: number;

  constructor(private readonly bytes: Uint8Array) {
    this.end = bytes.length * 8 + ALLOWANCE;
    for (let i = 0; i < 32; i++) this.value = this.value * 2 + this.next();
  }

  /** Return a bit whose P(1) is `ones` / 65536. */
  bit(ones: number): 0 | 1 {
    const split = Math.floor(((this.high - this.low + 1) * (ONE - ones)) / ONE);
    const bit = this.value >= this.low + split ? 1 : 0;
    if (bit) this.low += split;
    else this.high = this.low + split - 1;
    for (;;) {
      let offset = 0;
      if (this.high >= HALF) {
        if (this.low >= HALF) offset = HALF;
        else if (this.low >= QUARTER && this.high < 3 * QUARTER) offset = QUARTER;
        else return bit;
      }
      this.low = 2 * (this.low - offset);
      this.high = 2 * (this.high - offset) + 1;
      this.value = 2 * (this.value - offset) + this.next();
    }
  }

  /** Return a bit of model `index`, which learns from it. */
  adaptive(models: Models, index: number): 0 | 1 {
    const bit = this.bit(models.ones[index]);
    models.learn(index, bit);
    return bit;
  }

  /** Return `count` integers of fresh models; they are exact, for none has more than 42 bits. */
  integers(count: number): Float64Array {
    const models = new Models(3 * GROUP);
    const found = new Float64Array(count);
    for (let i = 0, previous = 0; i < count; i++) {
      const group = previous === 0 ? 0 : Math.abs(previous) < 4 ? GROUP : 2 * GROUP;
      previous = found[i] = this.adaptive(models, group) ? this.nonZero(models, group) : 0;
    }
    return found;
  }

  private nonZero(models: Models, group: number): number {
    const negative = this.adaptive(models, group + 1);
    let n = 0;
    while (n < LONGEST && this.adaptive(models, group + 2 + n)) n++;
    let magnitude = 1;
    for (let i = 0; i < n; i++) {
      magnitude = magnitude * 2 + (i === 0 ? this.adaptive(models, group + 43 + n) : this.bit(ONE / 2));
    }
    return negative ? -magnitude : magnitude;
  }

  private next(): number {
    const at = this.position++;
    demand(at < this.end, "a section ends too early");
    return at >> 3 < this.bytes.length ? (this.bytes[at >> 3] >> (7 - (at & 7))) & 1 : 0;
  }
}
