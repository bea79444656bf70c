"""Binary features are looked up and interpolated in compiled loops, LANES points at a time, so that the arithmetic is vectors.

Every entry of a table is one byte, its *code*: the signs as bits, and CODED where it exists (entries that no occupied voxel
touches read 0). `nerfsem_method.training.encoding` holds the plain-torch twin; tests compare. The gradient is in
`training.loops.scatter`.

Values of LANES points are kept as [values, LANES] in one flat float32 array ("a block"), so that LLVM sees constant strides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nerfsem_method.compiled import FAST, fast_part, njit
from nerfsem_method.field.hashing import entry_of
from nerfsem_method.field.spec import FieldSpec

LANES = 64
"""A block has so many points: its intermediate values fit into the first cache."""
CODED = 128
"""This bit of a code says that its entry exists."""
_BITS = 7
"""A code holds so many signs; tables of longer vectors are looked up in two parts."""

PART = np.dtype([
    ("axes", np.int64, 3), ("dimensions", np.int64), ("resolution", np.int64), ("features", np.int64), ("entries", np.int64),
    ("hashed", np.int64), ("first_code", np.int64), ("first_entry", np.int64), ("first_feature", np.int64),
])  # fmt: skip
"""What the loops read of a part of a table: its shape, where its codes begin, the number of its table's first entry among all
entries, and which feature of its table is its first."""


class Scratch(NamedTuple):
    """Memory that `look_up` and the gradient of it work in: one block of each intermediate value."""

    base: np.ndarray
    fraction: np.ndarray
    weights: np.ndarray
    entries: np.ndarray
    codes: np.ndarray
    gradient: np.ndarray


def table_parts(spec: FieldSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return the parts of all tables [parts] PART, and the table of each part, int64 [parts]."""
    rows, owners = [], []
    code = entry = 0
    for index, table in enumerate(spec.tables):
        for feature in range(0, table.features, _BITS):
            features = min(table.features - feature, _BITS)
            shape = (len(table.axes), table.resolution, features, table.entries, int(table.hashed))
            rows.append(((*table.axes, 0)[:3], *shape, code, entry, feature))
            owners.append(index)
            code += table.entries
        entry += table.entries
    return np.array(rows, PART), np.array(owners, np.int64)


@njit(cache=True)
def _pack(values, features, row_features, first_feature, codes):
    """Write the codes of entries [n, features] flat; a vector of zeros is not coded."""
    for entry in range(codes.size):
        code = 0
        for f in range(row_features):
            value = values[entry * features + first_feature + f]
            if value != 0:
                code |= CODED
            if value > 0:
                code |= 1 << f
        codes[entry] = code


