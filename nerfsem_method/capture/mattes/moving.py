"""This module tells where an object can be that turns before a still background: where pictures change along the clip.

What stands still has no points there, so that nothing else tells a still floor from an object of its colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nerfsem_method.capture.clip import motion

OUTSIDE, BEYOND = 6.0, 2.0
"""Where nothing moves, pixels are none of the object's by these log odds; above and below what moves, where a plain, round part
shows no change, they are less likely to be."""
RARELY = 0.03
"""What a handle hides now and then changes, too: pixels do that differ between these quantiles, the first and one minus it."""


@dataclass(frozen=True)
class Moving:
    """What moves in a clip is `seen` [H, W] bool, in a small picture of it; the object may go on `beyond`, above and below."""

    seen: np.ndarray
    beyond: np.ndarray

    @classmethod
    def of(cls, frames: list[Path]) -> Moving | None:
        """Return what moves in the frames, the object and whatever passes by; None where the background does not stand still."""
        clip = motion.look(frames)
        rows = np.flatnonzero(clip.region().any(1))
        if not clip.before_still or not len(rows):
            return None
        seen = clip.changing(RARELY)
        beyond = np.ones_like(seen)
        beyond[rows[0] : rows[-1] + 1] = False
        return cls(seen, beyond)

    def against(self, size: tuple[int, int]) -> np.ndarray:
        """Return the log odds [h, w] float32 against the object in a frame of this width and height."""
        import cv2

        odds = np.where(self.seen, 0, np.where(self.beyond, BEYOND, OUTSIDE)).astype(np.float32)
        return cv2.resize(odds, size, interpolation=cv2.INTER_LINEAR)


def missed_share(frames: list[Path], mattes: np.ndarray) -> float:
    """Return which share of the largest region where things move before a still background no matte [N, h, w] uint8 ever shows.

    It is 0 where the background does not stand still.
    """
    import cv2

    clip = motion.look(frames)
    region = clip.region()
    if not clip.before_still or not region.any():
        return 0.0
    ever = np.zeros(mattes.shape[1:], bool)
    for matte in mattes:
        ever |= matte > 127
    shown = cv2.resize(ever.astype(np.float32), region.shape[::-1], interpolation=cv2.INTER_AREA) > 0
    return float(1 - shown[region].mean())
