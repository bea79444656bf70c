// The renderer draws a field from any camera, and puts the picture over its ground.

import type { Bundle, Recipe } from "../decoder/bundle";
import { uploadAtlases } from "./atlas";
import { EVERYWHERE, Program, Target, texture } from "./gl";
import { WEIGHTS_SIDE } from "./heads";
import { raysOf } from "./rays";
import { type Shader, shaderOf } from "./shader";
import { Sharpener } from "./sharpener";
import type { Space } from "./space";

/** A view is a camera at a place: cam_from_world, and its lens in pixels of a picture of `width` x `height`. */
export interface View {
  readonly rotation: readonly number[];
  readonly translation: readonly number[];
  readonly lens: readonly [number, number, number, number];
  readonly distortion: readonly [number, number, number, number];
  /** These take (red, green, blue, alpha) to red, to green and to blue: twelve numbers. */
  readonly colors: Float64Array;
  readonly width: number;
  readonly height: number;
  /** The view of a stored frame is drawn with exact rays where the target has its size. */
  readonly stored: boolean;
}

/** A colour is premultiplied red, green, blue, alpha in 0 ... 1. */
export type Color = readonly [number, number, number, number];

/** The ground is what shows behind the object: a colour, or a plate of the background. */
export type Ground = Color | VideoFrame;

/** An area is a part of a canvas, from the upper left, in shares of its size. */
export interface Area {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const EVERYTHING: Area = { x: 0, y: 0, width: 1, height: 1 };

const COMPOSE = `#version 300 es
precision highp float;
uniform highp sampler2D object, plate;
uniform vec4 ground, area;
uniform vec2 size, crop;
uniform bool framed;
out vec4 color;
void main() {
  vec2 at = gl_FragCoord.xy / size;
  vec2 within = (vec2(at.x, 1.0 - at.y) - area.xy) / area.zw;
  vec4 front = texture(object, framed ? vec2(within.x, 1.0 - within.y) : at), back = ground;
  if (within != clamp(within, 0.0, 1.0)) front = vec4(0);
  else if (crop.x > 0.0) back = vec4(texture(plate, within * crop).rgb, 1);
  color = front + (1.0 - front.a) * back;
}`;

/** The programs of a renderer are compiled before the tables are known: that takes as long as decoding them. */
export class Programs {
  readonly shader: Shader;
  readonly field: Program;
  readonly composer: Program;
  /** This is null where the bundle has no filter, or the device cannot run it. */
  readonly sharpener: Sharpener | null;

  constructor(readonly gl: WebGL2RenderingContext, recipe: Recipe) {
    this.shader = shaderOf(recipe);
    this.field = new Program(gl, EVERYWHERE, this.shader.source);
    this.composer = new Program(gl, EVERYWHERE, COMPOSE);
    this.sharpener = Sharpener.of(gl, recipe.filter);
  }
}

/** A renderer draws into targets, and from there onto the canvas of its context. */
export class Renderer {
  /** Frames of the clip pass through this, where it is not null. */
  readonly sharpener: Sharpener | null;
  private readonly gl: WebGL2RenderingContext;
  private readonly textures: Map<string, WebGLTexture>;
  private readonly plate: WebGLTexture;
  private readonly camera: { readonly width: number; readonly height: number };
  private raysOf: View | null = null;
  private loaded: VideoFrame | null = null;
  private crop: [number, number] = [0, 0];

  constructor(private readonly programs: Programs, bundle: Bundle, private readonly space: Space) {
    const { gl, shader } = programs;
    this.gl = gl;
    this.sharpener = programs.sharpener;
    this.textures = uploadAtlases(gl, shader.chunks, bundle.tables);
    this.camera = bundle.cameras.camera;
    const side = bundle.spec.occupancy;
    this.textures.set("empty", texture(gl, gl.TEXTURE_3D, () =>
      gl.texImage3D(gl.TEXTURE_3D, 0, gl.R8UI, side, side, side, 0, gl.RED_INTEGER, gl.UNSIGNED_BYTE, space.distances)));
    if (shader.needsWeights) this.textures.set("weights", weightsTexture(gl, shader.weights));
    this.textures.set("rays", texture(gl, gl.TEXTURE_2D, () => {}));
    this.plate = texture(gl, gl.TEXTURE_2D, () => {}, gl.LINEAR);
  }

  /** Return whether drawing would not have to wait for the compiler. */
  ready(): boolean {
    return this.programs.field.ready() && this.programs.composer.ready();
  }

