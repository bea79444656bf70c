"""This module tells how much of the grey scale a clip uses: a log profile leaves a fifth of it, and features and colours fade."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

BLACK = 16
"""Rows and columns along a picture's edges that are nowhere lighter than this grey level are bars, and no part of it."""
FLAT = 80.0
"""A clip whose tones lie within so many grey levels is flat: those of sound ones have 130 to 190, one with a log profile 45."""
OUTSIDE = 2.0
"""This percentage of a picture's pixels is darker than its tones, and as many are lighter."""
DARK, LIGHT = 30.0, 195.0
"""The tones of a flat clip are spread from the first grey level to the second, where those of sound clips lie."""
STEEPEST = 5.0
"""Tones are spread no further than this many times: a clip of one grey would become noise."""
SHARED = (20, 80)
"""The darkest tone of a clip is that of a fifth of its pictures, and so is the lightest, lest a brighter one be cut off."""


@dataclass(frozen=True)
class Tones:
    """The tones of a clip are the grey levels between `low` and `high`, within black bars."""

    low: float
    high: float

    @classmethod
    def of(cls, pictures: Iterable[np.ndarray]) -> Tones:
        """Return the tones of grey pictures [H, W] uint8."""
        own = [np.percentile(within_bars(picture), (OUTSIDE, 100 - OUTSIDE)) for picture in pictures]
        return cls(*(float(np.percentile(ends, share)) for ends, share in zip(np.transpose(own), SHARED, strict=True)))

    @property
    def flat(self) -> bool:
        """Return whether there are few, but more than one."""
        return 0 < self.high - self.low < FLAT

    def spread(self, picture: np.ndarray) -> np.ndarray:
        """Return a picture [H, W, ...] uint8 with these tones spread if they are flat, and as it is otherwise."""
        if not self.flat:
            return picture
        gain = min((LIGHT - DARK) / (self.high - self.low), STEEPEST)
        spread = (picture - np.float32((self.low + self.high) / 2)) * np.float32(gain) + np.float32((DARK + LIGHT) / 2)
        return np.clip(spread, 0, 255).round().astype(np.uint8)


def within_bars(picture: np.ndarray) -> np.ndarray:
    """Return a grey picture [H, W] uint8 without black bars along its edges; all of one that is black."""
    rows, columns = _lit(picture)
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else picture


def bars(picture: np.ndarray) -> tuple[float, float, float, float]:
    """Return how deep black bars are along a grey picture's [H, W] uint8 top, bottom, left and right, in shares of its sides.

    One that is all black has none.
    """
    (rows, columns), (height, width) = _lit(picture), picture.shape
    if not len(rows):
        return 0.0, 0.0, 0.0, 0.0
    return rows[0] / height, 1 - (rows[-1] + 1) / height, columns[0] / width, 1 - (columns[-1] + 1) / width


def _lit(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and the columns of a grey picture that are lighter than bars somewhere."""
    lit = picture > BLACK
    return np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
