"""A plate is a frame with the object painted over; a bundle keeps plates, and mean background colours (method, section 6).

The decoder shows C + (1 - A) B: the plate B matters where the object is not, and along its edge. So pixels outside
the soft matte are never touched, a rim inside the outline continues the background around it, and only further inside
does the plate turn into the paper's flat colour ("rim") or stay the continued background ("smooth"). With this rim the
two cost the same on the sample clip (16.8 and 16.9 kB at equal PSNR), "rim" being 0.15 dB better around the object. "mean" is
what the paper does: its flat colour fills the object's region, and the edge is blurred.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Literal

import numpy as np

from nerfsem_method.background import streams
from nerfsem_method.background.fitting import FINEST, NEAR, SLOPE, fitted, larger
from nerfsem_method.background.options import SMALLEST, BackgroundOptions
from nerfsem_method.codec.background import Background

Fill = Literal["rim", "smooth", "mean"]

_GUARD = 2  # So many pixels around the matte may carry the object's colour, and must not spread it.
_BLURS = 360  # A picture is so many standard deviations of the paper's blur high; the paper gives no figure.
_BIN = 8  # Mean colours hardly ever repeat exactly, so they are counted in cells of 8 x 8 x 8.


def make_background(
    frames: Sequence[np.ndarray],
    mattes: Sequence[np.ndarray],
    rate: Fraction,
    options: BackgroundOptions,
    most: float | None = None,
) -> Background:
    """Paint the object over in frames uint8 [H, W, 3] with mattes uint8 [H, W], and code what is left.

    Both are read twice, one frame at a time. Where no crf is chosen, `most` says how many bytes the stream may take; both are
    then read some more times. Raises NerfsemError when the codec does not take them.
    """
    assert options.codec != "hinerv"
    means = mean_colours(frames, mattes)
    colour = most_frequent(means)

    def encode(crf: int) -> bytes:
        return streams.encode(make_plate(frames, mattes, colour, options.fill), rate, replace(options, crf=crf))

    if most is None or options.crf is not None:
        stream = encode(options.quality)
    else:
        span = FINEST[options.codec], SMALLEST[options.codec]
        stream = fitted(encode, larger(most, SLOPE), options.quality, span, -math.log(NEAR) / SLOPE)
    return Background(stream, colour, means, options.codec)


def mean_colours(frames: Iterable[np.ndarray], mattes: Iterable[np.ndarray]) -> np.ndarray:
    """Return the mean colour of each frame's background, weighted by 1 - matte, uint8 [N, 3]; grey where there is none."""
    means = []
    for frame, matte in zip(frames, mattes, strict=True):
        weight = (255 - matte).astype(np.float64)
        total = weight.sum()
        means.append(np.tensordot(weight, frame, 2) / total if total else np.full(3, 128.0))
    return np.rint(means).astype(np.uint8)


def most_frequent(means: np.ndarray) -> np.ndarray:
    """Return the mean uint8 [3] of those of the colours `means` uint8 [N, 3] that lie in the most populated cell."""
    _, cell, counts = np.unique(means // _BIN, axis=0, return_inverse=True, return_counts=True)
    return np.rint(means[cell.ravel() == counts.argmax()].mean(0)).astype(np.uint8)


def make_plate(
    frames: Iterable[np.ndarray], mattes: Iterable[np.ndarray], colour: np.ndarray, fill: Fill = "rim"
) -> Iterator[np.ndarray]:
    """Yield frames uint8 [H, W, 3] with the object painted over; but for "mean", they equal the input where the matte is 0."""
    import cv2

    for frame, matte in zip(frames, mattes, strict=True):
        if fill == "mean":
            yield _published(frame, matte, colour)
            continue
        hidden = matte > 0
        near = cv2.dilate(hidden.astype(np.uint8), np.ones((2 * _GUARD + 1, 2 * _GUARD + 1), np.uint8)) > 0
        painted = continued(frame, ~near)
        if fill == "rim":
            inside = _inside(hidden)[..., None]
            painted = painted * (1 - inside) + colour * inside
        yield np.where(hidden[..., None], np.rint(np.clip(painted, 0, 255)).astype(np.uint8), frame)


def _published(frame: np.ndarray, matte: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Return the frame with the object's region in one colour and its edge blurred by a Gaussian, as the paper has it."""
    import cv2

    region = (matte > 127).astype(np.uint8)
    sigma = max(matte.shape) / _BLURS
    kernel = np.ones((2 * round(3 * sigma) + 1,) * 2, np.uint8)
    edge = cv2.dilate(region, kernel) > cv2.erode(region, kernel, borderValue=(1,))
    painted = np.where(region[..., None] > 0, colour, frame)
    return np.where(edge[..., None], cv2.GaussianBlur(painted, (0, 0), sigma), painted)


def continued(frame: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return `frame` [H, W, 3] with the colours of `known` [H, W] spread smoothly over the rest, float32.

    This is pull-push over an image pyramid (Gortler et al., 1996): normalised averages of the known pixels, coarse to fine.
    """
    return _spread(frame.astype(np.float32), known.astype(np.float32))


def _spread(colour: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return `colour` [H, W, 3] where `weight` [H, W] is 1, and what the coarser levels say where it is 0."""
    import cv2

    share = weight[..., None]
    if min(weight.shape) < 4:
        total = max(float(weight.sum()), 1e-6)
        return colour * share + (colour * share).sum((0, 1)) / total * (1 - share)
    total = cv2.pyrDown(weight)
    coarse = cv2.pyrDown(colour * share) / np.maximum(total, 1e-6)[..., None]
    below = _spread(coarse, np.minimum(2 * total, 1))
    return colour * share + cv2.pyrUp(below, dstsize=weight.shape[::-1]) * (1 - share)


def _inside(hidden: np.ndarray) -> np.ndarray:
    """Return a soft weight [H, W] float32 that is 0 outside of `hidden` and rises to 1 inside: a blurred border."""
    import cv2

    sigma = max(hidden.shape) / 120
    radius = round(3 * sigma)
    core = cv2.erode(hidden.astype(np.uint8), np.ones((2 * radius + 1, 2 * radius + 1), np.uint8), borderValue=(1,))
    return cv2.GaussianBlur(core.astype(np.float32), (2 * radius + 1, 2 * radius + 1), sigma)
