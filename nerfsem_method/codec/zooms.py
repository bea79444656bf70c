"""Frames that another lens took have so many times the camera's focal length: their zooms are a sequence (FORMAT.md, section 4).

Photographs of a piece may have overviews and details among them, and a film may zoom by and by.
"""

from __future__ import annotations

import numpy as np

from nerfsem_method.codec.coder import Coder
from nerfsem_method.codec.sequences import code_sequence
from nerfsem_method.errors import CorruptBundle

TAG = "ZOOM"
ZOOM_BITS = 13
"""Zooms are stored in 2 ** -13. One that is off by half a step moves a pixel by the share 2 ** -14 / zoom of its distance from
the principal point: in a frame of 1000 x 1000 pixels by 0.04 at most where the zoom is 1, and by 0.09 where it is 1/2."""
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
    """Code the zooms float64 [frames] of frames (None when decoding) and return what the decoder will hold.

    Raises CorruptBundle for values that no encoder writes, ValueError for zooms that are not finite, or beyond LARGEST.
    """
    steps = code_sequence(coder, None if zooms is None else _steps(zooms), frames)
    if steps.min() < _ONE // LARGEST or steps.max() > _ONE * LARGEST:
        raise CorruptBundle("a frame's zoom is out of range; the file is damaged, restore it from a copy")
    return np.ldexp(steps.astype(np.float64), -ZOOM_BITS)


def _steps(zooms: np.ndarray) -> np.ndarray:
    """Return zooms [N] as integers."""
    if not ((zooms >= 1 / LARGEST) & (zooms <= LARGEST)).all():
        raise ValueError(f"zooms must be within 1/{LARGEST} ... {LARGEST}")
    return np.rint(zooms * _ONE).astype(np.int64)