def table_codes(spec: FieldSpec, tables: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return the codes of all parts, uint8, of tables [entries, features] int8."""
    parts, owners = table_parts(spec)
    codes = np.empty(int(parts["entries"].sum()), np.uint8)
    for part, owner in zip(parts, owners, strict=True):
        values, target = tables[owner], codes[part["first_code"] : part["first_code"] + part["entries"]]
        _pack(np.ascontiguousarray(values).ravel(), values.shape[1], part["features"], part["first_feature"], target)
    return codes


@njit(cache=True)
def line(block, index):
    """Return the values `index` of all lanes: a view, so that the compiler sees offsets that are not negative."""
    return block[index * LANES : (index + 1) * LANES]


@njit(cache=True)
def _place(points, resolution, base, fraction):
    """Find the lower vertices and the fractions of coordinates [LANES] in [0, 1]; the last cell is closed."""
    scale = np.float32(resolution)
    last = np.int32(resolution - 1)
    for s in range(LANES):
        scaled = points[s] * scale
        cell = min(max(np.int32(scaled), np.int32(0)), last)
        base[s] = cell
        fraction[s] = min(max(scaled - np.float32(cell), np.float32(0)), np.float32(1))


@njit(cache=True)
def _weigh(dimensions, fraction, weights):
    """Compute the weights of the corners [8, LANES]; corner bits are (x, y, z), z lowest, without z in a plane."""
    one = np.float32(1)
    if dimensions == 2:
        for s in range(LANES):
            fx, fy = fraction[s], fraction[LANES + s]
            gx, gy = one - fx, one - fy
            weights[s], weights[LANES + s] = gx * gy, gx * fy
            weights[2 * LANES + s], weights[3 * LANES + s] = fx * gy, fx * fy
        return
    for s in range(LANES):
        fx, fy, fz = fraction[s], fraction[LANES + s], fraction[2 * LANES + s]
        gx, gy, gz = one - fx, one - fy, one - fz
        w00, w01, w10, w11 = gx * gy, gx * fy, fx * gy, fx * fy
        weights[s], weights[LANES + s] = w00 * gz, w00 * fz
        weights[2 * LANES + s], weights[3 * LANES + s] = w01 * gz, w01 * fz
        weights[4 * LANES + s], weights[5 * LANES + s] = w10 * gz, w10 * fz
        weights[6 * LANES + s], weights[7 * LANES + s] = w11 * gz, w11 * fz


@njit(cache=True)
def _find(part, base, entries):
    """Find the entries of the corners in pairs that differ in the last axis alone: [4, LANES] of the lower, then as many of the
    upper corners; of a dense table the lower alone, for the upper is the entry behind it."""
    dimensions, resolution = part.dimensions, part.resolution
    if part.hashed:
        for corner in range(1 << dimensions):
            dx, dy = corner >> (dimensions - 1), (corner >> (dimensions - 2)) & 1
            dz = (dimensions - 2) * (corner & 1)
            first = (corner >> 1) + 4 * (corner & 1)
            for s in range(LANES):
                x, y = np.int64(base[s]) + dx, np.int64(base[LANES + s]) + dy
                z = np.int64(base[2 * LANES + s]) + dz if dimensions == 3 else 0
                entries[first * LANES + s] = entry_of(x, y, z, dimensions, resolution, part.entries, True)
        return
    side = np.int32(resolution + 1)
    if dimensions == 2:
        for s in range(LANES):
            entry = base[s] * side + base[LANES + s]
            entries[s], entries[LANES + s] = entry, entry + side
        return
    slab = side * side
    for s in range(LANES):
        entry = (base[s] * side + base[LANES + s]) * side + base[2 * LANES + s]
        entries[s], entries[LANES + s] = entry, entry + side
        entries[2 * LANES + s], entries[3 * LANES + s] = entry + slab, entry + slab + side


@njit(cache=True)
def corners(points, part, scratch):
    """Find the corners of the cells in which points [3, LANES] in [0, 1] lie: their entries and their weights, into `scratch`."""
    for at in range(part.dimensions):
        _place(line(points, part.axes[at]), part.resolution, line(scratch.base, at), line(scratch.fraction, at))
    _weigh(part.dimensions, scratch.fraction, scratch.weights)
    _find(part, scratch.base, scratch.entries)


@njit(cache=True)
def new_scratch():
    """Return a Scratch."""
    return Scratch(
        np.zeros(3 * LANES, np.int32), np.zeros(3 * LANES, np.float32), np.zeros(8 * LANES, np.float32),
        np.zeros(8 * LANES, np.int32), np.zeros(4 * LANES, np.int32), np.zeros(_BITS * LANES, np.float32),
    )  # fmt: skip


@fast_part
def look_up(points, parts, codes, scratch, out):
    """Write the features of all parts [features, LANES] at points [3, LANES] in [0, 1]; return their number."""
    weights, entries, found = scratch.weights, scratch.entries, scratch.codes
    column = 0
    for p in range(parts.shape[0]):
        part = parts[p]
        corners(points, part, scratch)
        pairs = 1 << (part.dimensions - 1)
        first = part.first_code
        # both codes of a pair go into one number: of a dense table that is a single load
        if part.hashed:
            for k in range(pairs * LANES):
                lower, upper = codes[np.uint64(first + entries[k])], codes[np.uint64(first + entries[4 * LANES + k])]
                found[k] = np.int32(lower) | np.int32(upper) << np.int32(8)
        else:
            for k in range(pairs * LANES):
                at = np.uint64(first + entries[k])
                found[k] = np.int32(codes[at]) | np.int32(codes[at + np.uint64(1)]) << np.int32(8)
        for corner in range(2 * pairs):
            own, code, bit = line(weights, corner), line(found, corner >> 1), np.int32(CODED << 8 * (corner & 1))
            for s in range(LANES):
                own[s] = own[s] if code[s] & bit else np.float32(0)
        for f in range(part.features):
            _sum(part.dimensions, weights, found, np.int32(1 << f), line(out, column))
            column += 1
    return column


@fast_part
def _sum(dimensions, weights, found, bit, out):
    # the two cases are written out: with a number of corners that is not constant the inner loop is not unrolled, and nothing
    # becomes a vector
    if dimensions == 3:
        for s in range(LANES):
            total = np.float32(0)
            for pair in range(4):
                total += _signed(weights, found, bit, pair, s)
            out[s] = total
    else:
        for s in range(LANES):
            total = np.float32(0)
            for pair in range(2):
                total += _signed(weights, found, bit, pair, s)
            out[s] = total


@njit(cache=True, fastmath=FAST, inline="always")
def _signed(weights, found, bit, pair, s):
    """Return the sum of the weights of a pair of corners, with the signs of their codes' `bit`."""
    lower, upper, codes = weights[2 * pair * LANES + s], weights[(2 * pair + 1) * LANES + s], found[pair * LANES + s]
    return (lower if codes & bit else -lower) + (upper if codes & (bit << np.int32(8)) else -upper)


@njit(cache=True)
def waves(points, frequencies, column, out):
    """Write the positional encoding of points [3, LANES] from row `column` of `out` on, as `training.heads` has it."""
    for axis in range(3):
        for k in range(frequencies):
            angle = np.float32(np.pi * 2.0**k)
            first = column + 2 * axis * frequencies + k
            sine, cosine, coordinate = line(out, first), line(out, first + frequencies), line(points, axis)
            for s in range(LANES):
                sine[s], cosine[s] = np.sin(coordinate[s] * angle), np.cos(coordinate[s] * angle)
    return column + 6 * frequencies


@njit(cache=True)
def load_points(positions, start, count, points):
    """Copy positions [start : start + count] to points [3, LANES]; lanes that are left over repeat the last point."""
    for s in range(LANES):
        i = start + min(s, count - 1)
        points[s], points[LANES + s], points[2 * LANES + s] = positions[i, 0], positions[i, 1], positions[i, 2]
