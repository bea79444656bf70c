"""The context models tell, in integers, what is already decoded around a vertex and what that says about its features.

- The level-wise one (LWCM, method section 4) interpolates the previous levels' features at the vertex.
- The dimension-wise one (DWCM) projects, for planes, the signs of the finest 3D level along the missing axis (PVF).
- Our own addition is the occupancy's moments around a 3D vertex, which tell inside from outside.

`nerfsem_method.training.rate` evaluates the same specification in float for training; a test ties the two.
"""

from __future__ import annotations

import numpy as np

from nerfsem_method.codec.fixed_point import UNIT, two_layers
from nerfsem_method.compiled import njit
from nerfsem_method.field.hashing import entry_of
from nerfsem_method.field.layout import TableLayout
from nerfsem_method.field.spec import PLANE_AXES, FieldSpec, Table

CHUNK = 1 << 16
"""The contexts of so many vertices are held at once."""


@njit(cache=True)
def _interpolate(vertices, resolution, values, coarse, hashed, gain, out):
    """Write gain * (multilinear interpolation of `values` at vertices / resolution), rounded down; 0 where nothing is stored."""
    dimensions = vertices.shape[1]
    total = resolution**dimensions
    base = np.zeros(3, np.int64)
    fraction = np.zeros(3, np.int64)
    for i in range(vertices.shape[0]):
        for axis in range(dimensions):
            base[axis] = vertices[i, axis] * coarse // resolution
            fraction[axis] = vertices[i, axis] * coarse % resolution
        for f in range(values.shape[1]):
            out[i, f] = 0
        for corner in range(1 << dimensions):
            weight = 1
            for axis in range(dimensions):
                weight *= fraction[axis] if (corner >> axis) & 1 else resolution - fraction[axis]
            if weight == 0:
                continue
            x = base[0] + (corner & 1)
            y = base[1] + ((corner >> 1) & 1)
            z = base[2] + ((corner >> 2) & 1)
            entry = entry_of(x, y, z, dimensions, coarse, values.shape[0], hashed)
            for f in range(values.shape[1]):
                out[i, f] += weight * values[entry, f]
        for f in range(values.shape[1]):
            out[i, f] = out[i, f] * gain // total


def interpolate(layout: TableLayout, resolution: int, values: np.ndarray, source: Table, gain: int) -> np.ndarray:
    """Return `source`'s `values` [entries, F] at the vertices of a level with `resolution`, times `gain`: int64 [V, F]."""
    out = np.empty((len(layout.vertices), values.shape[1]), np.int64)
    _interpolate(layout.vertices, resolution, values, source.resolution, source.hashed, gain, out)
    return out


def project(layout: TableLayout, table: Table, values: np.ndarray, axes: tuple[int, int]) -> np.ndarray:
    """Return the PVF: the mean sign of `values` [entries, F] over the valid vertices of each column along the missing axis.

    It is int64 [(resolution + 1) ** 2, F] in units of 1/256, rounded down, 0 for empty columns. The paper takes the share
    of +1 in [0, 1]; a mean in [-1, 1] makes an empty column neutral.
    """
    columns = (table.resolution + 1) ** 2
    sums, counts = np.zeros((columns, values.shape[1]), np.int64), np.zeros(columns, np.int64)
    _project(layout.vertices, layout.starts, layout.entries, values, axes, table.resolution + 1, sums, counts)
    return sums * UNIT // np.maximum(counts, 1)[:, None]


@njit(cache=True)
def _project(vertices, starts, entries, values, axes, side, sums, counts):
    """Add the values of all vertices to their columns, and count these."""
    for e in range(len(entries)):
        for vertex in range(starts[e], starts[e + 1]):
            column = np.int64(vertices[vertex, axes[0]]) * side + vertices[vertex, axes[1]]
            counts[column] += 1
            for f in range(values.shape[1]):
                sums[column, f] += values[entries[e], f]


class Contexts:
    """This class computes contexts and logits of the tables of one field, in coding order, from tables already given."""

    def __init__(self, spec: FieldSpec, weights: dict[str, np.ndarray]) -> None:
        """Take `weights`, the integer tensors of `spec.context_shapes()`."""
        self._spec = spec
        self._weights = weights
        self._projections: dict[tuple[int, ...], np.ndarray] = {}

    def inputs(self, index: int, layout: TableLayout, tables: list[np.ndarray]) -> np.ndarray:
        """Return the contexts int64 [V, spec.context_inputs(index)], in units of 1/256, of the vertices of table `index`."""
        spec = self._spec
        table = spec.tables[index]
        parts = [
            interpolate(layout, table.resolution, tables[p], spec.tables[p], UNIT) for p in spec.previous(index)
        ]
        parts.append(layout.moments if len(table.axes) == 3 else self.projected(index, layout))
        return np.concatenate(parts, 1)

    def projected(self, index: int, layout: TableLayout) -> np.ndarray:
        """Return the projected signs int64 [V, features of the finest 3D level], in units of 1/256, at a plane's vertices."""
        table, finest = self._spec.tables[index], self._spec.tables[len(self._spec.volume) - 1]
        plane = Table((0, 1), finest.resolution, finest.features, (finest.resolution + 1) ** 2)
        return interpolate(layout, table.resolution, self._projections[table.axes], plane, 1)

    def remember_volume(self, layout: TableLayout, values: np.ndarray) -> None:
        """Project the finest 3D level once it is decoded."""
        table = self._spec.tables[len(self._spec.volume) - 1]
        self._projections = {axes: project(layout, table, values, axes) for axes in PLANE_AXES}

    def logits(self, index: int, layout: TableLayout, tables: list[np.ndarray]) -> np.ndarray:
        """Return the logits int64 [E, features] of +1, in units of 1/256, of the entries of table `index`.

        The vertices of one entry are fused in the logit domain, weighted by the occupied volume around each.
        """
        name = self._spec.context_name(index)
        weights = tuple(self._weights[f"{name}.{part}"] for part in ("0.weight", "0.bias", "1.weight", "1.bias"))
        logits = np.empty((len(layout.vertices), self._spec.tables[index].features), np.int64)
        for first in range(0, len(logits), CHUNK):
            part = layout.part(first, first + CHUNK)
            logits[first : first + CHUNK] = two_layers(self.inputs(index, part, tables), weights)
        if self._spec.tables[index].hashed:
            weights_of = layout.weights.astype(np.int64)
            weighted = np.add.reduceat(logits * weights_of[:, None], layout.starts[:-1], axis=0)
            logits = weighted // np.add.reduceat(weights_of, layout.starts[:-1])[:, None]
        return logits
