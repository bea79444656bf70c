"""This module sees in a decoded picture that it breaks up into blocks, where the decoder does not say that its data are damaged.

ffmpeg decodes damaged H.265 without a word, and cameras of such frames are wrong by degrees. Codecs paint blocks whose sides are
multiples of 8 pixels and smooth the steps between them; steps that stand alone, and more of them on that grid than half-way
between its lines, are no picture's.
"""

from __future__ import annotations

import numpy as np

BLOCK = 8
STEP = 12.0
"""A side of a block is broken where the picture steps by so many grey levels more than just beside it."""
MORE, TIMES = 0.012, 2.0
"""A picture is broken with this share of its sides more than TIMES those of the clip's soundest key frame. Sound ones of H.265,
crf 20 to 51, have 0.009 more at most; of those with a twelfth of their blocks wrong all have 0.014 to 0.1."""
BROKEN = "the picture breaks up into blocks"


class Blocks:
    """This looks at the pictures of one stream in turn and remembers how the soundest of its key frames looks.

    What a picture has on the grid anyhow, black bars or pixels that were enlarged, its key frames have, too.
    """

    def __init__(self) -> None:
        self._usual: float | None = None

    def complaint(self, frame: object) -> str:
        """Return what speaks against the picture of a decoded frame of PyAV's, "" if nothing does."""
        share = broken_sides(frame.to_ndarray(format="gray"))  # type: ignore[attr-defined]
        if frame.key_frame or self._usual is None:  # type: ignore[attr-defined]
            self._usual = share if self._usual is None else min(self._usual, share)
        return BROKEN if share > MORE + TIMES * self._usual else ""


def broken_sides(grey: np.ndarray) -> float:
    """Return which share of the sides of a picture's blocks is broken, less that of sides half a block away; [H, W] uint8."""
    return (_broken_columns(grey) + _broken_columns(grey.T)) / 2


def _broken_columns(grey: np.ndarray) -> float:
    rows, width = len(grey) // BLOCK, grey.shape[1]
    if rows == 0 or width < 2 * BLOCK:
        return 0.0
    means = grey[: rows * BLOCK].reshape(rows, BLOCK, width).mean(1, dtype=np.float32)
    steps = np.abs(np.diff(means))
    broken = steps[:, 1:-1] - np.maximum(steps[:, :-2], steps[:, 2:]) > STEP
    on_grid, between = (broken[:, start::BLOCK].mean() for start in (BLOCK - 2, BLOCK // 2 - 2))
    return max(float(on_grid - between), 0.0)
