"""An alpha channel of the pictures themselves says where the object is, and spoils the colours where it is not."""

from __future__ import annotations

import numpy as np

FAINT = 5
"""Alpha that varies by no more levels than these says nothing: an eraser or resampling leaves single ones behind."""


class Ground:
    """The ground is the one colour that is put under transparent pixels: the object's mean in the first frame that shows it.

    What lies there in the file is arbitrary, and often black or garbage, which scaling and compression carry over the object's
    edge. A ground of the object's own colour draws no line around it and leaves no fringe.
    """

    def __init__(self) -> None:
        self._colour: np.ndarray | None = None

    def under(self, rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """Return a picture [H, W, 3] over the ground by its `alpha` [H, W]; as it is where alpha is constant."""
        if constant(alpha):
            return rgb
        weight = alpha.astype(np.float32)[..., None] / 255
        if self._colour is None:
            self._colour = np.rint((rgb * weight).sum((0, 1), dtype=np.float64) / weight.sum(dtype=np.float64)).astype(np.float32)
        return np.rint(self._colour + weight * (rgb - self._colour)).astype(np.uint8)


def constant(alpha: np.ndarray) -> bool:
    """Return whether alpha [H, W] is the same everywhere, or nearly so, and says nothing."""
    return int(alpha.max()) - int(alpha.min()) <= FAINT
