// The film goes along the stored cameras, with the background where there is one.

import type { Bundle } from "../decoder/bundle";
import type { Plates } from "./plates";
import { fitted, fittedView } from "./cameras";
import type { Color, Ground } from "../render/renderer";
import type { Setting } from "./stage";

export class Film {
  /** This is the frame that is wanted now. */
  index = 0;
  private begun: { frame: number; at: number } | null = null;
  private shown: { index: number; plate: VideoFrame } | null = null;
  plates: Plates | null = null;

  /** `sharpens` tells whether frames pass through the bundle's filter; `advanced` is told when another frame is wanted. */
  constructor(private readonly bundle: Bundle, private readonly sharpens: boolean, private readonly advanced: () => void) {}

  /** Return whether the wanted frame's background is still on the way. */
  get waiting(): boolean {
    return this.plates !== null && !this.plates.broken && this.shown?.index !== this.index;
  }

  get playing(): boolean {
    return this.begun !== null;
  }

  play(): void {
    this.begun = { frame: this.index, at: performance.now() };
    requestAnimationFrame(() => this.tick());
  }

  pause(): void {
    this.begun = null;
  }

  seek(index: number): void {
    const { frames } = this.bundle.spec;
    this.index = ((index % frames) + frames) % frames;
    if (this.begun) this.begun = { frame: this.index, at: performance.now() };
    this.advanced();
  }

  /** Return the frame for a canvas. While its background is on the way, the frame before stays. */
  setting(width: number, height: number, ground: Color): Setting {
    const { camera } = this.bundle.cameras;
    const plates = this.plates?.broken ? null : this.plates;
    const plate = plates?.get(this.index);
    if (plate) this.shown = { index: this.index, plate };
    const index = (plates && this.shown?.index) ?? this.index;
    const setting = {
      view: fittedView(this.bundle, index, width, height),
      ground: ((plates && this.shown?.plate) ?? ground) as Ground,
      area: plates || this.sharpens ? fitted(camera, width, height) : undefined,
    };
    return this.sharpens ? { ...setting, frame: fittedView(this.bundle, index, camera.width, camera.height) } : setting;
  }

  private tick(): void {
    if (!this.begun) return;
    const { frames, rate } = this.bundle.spec;
    const passed = Math.floor(((performance.now() - this.begun.at) / 1000) * rate);
    const index = (this.begun.frame + passed) % frames;
    if (index !== this.index) {
      this.index = index;
      this.advanced();
    }
    requestAnimationFrame(() => this.tick());
  }
}