  /** Draw rows `from` ... `to` - 1 of a view into a target; a target of another size shows the same picture. */
  draw(view: View, target: Target, from = 0, to = target.height): void {
    const { gl, space } = this;
    const program = this.programs.field;
    program.use();
    gl.bindFramebuffer(gl.FRAMEBUFFER, target.framebuffer);
    gl.viewport(0, 0, target.width, target.height);
    gl.enable(gl.SCISSOR_TEST);
    gl.scissor(0, from, target.width, to - from);
    const R = view.rotation;
    const t = view.translation;
    gl.uniformMatrix3fv(program.at("toWorld"), false, R);
    gl.uniform3fv(program.at("origin"), [0, 1, 2].map((i) => -(R[i] * t[0] + R[3 + i] * t[1] + R[6 + i] * t[2])));
    const [sx, sy] = [target.width / view.width, target.height / view.height];
    gl.uniform4f(program.at("lens"), view.lens[0] * sx, view.lens[1] * sy, view.lens[2] * sx, view.lens[3] * sy);
    gl.uniform4fv(program.at("distortion"), view.distortion);
    gl.uniform4fv(program.at("colors"), Float32Array.from(view.colors));
    gl.uniform1f(program.at("height"), target.height);
    gl.uniform3fv(program.at("low"), space.low);
    gl.uniform3fv(program.at("high"), space.high);
    const stored = view.stored && target.width === view.width && target.height === view.height;
    gl.uniform1i(program.at("stored"), stored ? 1 : 0);
    if (stored && this.raysOf !== view) this.loadRays(view);
    this.bind(program);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.disable(gl.SCISSOR_TEST);
  }

  /**
   * Put a target over its ground, onto the whole canvas or into another target. The object and a picture as ground are seen in an
   * area alone; a target that is `framed` is just as large as that.
   */
  compose(from: Target, ground: Ground, to: Target | null, area: Area = EVERYTHING, framed = false): void {
    const { gl } = this;
    const { composer } = this.programs;
    const [width, height] = to ? [to.width, to.height] : [gl.drawingBufferWidth, gl.drawingBufferHeight];
    const picture = isPicture(ground);
    composer.use();
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.plate);
    if (picture && ground !== this.loaded) this.loadPlate(ground);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, from.texture);
    gl.bindFramebuffer(gl.FRAMEBUFFER, to?.framebuffer ?? null);
    gl.viewport(0, 0, width, height);
    gl.uniform1i(composer.at("object"), 0);
    gl.uniform1i(composer.at("plate"), 1);
    gl.uniform4fv(composer.at("ground"), picture ? [0, 0, 0, 0] : ground);
    gl.uniform4f(composer.at("area"), area.x, area.y, area.width, area.height);
    gl.uniform2fv(composer.at("crop"), picture ? this.crop : [0, 0]);
    gl.uniform2f(composer.at("size"), width, height);
    gl.uniform1i(composer.at("framed"), framed ? 1 : 0);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** Load a plate into its texture; its upper left pixels count, as many as a frame has. */
  private loadPlate(picture: VideoFrame): void {
    const { gl, camera } = this;
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, picture);
    this.crop = [camera.width / picture.displayWidth, camera.height / picture.displayHeight];
    this.loaded = picture;
  }

  private bind(program: Program): void {
    const { gl } = this;
    let unit = 0;
    for (const [name, each] of this.textures) {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(targetOf(gl, name), each);
      gl.uniform1i(program.at(name), unit++);
    }
  }

  private loadRays(view: View): void {
    const { gl } = this;
    gl.bindTexture(gl.TEXTURE_2D, this.textures.get("rays")!);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB32F, view.width, view.height, 0, gl.RGB, gl.FLOAT, raysOf(view));
    this.raysOf = view;
  }
}

function weightsTexture(gl: WebGL2RenderingContext, weights: Float32Array): WebGLTexture {
  const height = Math.ceil(weights.length / (4 * WEIGHTS_SIDE));
  const data = new Float32Array(4 * WEIGHTS_SIDE * height);
  data.set(weights);
  return texture(gl, gl.TEXTURE_2D, () =>
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32F, WEIGHTS_SIDE, height, 0, gl.RGBA, gl.FLOAT, data));
}

function targetOf(gl: WebGL2RenderingContext, name: string): number {
  if (name === "empty") return gl.TEXTURE_3D;
  return name.startsWith("atlas") ? gl.TEXTURE_2D_ARRAY : gl.TEXTURE_2D;
}

function isPicture(ground: Ground): ground is VideoFrame {
  return "displayWidth" in ground;
}
