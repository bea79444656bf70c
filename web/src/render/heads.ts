// The heads become GLSL: small ones line by line with their weights as literals, larger ones as loops over a texture of weights.

import type { Layer } from "../decoder/weights";

/** Heads of more vectors of weights are loops, lest the shader take long to compile; literals are five times faster in software. */
const WRITTEN_OUT = 2500;
/** The texture of weights has so many vectors a row. */
export const WEIGHTS_SIDE = 1024;

/** A vector of inputs or outputs is a variable of its own where code is written out, an element of an array in loops. */
export type Naming = (name: string, index: number | string) => string;

/** A packed layer has, for each four outputs, their biases and then a column of four weights for each input. */
export interface Packed {
  readonly values: Float32Array;
  /** The layer begins at this vector of the array. */
  readonly first: number;
  /** There are so many vectors of four inputs, and of four outputs. */
  readonly inputs: number;
  readonly outputs: number;
}

/**
 * Pack a layer from vector `first` on. `order` names the input that stands at each position of the shader's input vectors, or -1
 * for a position that is unused.
 */
export function packed(layer: Layer, order: readonly number[], first: number): Packed {
  const inputs = Math.ceil(order.length / 4);
  const outputs = Math.ceil(layer.outputs / 4);
  const values = new Float32Array(outputs * (1 + 4 * inputs) * 4);
  let at = 0;
  for (let row = 0; row < layer.outputs; row += 4) {
    for (let o = row; o < row + 4; o++, at++) values[at] = o < layer.outputs ? layer.bias[o] * layer.biasUnit : 0;
    for (let i = 0; i < 4 * inputs; i++) {
      const input = order[i] ?? -1;
      for (let o = row; o < row + 4; o++, at++) {
        values[at] = o < layer.outputs && input >= 0 ? layer.weights[o * layer.inputs + input] * layer.weightUnit : 0;
      }
    }
  }
  return { values, first, inputs, outputs };
}

/** Return 0 ... count - 1, the order of inputs that lie as the bundle has them. */
export function inOrder(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** A writer of heads knows whether they are written out. */
export class HeadWriter {
  readonly name: Naming;

  constructor(private readonly weights: Float32Array) {
    this.name = this.writtenOut ? (name, index) => `${name}${index}` : (name, index) => `${name}[${index}]`;
  }

  get writtenOut(): boolean {
    return this.weights.length <= 4 * WRITTEN_OUT;
  }

  /** Return what comes before the shader's functions. */
  get header(): string {
    return this.writtenOut ? "" : `uniform highp sampler2D weights;
      vec4 W(int i) { return texelFetch(weights, ivec2(i & ${WEIGHTS_SIDE - 1}, i / ${WEIGHTS_SIDE}), 0); }`;
  }

  /** Return the declaration of so many vectors, which are 0. */
  declare(name: string, count: number): string {
    if (!this.writtenOut) return `vec4 ${name}[${count}]; for (int i = 0; i < ${count}; i++) ${name}[i] = vec4(0);`;
    return inOrder(count).map((i) => `vec4 ${this.name(name, i)} = vec4(0);`).join(" ");
  }

  /** Return code that sets `to` to a layer's outputs of `from`, where both are declared. */
  layer({ first, inputs, outputs }: Packed, from: string, to: string, rectified: boolean): string {
    const stride = 1 + 4 * inputs;
    const end = (sum: string) => (rectified ? `max(${sum}, 0.0)` : sum);
    if (this.writtenOut) {
      return inOrder(outputs).map((row) => {
        const base = first + row * stride;
        const terms = inOrder(inputs).map((i) => `+ ${column(this.name(from, i), (c) => this.literal(base + 1 + 4 * i + c))}`);
        return `${this.name(to, row)} = ${end(`${this.literal(base)} ${terms.join(" ")}`)};`;
      }).join("\n");
    }
    return `for (int row = 0; row < ${outputs}; row++) {
      int at = ${first} + row * ${stride};
      vec4 sum = W(at); at++;
      for (int i = 0; i < ${inputs}; i++, at += 4) { vec4 x = ${from}[i]; sum += ${column("x", (c) => `W(at + ${c})`)}; }
      ${to}[row] = ${end("sum")};
    }`;
  }

  private literal(vector: number): string {
    const numbers = Array.from(this.weights.subarray(4 * vector, 4 * vector + 4), (value) => {
      return Number.isInteger(value) ? `${value}.0` : `${value}`;
    });
    return `vec4(${numbers.join()})`;
  }
}

function column(vector: string, weight: (component: number) => string): string {
  return [..."xyzw"].map((letter, c) => `${weight(c)} * ${vector}.${letter}`).join(" + ");
}
