"""Look-up of binary features by tiny-cuda-nn (Müller et al. 2022): each table is one of its grid encodings, in float32.

Its conventions are mapped on ours exactly, so that both read the same entries:

- A grid of base resolution R has R vertices along an axis, at (i - 1/2) / (R - 1), for it looks at x (R - 1) + 1/2. Ours lie at
  i / N: R is N + 1, and positions are moved by half a cell, -1 / (2 N), before they are handed over.
- The first axis runs fastest in its dense grids and slowest in ours, so that the axes of these are handed over in reverse.
- A grid is hashed where R^d exceeds its table, by the primes that `field.hashing` has, in 32 bits; a table's size is a power of
  two, which leaves the same entry as 64 bits. There the axes keep their order.
- Its tables have a multiple of 8 entries; those behind ours are never read with a weight that counts.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call

from nerfsem_method.field.spec import Table

WIDTHS = (1, 2, 4, 8)
"""Vectors have so many features there; others are padded."""
ALIGNMENT = 8
"""A table has a multiple of so many entries."""


class Grid(NamedTuple):
    """A table of ours as tiny-cuda-nn has it.

    Attributes:
        axes: these of our axes are handed over, in this order.
        shift: is added to each coordinate.
        entries: the table has so many, ours first.
        width: each has so many features, ours first.
        config: the configuration of the encoding (tiny-cuda-nn's DOCUMENTATION.md).
    """

    axes: tuple[int, ...]
    shift: float
    entries: int
    width: int
    config: dict[str, Any]


def grid_of(table: Table) -> Grid:
    """Return how tiny-cuda-nn is told of a table."""
    entries = -(-table.entries // ALIGNMENT) * ALIGNMENT
    width = next(width for width in WIDTHS if width >= table.features)
    config = {
        "otype": "Grid", "type": "Hash", "hash": "CoherentPrime", "interpolation": "Linear", "n_levels": 1,
        "n_features_per_level": width, "log2_hashmap_size": (table.limit - 1).bit_length(),
        "base_resolution": table.resolution + 1, "per_level_scale": 1.0,
    }  # fmt: skip
    axes = table.axes if table.hashed else table.axes[::-1]
    return Grid(axes, -0.5 / table.resolution, entries, width, config)


def parameters(table: Table, signs: Tensor, entries: Tensor) -> Tensor:
    """Return tiny-cuda-nn's parameters of a table, flat, from signs [n, features] of its entries [n] int64; others are 0."""
    grid = grid_of(table)
    rows = signs.new_zeros(grid.entries, grid.width)
    wide = torch.nn.functional.pad(signs, (0, grid.width - signs.shape[1]))
    return rows.index_copy(0, entries, wide).flatten()


def look_up(positions: Tensor, table: Table, values: Tensor) -> Tensor:
    """Return the features [S, features] float32 of a table at positions [S, 3]; differentiable with respect to `values`.

    `values` are the table's `parameters`.
    """
    if not len(positions):
        return positions.new_zeros(0, table.features)
    grid = grid_of(table)
    moved = positions[:, list(grid.axes)] + grid.shift
    import tinycudann

    bindings: Any = tinycudann
    return functional_call(_encoding(bindings, table), {"params": values}, (moved,))[:, : table.features]


@lru_cache(maxsize=256)
def _encoding(tinycudann: Any, table: Table) -> Any:
    encoding = tinycudann.Encoding(len(table.axes), grid_of(table).config, dtype=torch.float32)
    encoding.params = torch.nn.Parameter(torch.empty(0), requires_grad=False)  # It is given ours at each call.
    return encoding
