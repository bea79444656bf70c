// The stage draws coarsely while something moves, as fast as the device can, and finely once it is still.

import { Target } from "../render/gl";
import type { Ground, Renderer, View } from "../render/renderer";
import type { Rectangle } from "./cameras";
import { clamp } from "./vectors";

/** A setting is what the stage shows next. */
export interface Setting {
  readonly view: View;
  readonly ground: Ground;
  /** A plate lies here, in pixels of the view. */
  readonly area?: Rectangle;
}

/** A moving picture takes about so many milliseconds of the device, and so does a band of a still one. */
const GOAL = 33;
const COARSEST = 0.25;
/** Nothing has been measured before the first picture, which must come soon on any device. */
const AT_FIRST = 0.4;
/** A picture is still when nothing has moved for so many milliseconds. */
const STILL = 150;

export class Stage {
  private scale = AT_FIRST;
  private coarse: Target | null = null;
  private fine: Target | null = null;
  private wanted = false;
  private running = false;
  private lastMove = 0;
  private row = 0;
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
        else if (this.fine === null || this.row < this.fine.height) await this.refine();
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
    this.fine = this.sized(this.fine, width, height);
    const scale = this.scale;
    if (scale >= 1) {
      await this.timed(this.fine.width * this.fine.height, () => this.show(this.fine!, 0, height));
      this.row = height;
    } else {
      this.coarse = this.sized(this.coarse, Math.ceil(width * scale), Math.ceil(height * scale));
      await this.timed(this.coarse.width * this.coarse.height, () => this.show(this.coarse!, 0, this.coarse!.height));
    }
    const ideal = Math.sqrt(GOAL / (this.millisecondsAPixel * width * height));
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
    const to = Math.min(this.row + rows, target.height);
    const from = this.row;
    const { view } = this.setting(target.width, target.height);
    await this.timed(0, () => this.renderer.draw(view, target, from, to));
    if (this.wanted) return;
    this.row = to;
    if (to === target.height) {
      this.put(target);
      this.tell(true);
    }
  }

  /** Tell of a picture; a lost canvas has none, and what was asked of it ends at once as if it were drawn. */
  private tell(fine: boolean): void {
    if (!this.closed && !this.gl.isContextLost()) this.shown(fine);
  }

  private show(target: Target, from: number, to: number): void {
    const { view } = this.setting(this.gl.drawingBufferWidth, this.gl.drawingBufferHeight);
    this.renderer.draw(view, target, from, to);
    this.put(target);
  }

  private put(target: Target): void {
    const [width, height] = [this.gl.drawingBufferWidth, this.gl.drawingBufferHeight];
    const { ground, area, view } = this.setting(width, height);
    this.renderer.compose(target, ground, null, area && {
      x: area.x / view.width, y: area.y / view.height, width: area.width / view.width, height: area.height / view.height,
    });
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
