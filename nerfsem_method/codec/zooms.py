"""A zoom says how many times the camera's focal length a frame has that another lens took (FORMAT.md, section 4).

Photographs of a piece may have overviews and details among them. Few lenses took them all, so each lens is stored once, and of
each frame the number of its lens.
"""

from __future__ import annotations

import numpy as np

from nerfsem_method.codec.coder import Coder
from nerfsem_method.errors import CorruptBundle

TAG = "ZOOM"
ZOOM_BITS = 16
"""Zooms are stored in 2 ** -16. One that is off by half a step moves a pixel by the share 2 ** -17 / zoom of its distance from
the principal point: in a frame of 1000 x 1000 pixels by 0.006 at most where the zoom is 1, and by 0.09 where it is 1/16."""
LARGEST = 64
"""No frame has more than so many times the camera's focal length, and none less than its 64th part."""
_ONE = 1 << ZOOM_BITS


def held_zooms(zooms: np.ndarray | None) -> np.ndarray | None:
    """Return zooms [N] as a decoder will hold them; None where one lens took all frames. Raises ValueError, see `code_zooms`."""
    if zooms is None:
        return None
    steps = _steps(zooms)
    return None if (steps == _ONE).all() else np.ldexp(steps.astype(np.float64), -ZOOM_BITS)


def code_zooms(coder: Coder, zooms: np.ndarray | None, frames: int) -> np.ndarray:
    """Code the zooms float64 [frames] of frames (None when decoding), which are not all 1, and return what the decoder will hold.

    Raises CorruptBundle for values that no encoder writes, ValueError for zooms that are not finite, or beyond LARGEST.
    """
    others, numbers = None, None
    if zooms is not None:
        steps = _steps(zooms)
        others = np.unique(steps[steps != _ONE])
        numbers = np.where(steps == _ONE, 0, 1 + np.searchsorted(others, steps))
    count = int(coder.integers(None if others is None else np.array([len(others)]), 1)[0])
    if not 1 <= count <= frames:
        raise CorruptBundle(f"{count} other lenses are impossible; the file is damaged, restore it from a copy")
    lenses = _ONE + coder.integers(None if others is None else others - _ONE, count)
    numbers = coder.integers(numbers, frames)
    if lenses.min() < _ONE // LARGEST or lenses.max() > _ONE * LARGEST or numbers.min() < 0 or numbers.max() > count:
        raise CorruptBundle("a frame's lens is out of range; the file is damaged, restore it from a copy")
    return np.ldexp(np.concatenate([[_ONE], lenses])[numbers].astype(np.float64), -ZOOM_BITS)


def _steps(zooms: np.ndarray) -> np.ndarray:
    """Return zooms [N] as integers."""
    if not ((zooms >= 1 / LARGEST) & (zooms <= LARGEST)).all():
        raise ValueError(f"zooms must be within 1/{LARGEST} ... {LARGEST}")
    return np.rint(zooms * _ONE).astype(np.int64)
