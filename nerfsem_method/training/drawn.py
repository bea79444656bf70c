"""Each step draws the entries on which the rate is estimated, and the vertices that share them, on the device that needs them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from nerfsem_method.field.layout import TableLayout

FEWEST = 256
"""So many entries of each table are looked at in a step, if it has them: the small ones shape the coarse levels."""
VERTICES_AN_ENTRY = 16
"""Where more vertices share an entry on average, fewer entries are drawn: a step's work must not grow with a solid hull."""


def wanted(layout: TableLayout, about: float) -> int:
    """Return how many of the listed entries are drawn where `about` so many would do: FEWEST at least, if there are so many."""
    count = len(layout.entries)
    crowded = max(1.0, len(layout.vertices) / max(count, 1) / VERTICES_AN_ENTRY)
    return min(count, max(FEWEST, math.ceil(about / crowded)))


def draw(count: int, generator: np.random.Generator, device: torch.device) -> Tensor:
    """Return so many numbers in [0, 1), float64 [count], one for each entry that is to be drawn of any table.

    Chance comes from `generator` on the CPU, where a training is the same every time, and from torch's own on other devices, to
    which nothing is copied then.
    """
    if device.type == "cpu":
        return torch.from_numpy(generator.random(count))
    return torch.rand(count, dtype=torch.float64, device=device)


def spread(chances: Tensor, count: int) -> Tensor:
    """Return entries by number in a table of `count`, int64 [n], ascending: one for each of the `chances` [n].

    There is one from each of even stretches, which leaves less to chance and reads memory in order.
    """
    take = len(chances)
    numbers = torch.arange(take, device=chances.device)
    if take == count:
        return numbers
    return ((numbers + chances) * (count / max(take, 1))).long().clamp(max=count - 1)


class Sharing:
    """The vertices of a hashed table share its entries; the table's vertices are listed entry by entry."""

    def __init__(self, layout: TableLayout, device: torch.device) -> None:
        self._starts = torch.from_numpy(layout.starts).to(device)
        self._weights = torch.from_numpy(layout.weights).to(device)

    def of(self, picked: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the vertices [V] of the entries `picked` [n], the number in `picked` of each one's entry, and its weight.

        The weights [V] float32 of an entry's vertices are their occupied volumes, and add up to 1.
        """
        first = self._starts[picked]
        lengths = self._starts[picked + 1] - first
        entry = torch.repeat_interleave(lengths)
        offsets = torch.arange(len(entry), device=picked.device) - (lengths.cumsum(0) - lengths)[entry]
        vertices = first[entry] + offsets
        weights = self._weights[vertices].float()
        sums = weights.new_zeros(len(picked)).index_add(0, entry, weights)
        return vertices, entry, weights / sums[entry]
