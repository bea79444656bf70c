// A sharpener takes a frame of the clip, at its own size, through the bundle's filter (FORMAT.md, section 8).

import { type Filter, TAPS } from "../decoder/filter";
import type { Tensor } from "../decoder/weights";
import { EVERYWHERE, Program, type Target, texture } from "./gl";

/** Every device draws into so many textures at once. */
const AT_ONCE = 4;
/** The layer between lies in memory for so many rows of the frame, so that large frames need little of it. */
const ROWS = 64;

/** The first layer's outputs `from` ... `to` - 1, each a vector of four channels, are drawn at once. */
interface Group {
  readonly from: number;
  readonly to: number;
  readonly program: Program;
  framebuffer?: WebGLFramebuffer;
}

export class Sharpener {
  private readonly groups: Group[] = [];
  private readonly second: Program;
  private readonly vectors: number;
  private hidden: { texture: WebGLTexture; width: number } | null = null;

  private constructor(private readonly gl: WebGL2RenderingContext, filter: Filter) {
    this.vectors = Math.ceil(filter.width / 4);
    for (let from = 0; from < this.vectors; from += AT_ONCE) {
      const to = Math.min(from + AT_ONCE, this.vectors);
      this.groups.push({ from, to, program: new Program(gl, EVERYWHERE, firstLayer(filter, from, to)) });
    }
    this.second = new Program(gl, EVERYWHERE, secondLayer(filter, this.vectors));
  }

  /** Begin to compile the filter's shaders. Return null without a filter, and where the device draws no colours beyond bytes. */
  static of(gl: WebGL2RenderingContext, filter: Filter | null): Sharpener | null {
    const able = gl.getExtension("EXT_color_buffer_float") ?? gl.getExtension("EXT_color_buffer_half_float");
    return filter && able && new Sharpener(gl, filter);
  }

  /** Draw rows `start` ... `stop` - 1 of a frame, all of which is in `from`, into `to`, which is as large. */
  apply(from: Target, to: Target, start = 0, stop = to.height): void {
    const { gl } = this;
    const hidden = this.hiddenFor(from.width);
    const last = [from.width - 1, from.height - 1] as const;
    gl.enable(gl.SCISSOR_TEST);
    for (let row = start; row < stop; row += ROWS) {
      const end = Math.min(row + ROWS, stop);
      const begin = Math.max(row - 1, 0);
      gl.viewport(0, 0, from.width, ROWS + 2);
      gl.scissor(0, 0, from.width, Math.min(end + 1, from.height) - begin);
      for (const { program, framebuffer } of this.groups) {
        this.prepare(program, last, begin);
        gl.bindTexture(gl.TEXTURE_2D, from.texture);
        gl.bindFramebuffer(gl.FRAMEBUFFER, framebuffer!);
        gl.drawArrays(gl.TRIANGLES, 0, 3);
      }
      this.prepare(this.second, last, begin);
      gl.uniform1i(this.second.at("hidden"), 1);
      gl.bindTexture(gl.TEXTURE_2D, from.texture);
      gl.activeTexture(gl.TEXTURE1);
      gl.bindTexture(gl.TEXTURE_2D_ARRAY, hidden);
      gl.bindFramebuffer(gl.FRAMEBUFFER, to.framebuffer);
      gl.viewport(0, 0, to.width, to.height);
      gl.scissor(0, row, to.width, end - row);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    }
    gl.disable(gl.SCISSOR_TEST);
  }

  private prepare(program: Program, last: readonly [number, number], begin: number): void {
    const { gl } = this;
    program.use();
    gl.uniform1i(program.at("picture"), 0);
    gl.uniform2i(program.at("last"), ...last);
    gl.uniform1i(program.at("begin"), begin);
    gl.activeTexture(gl.TEXTURE0);
  }

