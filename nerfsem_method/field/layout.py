"""Those entries of a table exist that an occupied voxel touches (method, section 4, "occupancy as a prior").

Everything is integer arithmetic on vertex and voxel indices, so that encoder, decoder and trainer list the same vertices in
the same order on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nerfsem_method.compiled import njit
from nerfsem_method.field.hashing import entries_of, entry_of
from nerfsem_method.field.spec import OCCUPANCY_MOMENTS, Table

UNIT = 256
"""Moments, contexts and logits are integers in units of 1 / UNIT."""


STRETCH = 1 << 20
"""The entries of so many vertices are computed at once."""


class TooManyVertices(ValueError):
    """A table has more valid vertices than the caller allows."""


@dataclass(frozen=True)
class TableLayout:
    """A layout lists what is coded of one table under one occupancy grid.

    Attributes:
        vertices: The valid vertices [V, d] int16 are ordered by (entry, position in the level).
        entries: These entries [E] int64, ascending, are coded, in this order.
        starts: vertices[starts[e] : starts[e + 1]] belong to entries[e] (one vertex each where not hashed); int64 [E + 1].
        weights: So many occupied voxels lie around each vertex (3D), or in the columns around it (2D); int32 [V], >= 1.
        moments: The values of `_moments` are int16 [V, 4] in units of 1/256 in 3D, and [V, 0] in 2D.
    """

    vertices: np.ndarray
    entries: np.ndarray
    starts: np.ndarray
    weights: np.ndarray
    moments: np.ndarray

    def part(self, first: int, stop: int) -> TableLayout:
        """Return the vertices first ... stop - 1 alone, without their entries."""
        rows = slice(first, stop)
        none = np.zeros(0, np.int64)
        return TableLayout(self.vertices[rows], none, none, self.weights[rows], self.moments[rows])


def voxel_ranges(resolution: int, voxels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and one-past-last voxel index [R + 1] that each vertex of a level touches, along one axis.

    Vertex i of N touches voxel v of G when the open intervals ((i-1)/N, (i+1)/N) and (v/G, (v+1)/G) meet.
    """
    i = np.arange(resolution + 1, dtype=np.int64)
    low = np.clip((i - 1) * voxels // resolution, 0, voxels)
    high = np.clip(-((-(i + 1) * voxels) // resolution), 0, voxels)
    return low, high


def integral(counts: np.ndarray) -> np.ndarray:
    """Return the summed-volume table [G + 1, ...] int32, zero at its border, of counts [G, ...] whose sum is below 2 ** 31."""
    total = np.pad(counts.astype(np.int32), [(1, 0)] * counts.ndim)
    for axis in range(counts.ndim):
        np.cumsum(total, axis, out=total)
    return total


@njit(cache=True)
def _box(total, x0, x1, y0, y1, z0, z1):
    return (
        total[x1, y1, z1] - total[x0, y1, z1] - total[x1, y0, z1] - total[x1, y1, z0]
        + total[x0, y0, z1] + total[x0, y1, z0] + total[x1, y0, z0] - total[x0, y0, z0]
    )  # fmt: skip


@njit(cache=True)
def _count_valid(total, lows, highs, depth_low, depth_high, most):
    """Return the number of valid vertices; more than `most` are not counted to the end."""
    count = 0
    for x in range(lows.size):
        for y in range(lows.size):
            if count > most:
                return count
            if _box(total, lows[x], highs[x], lows[y], highs[y], depth_low[0], depth_high[-1]) == 0:
                continue
            for z in range(depth_low.size):
                if _box(total, lows[x], highs[x], lows[y], highs[y], depth_low[z], depth_high[z]) > 0:
                    count += 1
    return count


@njit(cache=True)
def _list_valid(total, lows, highs, depth_low, depth_high, shape, every, turn, coded, vertices, weights):
    """Mark the entries of all valid vertices in `coded`, and return how many vertices have an entry that is `turn` mod `every`.

    These are listed as far as `vertices` and `weights` reach.
    """
    dimensions, resolution, entries, hashed = shape
    count = 0
    for x in range(lows.size):
        for y in range(lows.size):
            if _box(total, lows[x], highs[x], lows[y], highs[y], depth_low[0], depth_high[-1]) == 0:
                continue
            for z in range(depth_low.size):
                inside = _box(total, lows[x], highs[x], lows[y], highs[y], depth_low[z], depth_high[z])
                if inside == 0:
                    continue
                entry = entry_of(x, y, z, dimensions, resolution, entries, hashed)
                coded[entry] = 1
                if every > 1 and entry % every != turn:
                    continue
                if count < weights.size:
                    vertices[count, 0] = x
                    vertices[count, 1] = y
                    vertices[count, 2] = z
                    weights[count] = inside
                count += 1
    return count


@njit(cache=True)
def _moments(total, vertices, resolution, out):
    """Write the share of occupied voxels in the box around each vertex, and its upper minus its lower half along x, y and z.

    The box reaches one voxel beyond those that the vertex touches; both halves hold the voxel that the vertex lies in.
    """
    voxels = total.shape[0] - 1
    low = np.empty(3, np.int64)
    high = np.empty(3, np.int64)
    for i in range(vertices.shape[0]):
        for axis in range(3):
            vertex = vertices[i, axis]
            low[axis] = min(max((vertex - 1) * voxels // resolution - 1, 0), voxels)
            high[axis] = min(max(-((-(vertex + 1) * voxels) // resolution) + 1, 0), voxels)
        x0, y0, z0 = low
        x1, y1, z1 = high
        size = (x1 - x0) * (y1 - y0) * (z1 - z0)
        out[i, 0] = UNIT * _box(total, x0, x1, y0, y1, z0, z1) // size
        for axis in range(3):
            below = -((-vertices[i, axis] * voxels) // resolution)
            above = vertices[i, axis] * voxels // resolution
            if axis == 0:
                difference = _box(total, above, x1, y0, y1, z0, z1) - _box(total, x0, below, y0, y1, z0, z1)
            elif axis == 1:
                difference = _box(total, x0, x1, above, y1, z0, z1) - _box(total, x0, x1, y0, below, z0, z1)
            else:
                difference = _box(total, x0, x1, y0, y1, above, z1) - _box(total, x0, x1, y0, y1, z0, below)
            out[i, 1 + axis] = UNIT * difference // size


_Grid = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _grid(table: Table, occupancy: np.ndarray) -> _Grid:
    """Return the summed volume, and the voxels that each vertex touches along the first two axes and along the third."""
    lows, highs = voxel_ranges(table.resolution, occupancy.shape[0])
    if len(table.axes) == 3:
        return integral(occupancy), lows, highs, lows, highs
    missing = ({0, 1, 2} - set(table.axes)).pop()
    flat = integral(occupancy.sum(missing)[:, :, None])
    return flat, lows, highs, np.zeros(1, np.int64), np.ones(1, np.int64)


def count_vertices(table: Table, occupancy: np.ndarray) -> int:
    """Return the number of a table's valid vertices under `occupancy` [G, G, G] bool."""
    return _count_valid(*_grid(table, occupancy), table.vertices)


def table_layout(table: Table, occupancy: np.ndarray, most: int | None = None) -> TableLayout:
    """List the coded entries of `table` under `occupancy` [G, G, G] bool.

    Time grows with the level's vertices at worst, which the caller bounds; memory grows with the valid ones only, some 50 bytes
    each while they are listed.

    Raises TooManyVertices, before it lists them, for more than `most` valid vertices.
    """
    grid = _grid(table, occupancy)
    count = _count_valid(*grid, table.vertices if most is None else most)
    if most is not None and count > most:
        raise TooManyVertices(f"the table has more than {most} valid vertices")
    return _listed(table, grid, count, 1, 0)[0]


def part_layout(table: Table, occupancy: np.ndarray, most: int, turn: int) -> tuple[TableLayout, np.ndarray]:
    """Return a layout of about `most` vertices at the most, and all coded entries [E] int64, ascending.

    Where a hashed table has more vertices, only every second, fourth, ... entry is listed, with all its vertices; which of these
    parts, `turn` says. An entry's number says nothing about where it lies, so that each part is a fair sample.
    """
    grid = _grid(table, occupancy)
    count, every = _count_valid(*grid, table.vertices), 1
    while table.hashed and count > every * most:
        every *= 2
    return _listed(table, grid, count, every, turn % every)


def _listed(table: Table, grid: _Grid, count: int, every: int, turn: int) -> tuple[TableLayout, np.ndarray]:
    """Return the layout of the entries that are `turn` mod `every`, of `count` valid vertices in all, and all coded entries."""
    coded = np.zeros(table.entries, np.uint8)
    shape = len(table.axes), table.resolution, table.entries, table.hashed
    size = count if every == 1 else _list_valid(*grid, shape, every, turn, coded, *_empty(0))
    vertices, weights = _empty(size)
    _list_valid(*grid, shape, every, turn, coded, vertices, weights)
    vertices = vertices[:, : len(table.axes)]
    parts = [vertices[first : first + STRETCH] for first in range(0, size, STRETCH)]
    none = np.zeros(0, np.int32)
    entries = np.concatenate([none, *(entries_of(part, *shape[1:]).astype(np.int32) for part in parts)])
    if table.hashed:
        order = np.argsort(entries, kind="stable")
        vertices, weights, entries = vertices[order], weights[order], entries[order]
    starts = np.flatnonzero(np.diff(entries, prepend=np.int32(-1)))
    moments = np.empty((size, OCCUPANCY_MOMENTS if len(table.axes) == 3 else 0), np.int16)
    if len(table.axes) == 3:
        _moments(grid[0], vertices, table.resolution, moments)
    layout = TableLayout(vertices, entries[starts].astype(np.int64), np.append(starts, size), weights, moments)
    return layout, np.flatnonzero(coded)


def _empty(size: int) -> tuple[np.ndarray, np.ndarray]:
    return np.empty((size, 3), np.int16), np.empty(size, np.int32)
