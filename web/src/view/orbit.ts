// The free view goes around the object: it turns, comes closer and moves aside, within bounds.

import type { Bundle } from "../decoder/bundle";
import type { View } from "../render/renderer";
import type { Space } from "../render/space";
import { elevations, meanColors, placeOf, upOf } from "./cameras";
import { clamp, cross, dot, plus, unit, type Vector } from "./vectors";

/** The film shows nothing of what lies further above or below its path, so the free view does not go there. */
const BEYOND = Math.PI / 7;
const STEEPEST = (85 * Math.PI) / 180;
const NEAREST = 0.25;
const FARTHEST = 2;

/** An orbit is a camera around a point, by angles in radians and a distance in edges of the unit cube. */
export class Orbit {
  private azimuth = 0;
  private elevation = 0;
  private distance = 1;
  private target: Vector;
  private readonly centre: Vector;
  private readonly up: Vector;
  private readonly east: Vector;
  private readonly north: Vector;
  private readonly bounds: readonly [number, number];
  private readonly usual: number;
  private readonly colors: Float64Array;

  constructor(private readonly bundle: Bundle, { low, high }: Space) {
    const { poses } = bundle.cameras;
    this.centre = this.target = [0, 1, 2].map((i) => (low[i] + high[i]) / 2) as unknown as Vector;
    this.up = upOf(poses);
    const [least, most] = elevations(poses, this.centre, this.up);
    this.bounds = [Math.max(least - BEYOND, -STEEPEST), Math.min(most + BEYOND, STEEPEST)];
    const away = plus(placeOf(poses[0]), this.centre, -1);
    this.usual = Math.hypot(...away);
    this.east = unit(plus(away, this.up, -dot(away, this.up)));
    this.north = cross(this.up, this.east);
    this.colors = meanColors(bundle);
    this.goTo(0);
  }

  /** Stand where a frame's camera stood, and look at the object's centre. */
  goTo(frame: number): void {
    const away = plus(placeOf(this.bundle.cameras.poses[frame]), this.centre, -1);
    this.target = this.centre;
    this.distance = Math.hypot(...away);
    this.elevation = Math.asin(dot(unit(away), this.up));
    this.azimuth = Math.atan2(dot(away, this.north), dot(away, this.east));
  }

  turn(right: number, up: number): void {
    this.azimuth += right;
    this.elevation = clamp(this.elevation + up, ...this.bounds);
  }

  /** Come closer by a factor above 1. */
  zoom(factor: number): void {
    this.distance = clamp(this.distance / factor, NEAREST * this.usual, FARTHEST * this.usual);
  }

  /** Move the object by shares of the picture's height; its centre stays within the unit cube. */
  pan(right: number, down: number): void {
    const { rotation } = this.axes();
    const size = (this.distance * this.bundle.cameras.camera.height) / this.bundle.cameras.camera.intrinsics[1];
    const moved = plus(plus(this.target, rotation[0], -right * size), rotation[1], -down * size);
    this.target = moved.map((value) => clamp(value, 0, 1)) as unknown as Vector;
  }

  /** Return the view for a canvas of a size: its shorter side sees as much as the film's does. */
  view(width: number, height: number): View {
    const { camera } = this.bundle.cameras;
    const { rotation, place } = this.axes();
    const focal = Math.min((camera.intrinsics[0] / camera.width) * width, (camera.intrinsics[1] / camera.height) * height);
    return {
      rotation: rotation.flat(),
      translation: rotation.map((row) => -dot(row, place)),
      lens: [focal, focal, width / 2, height / 2],
      distortion: [0, 0, 0, 0],
      colors: this.colors,
      width,
      height,
      stored: false,
    };
  }

  private axes(): { rotation: Vector[]; place: Vector } {
    const level = plus([0, 0, 0], this.east, Math.cos(this.azimuth));
    const around = plus(level, this.north, Math.sin(this.azimuth));
    const away = plus(plus([0, 0, 0], around, Math.cos(this.elevation)), this.up, Math.sin(this.elevation));
    const forward: Vector = [-away[0], -away[1], -away[2]];
    const right = unit(cross(forward, this.up));
    return { rotation: [right, cross(forward, right), forward], place: plus(this.target, away, this.distance) };
  }
}
