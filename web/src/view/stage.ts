// The stage draws coarsely while something moves, as fast as the device can, and finely once it is still.

import { Target } from "../render/gl";
import type { Ground, Renderer, View } from "../render/renderer";
import type { Rectangle } from "./cameras";
import { clamp } from "./vectors";

/** A setting is what the stage shows next. */
export interface Setting {
  readonly view: View;
  readonly ground: Ground;
  /** Nothing but this part of the view is shown, in its pixels, and a plate lies here. */
  readonly area?: Rectangle | undefined;
  /** The same frame at the clip's own size fills the area once it is sharpened. */
  readonly frame?: View;
}

/** A moving picture takes about so many milliseconds of the device, and so does a band of a still one. */
const GOAL = 33;
const COARSEST = 0.25;
/** Nothing has been measured before the first picture, which must come soon on any device. */
const AT_FIRST = 0.4;
/** A picture is still when nothing has moved for so many milliseconds. */
const STILL = 150;
/** A frame that is sharpened takes about so many times as long. */
const SHARPENED = 1.3;

export class Stage {
  private scale = AT_FIRST;
  private coarse: Target | null = null;
  private fine: Target | null = null;
  private sharp: Target | null = null;
  private wanted = false;
  private running = false;
  private lastMove = 0;
  /** So many rows of the fine picture are done, and these are all: one that is sharpened has each of its rows twice. */
  private row = 0;
  private rows = 0;
  private millisecondsAPixel = 0;
  private closed = false;

  /** `setting` tells what to show on a canvas of a size; `shown` hears of each picture, and whether it is a fine one. */
  constructor(
    private readonly gl: WebGL2RenderingContext, private readonly renderer: Renderer,
    private readonly setting: (width: number, height: number) => Setting, private readonly shown: (fine: boolean) => void,
  ) {}

  /** Show the setting anew, soon. */
  move(): void {
    this.wanted = true;
    this.lastMove = performance.now();
    if (!this.running) this.run().catch((error) => console.error(error));
  }

  /** Return whether a picture takes hardly any time here, so that motion for its own sake is free. */
  get quick(): boolean {
    return this.millisecondsAPixel * this.gl.drawingBufferWidth * this.gl.drawingBufferHeight < 2 * GOAL;
  }

  /** Stop for good. */
  close(): void {
    this.closed = true;
  }

  private async run(): Promise<void> {
    this.running = true;
    try {
      while (!this.renderer.ready()) await pause(5);
      while (!this.closed && !this.gl.isContextLost()) {
        await nextFrame();
        if (this.wanted) await this.drawMoving();
        else if (this.row < this.rows) await this.refine();
        else break;
      }
    } finally {
      this.running = false;
    }
  }

  private async drawMoving(): Promise<void> {
    const { gl } = this;
    this.wanted = false;
    this.row = 0;
    const [width, height] = [gl.drawingBufferWidth, gl.drawingBufferHeight];
    const { frame } = this.setting(width, height);
    const fine = (this.fine = this.sized(this.fine, frame?.width ?? width, frame?.height ?? height));
    if (frame) this.sharp = this.sized(this.sharp, frame.width, frame.height);
    this.rows = (frame ? 2 : 1) * fine.height;
    const pixels = fine.width * fine.height * (frame ? SHARPENED : 1);
    const scale = this.scale;
    if (scale >= 1) {
      await this.timed(pixels, () => this.showFine(fine));
      this.row = this.rows;
    } else {
      const size = [fine.width * scale, fine.height * scale].map(Math.ceil);
      const coarse = (this.coarse = this.sized(this.coarse, Math.min(size[0], width), Math.min(size[1], height)));
      await this.timed(coarse.width * coarse.height, () => this.showCoarse(coarse));
    }
    const ideal = Math.sqrt(GOAL / (this.millisecondsAPixel * pixels));
    // Small changes would only make the picture shimmer.
    if (ideal > 1.2 * this.scale || ideal < 0.85 * this.scale) {
      this.scale = clamp(ideal, Math.max(COARSEST, 0.6 * this.scale), Math.min(1, 1.5 * this.scale));
      this.scale = this.scale > 0.9 ? 1 : this.scale;
    }
    this.tell(scale >= 1);
  }

  /** Draw one more band of the fine picture, once nothing has moved for a while. */
  private async refine(): Promise<void> {
    if (performance.now() - this.lastMove < STILL) return;
    const target = this.fine!;
    const rows = Math.max(Math.floor(GOAL / (this.millisecondsAPixel * target.width)), 8);
    const from = this.row % target.height;
    const to = Math.min(from + rows, target.height);
    const { view, frame } = this.setting(this.gl.drawingBufferWidth, this.gl.drawingBufferHeight);
    await this.timed(0, () => {
      if (this.row < target.height) this.renderer.draw(frame ?? view, target, from, to);
      else this.renderer.sharpener!.apply(target, this.sharp!, from, to);
    });
    if (this.wanted) return;
    this.row += to - from;
    if (this.row === this.rows) {
      this.put(frame ? this.sharp! : target);
      this.tell(true);
    }
  }

  /** Tell of a picture; a lost canvas has none, and what was asked of it ends at once as if it were drawn. */
  private tell(fine: boolean): void {
    if (!this.closed && !this.gl.isContextLost()) this.shown(fine);
  }

  private showCoarse(target: Target): void {
    this.renderer.draw(this.setting(this.gl.drawingBufferWidth, this.gl.drawingBufferHeight).view, target);
    this.put(target);
  }

  private showFine(target: Target): void {
    const { view, frame } = this.setting(this.gl.drawingBufferWidth, this.gl.drawingBufferHeight);
    this.renderer.draw(frame ?? view, target);
    if (frame) this.renderer.sharpener!.apply(target, this.sharp!);
    this.put(frame ? this.sharp! : target);
  }

  private put(target: Target): void {
    const [width, height] = [this.gl.drawingBufferWidth, this.gl.drawingBufferHeight];
    const { ground, area, view } = this.setting(width, height);
    this.renderer.compose(target, ground, null, area && {
      x: area.x / view.width, y: area.y / view.height, width: area.width / view.width, height: area.height / view.height,
    }, target === this.sharp);
  }

  /** Wait until the device has done what `draw` asks, and measure it over so many pixels, if any. */
  private async timed(pixels: number, draw: () => void): Promise<void> {
    const { gl } = this;
    const start = performance.now();
    draw();
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    while (fence && gl.clientWaitSync(fence, 0, 0) === gl.TIMEOUT_EXPIRED) await pause(1);
    gl.deleteSync(fence);
    if (pixels > 0) {
      const measured = (performance.now() - start) / pixels;
      this.millisecondsAPixel = this.millisecondsAPixel ? (this.millisecondsAPixel + measured) / 2 : measured;
    }
  }

  private sized(target: Target | null, width: number, height: number): Target {
    if (target?.width === width && target.height === height) return target;
    target?.free();
    return new Target(this.gl, width, height);
  }
}

function nextFrame(): Promise<unknown> {
  // A hidden page has no frames; it must not wait for one for ever, as its viewer may be closed meanwhile.
  return Promise.race([new Promise(requestAnimationFrame), pause(500)]);
}

function pause(milliseconds: number): Promise<unknown> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
