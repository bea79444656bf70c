// The ground's colour is any that CSS knows; a browser's own reading of it is the surest.

import type { Color } from "../render/renderer";

/** Return a CSS colour as premultiplied numbers, and white for what is none. */
export function parseColor(text: string): Color {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return [1, 1, 1, 1];
  context.fillStyle = "#ffffff";
  context.fillStyle = text;
  context.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
  const alpha = a / 255;
  return [(r / 255) * alpha, (g / 255) * alpha, (b / 255) * alpha, alpha];
}

/** Return the colour as #rrggbb, over white where it is transparent, for an input of colours. */
export function hexOf([r, g, b, a]: Color): string {
  const bytes = [r, g, b].map((value) => Math.round(255 * (value + 1 - a)));
  return `#${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
