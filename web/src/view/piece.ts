// A piece is a decoded bundle on a canvas: it is either seen freely or as its film.

import type { Bundle } from "../decoder/bundle";
import { type Color, type Programs, Renderer } from "../render/renderer";
import { Film } from "./film";
import type { Decoded } from "./loader";
import { Orbit } from "./orbit";
import { pictureOf } from "./picture";
import { Plates } from "./plates";
import { type Setting, Stage } from "./stage";

/** Details finer than half a pixel of the film are not in the bundle, so none are drawn. */
const FINEST = 2;

/** A listener hears what happens to a piece. */
export interface Listener {
  /** A picture is on the canvas, a fine one or one of the moment. */
  shown(fine: boolean): void;
  /** The film has come to a frame, or was left. */
  changed(): void;
  /** The canvas is gone, and with it all that was drawn there. */
  lost(): void;
}

export class Piece {
  readonly film: Film;
  /** This is true while the film is shown, and not the free view. */
  filming = false;
  ground: Color = [1, 1, 1, 1];
  private readonly orbit: Orbit;
  private readonly renderer: Renderer;
  private readonly stage: Stage;
  private readonly gl: WebGL2RenderingContext;

  constructor(
    private readonly canvas: HTMLCanvasElement, programs: Programs, private readonly decoded: Decoded,
    private readonly listener: Listener,
  ) {
    const { gl } = programs;
    this.gl = gl;
    this.renderer = new Renderer(programs, decoded.bundle, decoded.space);
    this.orbit = new Orbit(decoded.bundle, decoded.space);
    this.film = new Film(decoded.bundle, this.sharpens, () => this.changed());
    this.stage = new Stage(gl, this.renderer, (width, height) => this.setting(width, height), (fine) => {
      listener.shown(fine && !(this.filming && this.film.waiting));
    });
    canvas.addEventListener("webglcontextlost", this.onLost);
    this.resize();
  }

  get bundle(): Bundle {
    return this.decoded.bundle;
  }

  /** Return whether motion for its own sake is free on this device. */
  get quick(): boolean {
    return this.stage.quick;
  }

  /** Return whether frames of the film pass through the bundle's filter: it has one, and the device can run it. */
  get sharpens(): boolean {
    return this.renderer.sharpener !== null;
  }

  /** Prepare the background, if there is one. Resolves to false where this browser cannot play it. */
  async prepareBackground(): Promise<boolean> {
    const { background, codec, spec } = this.bundle;
    if (!background || !codec) return true;
    this.film.plates = await Plates.open(background, codec, spec.frames, () => this.changed());
    this.stage.move();
    return this.film.plates !== null;
  }

  /** Draw for the canvas's present size. */
  resize(): void {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const { camera } = this.bundle.cameras;
    const most = FINEST * Math.max(camera.width / width, camera.height / height);
    const ratio = Math.min(devicePixelRatio || 1, most);
    this.canvas.width = Math.max(Math.round(width * ratio), 1);
    this.canvas.height = Math.max(Math.round(height * ratio), 1);
    this.stage.move();
  }

  turn(right: number, up: number): void {
    this.free().turn(right, up);
  }

  zoom(factor: number): void {
    this.free().zoom(factor);
  }

  pan(right: number, down: number): void {
    this.free().pan(right, down);
  }

  reset(): void {
    this.free().goTo(0);
  }

  /** Show a frame of the film. */
  seek(index: number): void {
    this.filming = true;
    this.film.seek(index);
  }

  play(): void {
    this.filming = true;
    if (this.film.playing) this.film.pause();
    else this.film.play();
    this.changed();
  }

  setGround(ground: Color): void {
    this.ground = ground;
    this.stage.move();
  }

  /** Return a stored frame as every decoder draws it: at its own size, over the ground, premultiplied. */
  picture(index: number): ImageData {
    const made = pictureOf(this.gl, this.renderer, this.bundle, index, this.ground);
    this.stage.move();
    return made;
  }

  close(): void {
    this.film.pause();
    this.film.plates?.close();
    this.stage.close();
    this.canvas.removeEventListener("webglcontextlost", this.onLost);
  }

  /** Return the orbit, after leaving the film where it is. */
  private free(): Orbit {
    if (this.filming) {
      this.film.pause();
      this.orbit.goTo(this.film.index);
      this.filming = false;
    }
    this.changed();
    return this.orbit;
  }

  private readonly onLost = (event: Event) => {
    event.preventDefault();
    this.listener.lost();
  };

  private changed(): void {
    this.stage.move();
    this.listener.changed();
  }

  private setting(width: number, height: number): Setting {
    if (this.filming) return this.film.setting(width, height, this.ground);
    return { view: this.orbit.view(width, height), ground: this.ground };
  }
}
