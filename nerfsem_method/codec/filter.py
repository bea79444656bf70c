"""A filter makes the frames of a clip sharper: two layers of 3x3 convolutions, fitted to the clip (FORMAT.md, sections 6 and 8).

A field that a few kilobytes describe blurs, and blurs alike everywhere; a few hundred weights learn to undo a part of that. They
have no biases, so that what is transparent stays transparent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nerfsem_method.codec.coder import Coder
from nerfsem_method.codec.weights import code_weights
from nerfsem_method.errors import CorruptBundle
from nerfsem_method.field.state import QuantisedTensor

TAG = "FILT"
CHANNELS, TAPS = 4, 3
"""A filter reads and writes premultiplied RGBA; each layer sees a square of so many pixels a side."""
WIDEST = 64
"""A filter has no more channels between its layers."""
FIRST, SECOND = "filter.0.weight", "filter.1.weight"


@dataclass(frozen=True)
class Filter:
    """The weights of the two layers are [width, 4, 3, 3] and [4, width, 3, 3]."""

    first: QuantisedTensor
    second: QuantisedTensor

    @property
    def width(self) -> int:
        """Return the number of channels between the layers."""
        return len(self.first.integers)

    @property
    def layers(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the weights of both layers as float32, exactly."""
        return self.first.values, self.second.values


def code_filter(coder: Coder, kept: Filter | None) -> Filter:
    """Code a filter (None when decoding). Raises CorruptBundle for values that no encoder writes."""
    width = int(coder.integers(None if kept is None else np.array([kept.width]), 1)[0])
    if not 1 <= width <= WIDEST:
        raise CorruptBundle(f"a filter of {width} channels is impossible; the file is damaged, restore it from a copy")
    shapes = {FIRST: (width, CHANNELS, TAPS, TAPS), SECOND: (CHANNELS, width, TAPS, TAPS)}
    weights = code_weights(coder, shapes, None if kept is None else {FIRST: kept.first, SECOND: kept.second})
    return Filter(weights[FIRST], weights[SECOND])
