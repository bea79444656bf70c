// A picture of a stored frame is drawn at its own size, as every decoder draws it.

import type { Bundle } from "../decoder/bundle";
import { Target } from "../render/gl";
import type { Ground, Renderer } from "../render/renderer";
import { frameView } from "./cameras";

/** Return frame `index` over a ground: its rows from the top, with premultiplied alpha. */
export function pictureOf(
  gl: WebGL2RenderingContext, renderer: Renderer, bundle: Bundle, index: number, ground: Ground,
): ImageData {
  const view = frameView(bundle, index);
  const drawn = new Target(gl, view.width, view.height);
  const shown = new Target(gl, view.width, view.height, true);
  renderer.draw(view, drawn);
  const sharp = renderer.sharpener && new Target(gl, view.width, view.height);
  if (sharp) renderer.sharpener!.apply(drawn, sharp);
  renderer.compose(sharp ?? drawn, ground, shown);
  const upsideDown = new Uint8ClampedArray(4 * view.width * view.height);
  gl.readPixels(0, 0, view.width, view.height, gl.RGBA, gl.UNSIGNED_BYTE, upsideDown);
  drawn.free();
  sharp?.free();
  shown.free();
  const picture = new ImageData(view.width, view.height);
  const row = 4 * view.width;
  for (let y = 0; y < view.height; y++) {
    picture.data.set(upsideDown.subarray((view.height - 1 - y) * row, (view.height - y) * row), y * row);
  }
  return picture;
}
