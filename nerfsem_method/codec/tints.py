"""A tint is the colour of one frame against the clip's: an affine map, of low rank over the clip (FORMAT.md, section 4).

Frames of a camera that chooses exposure and white balance by itself differ by more than a gain. Their maps are the identity plus
a few directions, each with one weight a frame; everything is an integer, so that all decoders hold the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nerfsem_method.codec.coder import Coder
from nerfsem_method.codec.sequences import code_sequence
from nerfsem_method.errors import CorruptBundle

TAG = "TINT"
NUMBERS = 12
"""An affine map of colours has so many numbers: three rows of red, green, blue and 1."""
TINT_BITS = 12
"""The product of a weight and a direction counts in 2 ** -12."""
LARGEST = 1 << 15
"""Directions and weights are no larger."""


@dataclass(frozen=True)
class Tints:
    """The tints of a clip are directions [r, 12] and weights [N, r], both int64; there are none where r is 0."""

    directions: np.ndarray
    weights: np.ndarray

    @classmethod
    def none(cls, frames: int) -> Tints:
        """Return the tints of a clip whose frames all have its colours."""
        return cls(np.zeros((0, NUMBERS), np.int64), np.zeros((frames, 0), np.int64))

    @property
    def rank(self) -> int:
        """Return the number of directions."""
        return len(self.directions)

    def matrices(self) -> np.ndarray:
        """Return the maps float64 [N, 3, 4]: a frame's colour is M (red, green, blue, 1) of the clip's colour, exactly."""
        moved = (self.weights @ self.directions).reshape(-1, 3, 4)
        return np.eye(3, 4) + np.ldexp(moved.astype(np.float64), -TINT_BITS)


def code_tints(coder: Coder, tints: Tints | None, frames: int) -> Tints:
    """Code the tints of `frames` frames (None when decoding). Raises CorruptBundle for values that no encoder writes."""
    rank = int(coder.integers(None if tints is None else np.array([tints.rank]), 1)[0])
    if not 1 <= rank <= NUMBERS:
        raise CorruptBundle(f"{rank} directions of colour are impossible; the file is damaged, restore it from a copy")
    directions = coder.integers(None if tints is None else tints.directions.ravel(), NUMBERS * rank).reshape(rank, NUMBERS)
    columns = [code_sequence(coder, None if tints is None else tints.weights[:, i], frames) for i in range(rank)]
    weights = np.stack(columns, 1)
    if max(np.abs(directions).max(), np.abs(weights).max()) > LARGEST:
        raise CorruptBundle("a frame's colour is out of range; the file is damaged, restore it from a copy")
    return Tints(directions, weights)


def exposed(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return a rendering float32 [H, W, 4] with the colours of the frame whose map is `matrix`: premultiplied RGBA in [0, 1]."""
    alpha = picture[..., 3:].clip(0, 1)
    return np.concatenate([tinted(picture[..., :3], alpha, matrix).clip(0, alpha), alpha], -1)


def tinted(color: np.ndarray, alpha: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return M applied to premultiplied colours [..., 3] of alpha [..., 1]: float32 [..., 3]."""
    m = matrix.astype(np.float32)
    return color @ m[:, :3].T + alpha * m[:, 3]
