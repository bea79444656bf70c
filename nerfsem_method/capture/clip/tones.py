"""This module tells how much of the grey scale a clip uses: a log profile leaves a fifth of it, and features and colours fade."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

FLAT = 80.0
"""A clip whose tones lie within so many grey levels is flat: those of sound ones have 130 to 190, one with a log profile 45."""
OUTSIDE = 2.0
"""This percentage of a picture's pixels is darker than its tones, and as many are lighter."""
DARK, LIGHT = 30.0, 195.0
"""The tones of a flat clip are spread from the first grey level to the second, where those of sound clips lie."""


@dataclass(frozen=True)
class Tones:
    """The tones of a clip are the grey levels between `low` and `high`, medians over its pictures."""

    low: float
    high: float

    @classmethod
    def of(cls, pictures: Iterable[np.ndarray]) -> Tones:
        """Return the tones of grey pictures [H, W] uint8."""
        return cls(*np.median([np.percentile(picture, (OUTSIDE, 100 - OUTSIDE)) for picture in pictures], axis=0).tolist())

    @property
    def flat(self) -> bool:
        """Return whether there are few, but more than one."""
        return 0 < self.high - self.low < FLAT

    def spread(self, picture: np.ndarray) -> np.ndarray:
        """Return a picture [H, W, ...] uint8 with these tones spread if they are flat, and as it is otherwise."""
        if not self.flat:
            return picture
        spread = (picture - np.float32(self.low)) * np.float32((LIGHT - DARK) / (self.high - self.low)) + np.float32(DARK)
        return np.clip(spread, 0, 255).round().astype(np.uint8)
