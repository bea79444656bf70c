"""This module measures how sharp a picture is, without a sharper one beside it."""

from __future__ import annotations

import numpy as np

LONG_SIDE = 960
"""Pictures with more pixels along their longer side are reduced first: what they hold beyond that is not needed."""
STRONG_EDGES = 0.03
"""This share of the pixels, the steepest, are taken for edges."""
NOISE_BLUR, EXTRA_BLUR = 1.0, 3**0.5
"""These are standard deviations in pixels: one blur is against noise, which looks sharp, the other one shows how much an edge
has to lose."""


def edge_blur(picture: np.ndarray) -> float:
    """Return the standard deviation of the blur of the edges of a grey picture [H, W] uint8, in pixels (of LONG_SIDE).

    Blurring an edge of deviation s by t more divides its gradient's energy by sqrt(1 + (t / s)^2), which tells s. Across
    and down are measured apart and the worse is returned, because a shaken camera blurs in one direction only.
    """
    import cv2

    shrink = LONG_SIDE / max(picture.shape)
    if shrink < 1:
        picture = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), NOISE_BLUR)
    softer = cv2.GaussianBlur(soft, (0, 0), EXTRA_BLUR)
    worst = 0.0
    for direction in (np.array([[-0.5, 0, 0.5]]), np.array([[-0.5], [0], [0.5]])):
        before, after = (cv2.filter2D(image, -1, direction.astype(np.float32)) for image in (soft, softer))
        steep = np.abs(after)
        edges = steep > max(np.quantile(steep[::2, ::2], 1 - STRONG_EDGES), 1e-3)  # A quarter of the pixels tells the same.
        near = cv2.dilate(edges.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        if not near.any():
            continue
        left = min(float((after[near] ** 2).sum() / (before[near] ** 2).sum()), 0.999)  # so much is left of the energy
        variance = (EXTRA_BLUR * left) ** 2 / (1 - left**2) - NOISE_BLUR**2
        worst = max(worst, float(np.sqrt(max(variance, 0.0))))
    return worst
