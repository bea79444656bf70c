// The film goes along the stored cameras, with the background where there is one.

import type { Bundle } from "../decoder/bundle";
import type { Plates } from "./plates";
import { fitted, fittedView } from "./cameras";
import type { Color } from "../render/renderer";
import type { Setting } from "./stage";

export class Film {
  /** This is the frame that is wanted now. */
  index = 0;
  private begun: { frame: number; at: number } | null = null;
  private shown: { index: number; plate: VideoFrame } | null = null;
  plates: Plates | null = null;

  constructor(private readonly bundle: Bundle, private readonly advanced: () => void) {}

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
    if (!this.plates || this.plates.broken) return { view: fittedView(this.bundle, this.index, width, height), ground };
    const plate = this.plates.get(this.index);
    if (plate) this.shown = { index: this.index, plate };
    const view = fittedView(this.bundle, this.shown?.index ?? this.index, width, height);
    return { view, ground: this.shown?.plate ?? ground, area: fitted(this.bundle.cameras.camera, width, height) };
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
