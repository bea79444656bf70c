"""This module tells how much likelier a pixel's colour is on the object than on the background, from samples of both."""

from __future__ import annotations

import numpy as np

from nerfsem_method.compiled import njit

BINS = 24
"""A colour histogram has so many cells along each of L, a and b."""
RANGES = np.array([[0, 100], [-70, 80], [-70, 80]], np.float32)
"""The histogram covers these ranges of L, a and b; rarer, stronger colours fall into its outermost cells."""
BLUR = 0.8
"""Histograms are blurred by this standard deviation in cells, because the next shade was only not sampled."""
FLOOR = 1e-5
"""A colour that was never seen has this share, so that no logarithm is infinite."""
NOISE = 3.0
"""A uniform surface's colour still has this standard deviation, in units of L, from the sensor's noise."""
SUPPORT = 0.01
"""This share of a neighbourhood must be object, and as much background, for the two to be told apart with full weight."""


def lab(picture: np.ndarray) -> np.ndarray:
    """Return a picture [H, W, 3] uint8, blue first, as CIE L, a, b in float32."""
    import cv2

    return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)


def cells(colours: np.ndarray) -> np.ndarray:
    """Return the histogram cell [H, W] of each colour [H, W, 3]."""
    low, high = RANGES.T
    index = ((colours - low) * (BINS / (high - low))).clip(0, BINS - 1).astype(np.int32)
    return (index[..., 0] * BINS + index[..., 1]) * BINS + index[..., 2]


def histogram(cell: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the shares of the histogram's cells [BINS^3] among the `chosen` pixels [H, W] bool; zeros without any."""
    from scipy.ndimage import gaussian_filter

    counts = np.bincount(cell[chosen], minlength=BINS**3).astype(float).reshape(BINS, BINS, BINS)
    smooth = gaussian_filter(counts, BLUR, mode="constant").ravel()
    return smooth / max(smooth.sum(), 1e-9)


def palette_odds(cell: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Return the log odds [H, W] of each pixel's cell under the histograms of object and background."""
    return np.log((inside + FLOOR) / (outside + FLOOR))[cell].astype(np.float32)


def local_odds(colours: np.ndarray, inside: np.ndarray, outside: np.ndarray, radius: float) -> np.ndarray:
    """Return the log odds [H, W] of each pixel under the normal distributions of the object and of the background near it.

    `colours` are [H, W, 3], `inside` and `outside` [H, W] bool are the samples, `radius` is in pixels. Neighbours tell pale
    marble from a pale wall where the palettes of the whole frame cannot. The odds fade to 0 where one of the two is not near.
    """
    out = np.zeros(colours.shape[:2], np.float32)
    _compare(colours, _moments(colours, inside, radius), _moments(colours, outside, radius), out)
    return out


def _moments(colours: np.ndarray, chosen: np.ndarray, radius: float) -> np.ndarray:
    """Return the share, first and second moments of the chosen colours around each pixel [H, W, 10], under a tent-like window."""
    import cv2

    stack = np.empty((*chosen.shape, 10), np.float32)
    stack[..., 0] = chosen
    stack[..., 1:4] = colours * chosen[..., None]
    for layer, (a, b) in enumerate(((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)), 4):
        stack[..., layer] = stack[..., 1 + a] * colours[..., b]
    side = 2 * max(1, round(radius)) + 1
    for _ in range(2):
        stack = cv2.blur(stack, (side, side), borderType=cv2.BORDER_CONSTANT)
    return stack


@njit(cache=True, nogil=True)
def _surprise(colour: np.ndarray, moment: np.ndarray) -> float:  # pragma: no cover (compiled)
    """Return the negative log density of a colour under the normal distribution of these moments, up to a constant."""
    w = moment[0]
    ml, ma, mb = moment[1] / w, moment[2] / w, moment[3] / w
    ll, la, lb = moment[4] / w - ml * ml + NOISE**2, moment[5] / w - ml * ma, moment[6] / w - ml * mb
    aa, ab, bb = moment[7] / w - ma * ma + NOISE**2, moment[8] / w - ma * mb, moment[9] / w - mb * mb + NOISE**2
    # The inverse of the symmetric 3x3 covariance is its adjugate by its determinant
    c00, c01, c02 = aa * bb - ab * ab, lb * ab - la * bb, la * ab - lb * aa
    c11, c12, c22 = ll * bb - lb * lb, la * lb - ll * ab, ll * aa - la * la
    determinant = max(ll * c00 + la * c01 + lb * c02, 1.0)
    x, y, z = colour[0] - ml, colour[1] - ma, colour[2] - mb
    square = c00 * x * x + c11 * y * y + c22 * z * z + 2 * (c01 * x * y + c02 * x * z + c12 * y * z)
    return 0.5 * (square / determinant + np.log(determinant))


@njit(cache=True, nogil=True)
def _compare(
    colours: np.ndarray, inside: np.ndarray, outside: np.ndarray, out: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """Write the log odds of two sets of moments [H, W, 10] into `out` [H, W]."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            least = min(inside[y, x, 0], outside[y, x, 0])
            if least > 0.01 * SUPPORT:
                odds = _surprise(colours[y, x], outside[y, x]) - _surprise(colours[y, x], inside[y, x])
                out[y, x] = odds * min(1.0, least / SUPPORT)
