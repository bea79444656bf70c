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

PERIODS = range(2, 13)
"""A rhythm comes again after so many frames: 24 frames a second made 30 after 5, 25 made 30 after 6."""
BEATS = 5
"""A rhythm is heard at least so many times."""
BEATING, TOLD, BY_CHANCE = 0.15, 0.2, 6.0
"""In a rhythm the blur differs from that of the frames around by so many pixels (standard deviation). A rhythm tells so much of
its variance, and this over the number of frames more, which it may tell by chance. In three clips of 25 to 72 blended frames it
was 0.19 to 0.28 and .49 to .69, in twelve sound ones and three that were coded hard up to 0.10 and .24."""
AROUND = 5
"""So many frames before and after a frame are around it."""


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


def rhythm(blurs: np.ndarray) -> int | None:
    """Return after how many frames sharp and soft ones, whose `blurs` [N] are given in pixels, come again; None without a rhythm.

    It is the shortest period that tells nearly as much of the variance as any, its own degrees of freedom taken off (adjusted R
    squared).
    """
    count = len(blurs)
    around = [np.median(blurs[max(0, i - AROUND) : i + AROUND + 1]) for i in range(count)]
    rest = blurs - np.array(around)
    told: dict[int, float] = {}
    for period in PERIODS:
        if count >= BEATS * period:
            beat = np.arange(count) % period
            usual = np.array([np.median(rest[beat == place]) for place in range(period)])
            left = ((rest - usual[beat]) ** 2).sum() / max((rest**2).sum(), 1e-12)
            told[period] = 1 - left * (count - 1) / (count - period)
    enough = max(0.8 * max(told.values(), default=0.0), TOLD + BY_CHANCE / max(count, 1))
    heard = (period for period, share in told.items() if share > enough)
    return next(heard, None) if rest.std() > BEATING else None
