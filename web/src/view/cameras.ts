// A stored frame's camera becomes a view; what all of them have in common sets the bounds of the free one.

import type { Bundle } from "../decoder/bundle";
import type { Pose } from "../decoder/cameras";
import type { View } from "../render/renderer";
import { dot, plus, unit, type Vector } from "./vectors";

/** Return the view of a stored frame at its own size, with exact rays. */
export function frameView({ cameras }: Bundle, index: number): View {
  const { camera, poses, zooms, maps } = cameras;
  const [fx, fy, cx, cy] = camera.intrinsics;
  return {
    ...poses[index],
    lens: [zooms[index] * fx, zooms[index] * fy, cx, cy],
    distortion: camera.distortion,
    colors: maps.slice(12 * index, 12 * index + 12),
    width: camera.width,
    height: camera.height,
    stored: true,
  };
}

/** A rectangle lies within a canvas, and is counted from the upper left. */
export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Return where a picture lies that is as large as a canvas allows. */
export function fitted(picture: { width: number; height: number }, width: number, height: number): Rectangle {
  const scale = Math.min(width / picture.width, height / picture.height);
  const size = { width: picture.width * scale, height: picture.height * scale };
  return { ...size, x: (width - size.width) / 2, y: (height - size.height) / 2 };
}

/** Return a stored frame's view for a canvas of another size, in whose middle the frame lies. */
export function fittedView(bundle: Bundle, index: number, width: number, height: number): View {
  const view = frameView(bundle, index);
  const { x, y, width: inner } = fitted(view, width, height);
  const scale = inner / view.width;
  const [fx, fy, cx, cy] = view.lens;
  return { ...view, lens: [fx * scale, fy * scale, x + cx * scale, y + cy * scale], width, height, stored: false };
}

/** Return where a camera stands. */
export function placeOf({ rotation: R, translation: t }: Pose): Vector {
  const at = (i: number) => -(R[i] * t[0] + R[3 + i] * t[1] + R[6 + i] * t[2]);
  return [at(0), at(1), at(2)];
}

/** Return the direction that is up for the cameras in the mean. */
export function upOf(poses: readonly Pose[]): Vector {
  let sum: Vector = [0, 0, 0];
  for (const { rotation } of poses) sum = plus(sum, [rotation[3], rotation[4], rotation[5]], -1);
  return unit(sum);
}

/** Return the least and the greatest elevation, in radians, under which the cameras see `target`. */
export function elevations(poses: readonly Pose[], target: Vector, up: Vector): [number, number] {
  const seen = poses.map((pose) => Math.asin(dot(unit(plus(placeOf(pose), target, -1)), up)));
  return [Math.min(...seen), Math.max(...seen)];
}

/** Return the mean of all frames' maps of colours, which the free view has. */
export function meanColors({ cameras, spec }: Bundle): Float64Array {
  const mean = new Float64Array(12);
  cameras.maps.forEach((value, i) => (mean[i % 12] += value / spec.frames));
  return mean;
}
