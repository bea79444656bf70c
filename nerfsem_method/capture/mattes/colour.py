"""This module tells how much likelier a pixel's colour is on the object than on the background, from samples of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nerfsem_method.capture.clip.tones import Tones
from nerfsem_method.compiled import njit
from nerfsem_method.media.pictures import read_picture

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

LOOKED_AT = 8
"""So many frames, evenly spread, tell a clip's tones and whether it has colours."""
COLOURLESS, STRAYING, SMALL = 10.0, 99.7, 320
"""Colours are none where so many percent of them lie less than this from what L tells: in pictures of so many pixels along the
longer side strong sepia strays by 6 to 9.7, marble before a white wall by 14, other clips by 22 to 61, a tint over faint colours
by 2 to 9."""
AROUND, CONTRAST, BRIGHTNESS = 0.0025, 4.0, 2.0
"""A pixel's surroundings have a standard deviation of so many long sides; what they say of its lightness is so many times as
wide, to fill the ranges of a and b."""


@dataclass(frozen=True)
class ColourSpace:
    """The space in which a clip's colours are compared: CIE L, a, b, of pictures whose tones are spread if they are flat.

    Where all colour is that of the light, as in black and white or sepia, a and b say nothing that L does not: there they are
    replaced by how L varies around a pixel, and by its mean there.
    """

    tones: Tones
    colourless: bool

    @classmethod
    def of(cls, frames: Sequence[Path]) -> ColourSpace:
        """Return the space of a clip's frames, some of which are looked at."""
        import cv2

        chosen = np.unique(np.linspace(0, len(frames) - 1, LOOKED_AT).round().astype(int))
        pictures = [read_picture(frames[index]) for index in chosen]
        tones = Tones.of([cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in pictures])
        colourless = np.median([own_colour(lab(_small(tones.spread(picture)))) for picture in pictures]) < COLOURLESS
        return cls(tones, bool(colourless))

    def of_picture(self, picture: np.ndarray) -> np.ndarray:
        """Return a picture [H, W, 3] uint8, blue first, in this space, float32."""
        import cv2

        seen = lab(self.tones.spread(picture))
        if self.colourless:
            light, reach = seen[..., 0], AROUND * max(picture.shape)
            mean = cv2.GaussianBlur(light, (0, 0), reach)
            variance = cv2.GaussianBlur(light * light, (0, 0), reach) - mean * mean
            seen[..., 1] = CONTRAST * np.sqrt(variance.clip(0)) + RANGES[1, 0]
            seen[..., 2] = BRIGHTNESS * (mean - 50)
        return seen


AS_IT_IS = ColourSpace(Tones(0, 255), False)
"""This is the space of sound clips, CIE L, a, b."""


def lab(picture: np.ndarray) -> np.ndarray:
    """Return a picture [H, W, 3] uint8, blue first, as CIE L, a, b in float32."""
    import cv2

    return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)


def own_colour(seen: np.ndarray) -> float:
    """Return how far from what L alone tells of them, a straight line, nearly all of a and b of a picture [H, W, 3] lie.

    What they are at each L would not do, nor would a curve: a dark thing before a pale wall has its shades alone.
    """
    powers = np.vander(seen[..., 0].ravel() / 100, 2)
    colours = seen[..., 1:].reshape(-1, 2)
    told = powers @ np.linalg.lstsq(powers, colours, rcond=None)[0]
    return float(np.percentile(np.linalg.norm(colours - told, axis=1), STRAYING))


def _small(picture: np.ndarray) -> np.ndarray:
    """Return a picture in which a pixel's noise hardly counts."""
    import cv2

    shrink = min(1.0, SMALL / max(picture.shape))
    return cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)


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

    stack = np.zeros((*chosen.shape, 10), np.float32)
    _fill(colours, chosen, stack)
    side = 2 * max(1, round(radius)) + 1
    for _ in range(2):
        stack = cv2.blur(stack, (side, side), borderType=cv2.BORDER_CONSTANT)
    return stack


@njit(cache=True, nogil=True)
def _fill(colours: np.ndarray, chosen: np.ndarray, stack: np.ndarray) -> None:  # pragma: no cover (compiled)
    """Write one, the colour and its products, where it is chosen, to `stack` [H, W, 10]."""
    for y in range(chosen.shape[0]):
        for x in range(chosen.shape[1]):
            if chosen[y, x]:
                light, a, b = colours[y, x, 0], colours[y, x, 1], colours[y, x, 2]
                its = stack[y, x]
                its[0], its[1], its[2], its[3] = 1, light, a, b
                its[4], its[5], its[6] = light * light, light * a, light * b
                its[7], its[8], its[9] = a * a, a * b, b * b


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
