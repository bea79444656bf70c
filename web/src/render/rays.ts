// The rays of a stored frame are computed in double precision, as the format asks: where the occupied voxels end, the last bit
// of a direction decides whether a sample exists. Views that nobody stored take the shader's own rays.

import type { View } from "./renderer";

/** Return the directions of all pixels in the world, from the top left, as binary32 (FORMAT.md, section 4). */
export function raysOf({ rotation: R, lens, distortion, width, height }: View): Float32Array {
  const rays = new Float32Array(3 * width * height);
  const p = { x: 0, y: 0 };
  for (let row = 0, at = 0; row < height; row++) {
    for (let column = 0; column < width; column++, at += 3) {
      undistort((column + 0.5 - lens[2]) / lens[0], (row + 0.5 - lens[3]) / lens[1], distortion, p);
      const length = Math.sqrt(p.x * p.x + p.y * p.y + 1);
      for (let axis = 0; axis < 3; axis++) {
        rays[at + axis] = (R[axis] * p.x + R[3 + axis] * p.y + R[6 + axis]) / length;
      }
    }
  }
  return rays;
}

function undistort(u: number, v: number, [k1, k2, p1, p2]: View["distortion"], p: { x: number; y: number }): void {
  p.x = u;
  p.y = v;
  for (let i = 0; i < 8; i++) {
    const { x, y } = p;
    const r = x * x + y * y;
    const L = 1 + r * (k1 + r * k2);
    p.x += u - (x * L + 2 * p1 * x * y + p2 * (r + 2 * x * x));
    p.y += v - (y * L + p1 * (r + 2 * y * y) + 2 * p2 * x * y);
  }
}
