"""This module asks of a matte's outline where it lies along nothing that the picture shows."""

from __future__ import annotations

import numpy as np

LONG_SIDE = 960
"""Larger pictures are looked at in this size: what is an edge is a matter of pixels, and of time."""
REACH, LEAST = 0.006, 2
"""An edge is looked for within so many long sides of the outline, but so many pixels at least."""
APART = 2
"""Colours are compared so many pixels before and behind a place."""
STEP = 5.0
"""Colours whose difference in CIELAB is smaller are alike: less is noise, or a shadow's rim."""


def faint_share(picture: np.ndarray, matte: np.ndarray) -> float:
    """Return along which share of the outline of a matte [H, W] uint8 the picture [h, w, 3] uint8, blue first, shows no edge.

    Where colours on both sides are alike, nothing but chance draws the outline. It is NaN where there is no outline.
    """
    import cv2

    shrink = min(1.0, LONG_SIDE / max(matte.shape))
    height, width = (max(round(shrink * side), 1) for side in matte.shape)
    inside, shown = (cv2.resize(seen, (width, height), interpolation=cv2.INTER_AREA) for seen in (matte, picture))
    inside = inside > 127
    outline = inside & (cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    rows, columns = np.nonzero(outline)
    if not len(rows):
        return np.nan
    reach = max(round(REACH * max(height, width)), LEAST)
    colours = cv2.cvtColor(cv2.GaussianBlur(shown, (0, 0), 1).astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
    smooth = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), reach)
    slope = np.stack([cv2.Sobel(smooth, cv2.CV_32F, *axis)[rows, columns] for axis in ((0, 1), (1, 0))])
    across = slope / np.maximum(np.linalg.norm(slope, axis=0), 1e-9)

    def along(way: int) -> np.ndarray:
        places = np.stack([rows, columns]) + way * across
        return colours[places[0].round().astype(int).clip(0, height - 1), places[1].round().astype(int).clip(0, width - 1)]

    lines = [along(way) for way in range(-reach - APART, reach + APART + 1)]
    steps = [np.linalg.norm(after - before, axis=1) for before, after in zip(lines, lines[2 * APART :], strict=False)]
    return float((np.max(steps, axis=0) < STEP).mean())