  /** Return the textures between the layers, one behind the other, for frames of a width. */
  private hiddenFor(width: number): WebGLTexture {
    const { gl } = this;
    if (this.hidden?.width === width) return this.hidden.texture;
    gl.deleteTexture(this.hidden?.texture ?? null);
    const made = texture(gl, gl.TEXTURE_2D_ARRAY, () =>
      gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, gl.RGBA16F, width, ROWS + 2, this.vectors));
    for (const group of this.groups) {
      const outputs = Array.from({ length: group.to - group.from }, (_, i) => gl.COLOR_ATTACHMENT0 + i);
      gl.deleteFramebuffer(group.framebuffer ?? null);
      group.framebuffer = gl.createFramebuffer();
      gl.bindFramebuffer(gl.FRAMEBUFFER, group.framebuffer);
      outputs.forEach((at, i) => gl.framebufferTextureLayer(gl.FRAMEBUFFER, at, made, 0, group.from + i));
      gl.drawBuffers(outputs);
    }
    this.hidden = { texture: made, width };
    return made;
  }
}

/** A picture's rows go up here, so the format's row r of three is the one that is 1 - r higher. */
const STEPS = Array.from({ length: TAPS }, (_, tap) => `ivec2(${(tap % 3) - 1}, ${1 - Math.floor(tap / 3)})`);

const HEADER = `#version 300 es
precision highp float;
precision highp int;
uniform highp sampler2D picture;
uniform ivec2 last;
uniform int begin;
vec4 seen(ivec2 at) { return texelFetch(picture, clamp(at, ivec2(0), last), 0); }`;

/** Return the shader of some vectors of the first layer; row 0 of its targets is row `begin` of the frame. */
function firstLayer({ width, first }: Filter, from: number, to: number): string {
  const sums = Array.from({ length: to - from }, (_, i) => i);
  const terms = STEPS.map((step, tap) => {
    const products = sums.map((i) => `sum${i} += ${matrix(first, width, 4, 4 * (from + i), 0, tap)} * x;`);
    return `x = seen(at + ${step}); ${products.join(" ")}`;
  });
  return `${HEADER}
${sums.map((i) => `layout(location = ${i}) out vec4 sum${i};`).join("\n")}
void main() {
  ivec2 at = ivec2(gl_FragCoord.xy) + ivec2(0, begin);
  vec4 x;
  ${sums.map((i) => `sum${i} = vec4(0);`).join(" ")}
  ${terms.join("\n  ")}
  ${sums.map((i) => `sum${i} = max(sum${i}, 0.0);`).join(" ")}
}`;
}

/** Return the shader of the second layer, which adds its outputs to the frame. */
function secondLayer({ width, second }: Filter, vectors: number): string {
  const terms = STEPS.flatMap((step, tap) => {
    const products = Array.from({ length: vectors }, (_, i) => {
      return `sum += ${matrix(second, 4, width, 0, 4 * i, tap)} * texelFetch(hidden, ivec3(p, ${i}), 0);`;
    });
    return [`p = clamp(at + ${step}, ivec2(0), last) - ivec2(0, begin);`, ...products];
  });
  return `${HEADER}
uniform highp sampler2DArray hidden;
out vec4 color;
void main() {
  ivec2 at = ivec2(gl_FragCoord.xy), p;
  vec4 sum = seen(at);
  ${terms.join("\n  ")}
  float alpha = clamp(sum.a, 0.0, 1.0);
  color = vec4(clamp(sum.rgb, 0.0, alpha), alpha);
}`;
}

/** Return the weights between four inputs and four outputs at a tap: GLSL has a matrix column by column, one an input. */
function matrix({ integers, unit }: Tensor, outputs: number, inputs: number, output: number, input: number, tap: number): string {
  const numbers: string[] = [];
  for (let i = input; i < input + 4; i++) {
    for (let o = output; o < output + 4; o++) {
      const value = o < outputs && i < inputs ? integers[(o * inputs + i) * TAPS + tap] * unit : 0;
      numbers.push(Number.isInteger(value) ? `${value}.0` : `${value}`);
    }
  }
  return `mat4(${numbers.join()})`;
}
