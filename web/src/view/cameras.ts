// A frame's own camera is a view like any other.

import type { Bundle } from "../decoder/bundle";
import type { View } from "../render/renderer";

/** Return the view of a stored frame. */
export function frameView({ cameras }: Bundle, index: number): View {
  const { camera, poses, gains } = cameras;
  return {
    ...poses[index],
    lens: camera.intrinsics,
    distortion: camera.distortion,
    gains: [gains[3 * index], gains[3 * index + 1], gains[3 * index + 2]],
    width: camera.width,
    height: camera.height,
    stored: true,
  };
}
