"""Multilinear look-up of binary features, compiled: LANES points at a time, so that the arithmetic is vectors.

Every entry of a table is one byte, its *code*: the signs as bits, and CODED where it exists (entries that no occupied voxel
touches read 0). `nerfsem_method.training.encoding` holds the plain-torch twin; tests compare. The gradient is in `scatter`.

Values of LANES points are kept as [values, LANES] in one flat float32 array ("a block"), so that LLVM sees constant strides.
"""

from __future__ import annotations

import numpy as np

from nerfsem_method.compiled import njit
from nerfsem_method.field.hashing import entry_of
from nerfsem_method.field.spec import FieldSpec

LANES = 64
"""Points in a block."""
CODED = 128
_BITS = 7
"""Signs in a code; tables of longer vectors are looked up in two parts."""
FAST = {"contract", "reassoc", "nsz", "arcp"}
"""Freedom for arithmetic whose last bit does not matter. Where samples lie does, so marching is compiled without."""

# columns of the description of the tables' parts
AXIS0, AXIS1, AXIS2, DIMENSIONS, RESOLUTION, FEATURES, ENTRIES, HASHED, FIRST_CODE, FIRST_ENTRY, FIRST_FEATURE = range(11)


def table_parts(spec: FieldSpec) -> tuple[np.ndarray, np.ndarray]:
    """What the kernels read of each part of each table, int64 [parts, 11], and the table of each part, int64 [parts]."""
    rows, owners = [], []
    code = entry = 0
    for index, table in enumerate(spec.tables):
        for feature in range(0, table.features, _BITS):
            axes = (*table.axes, 0)[:3]
            features = min(table.features - feature, _BITS)
            shape = (len(table.axes), table.resolution, features, table.entries, int(table.hashed))
            rows.append((*axes, *shape, code, entry, feature))
            owners.append(index)
            code += table.entries
        entry += table.entries
    return np.array(rows, np.int64), np.array(owners, np.int64)


@njit(cache=True)
def _pack(values, features, row_features, first_feature, codes):
    """Codes of entries [n, features] flat; a vector of zeros is not coded."""
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
    """The codes of all parts, uint8, of tables [entries, features] int8."""
    rows, owners = table_parts(spec)
    codes = np.empty(int(rows[:, ENTRIES].sum()), np.uint8)
    for row, owner in zip(rows, owners, strict=True):
        values, target = tables[owner], codes[row[FIRST_CODE] : row[FIRST_CODE] + row[ENTRIES]]
        _pack(np.ascontiguousarray(values).ravel(), values.shape[1], row[FEATURES], row[FIRST_FEATURE], target)
    return codes


@njit(cache=True)
def line(block, index):
    """The values `index` of all lanes: a view, so that the compiler sees offsets that are not negative."""
    return block[index * LANES : (index + 1) * LANES]


@njit(cache=True)
def _place(points, resolution, base, fraction):
    """Lower vertex and fraction of coordinates [LANES] in [0, 1]; the last cell is closed."""
    scale = np.float32(resolution)
    last = np.int32(resolution - 1)
    for s in range(LANES):
        scaled = points[s] * scale
        cell = min(max(np.int32(scaled), np.int32(0)), last)
        base[s] = cell
        fraction[s] = min(max(scaled - np.float32(cell), np.float32(0)), np.float32(1))


@njit(cache=True)
def _weigh(dimensions, fraction, weights):
    """Weights of the corners [8, LANES]; corner bits are (x, y, z), z lowest, without z in a plane."""
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
def _find(row, base, entries):
    """Entries of the corners in pairs that differ in the last axis alone: [4, LANES] of the lower, then as many of the upper
    corners; of a dense table the lower alone, for the upper is the entry behind it."""
    dimensions, resolution = row[DIMENSIONS], row[RESOLUTION]
    if row[HASHED]:
        for corner in range(1 << dimensions):
            dx, dy = corner >> (dimensions - 1), (corner >> (dimensions - 2)) & 1
            dz = (dimensions - 2) * (corner & 1)
            first = (corner >> 1) + 4 * (corner & 1)
            for s in range(LANES):
                x, y = np.int64(base[s]) + dx, np.int64(base[LANES + s]) + dy
                z = np.int64(base[2 * LANES + s]) + dz if dimensions == 3 else 0
                entries[first * LANES + s] = entry_of(x, y, z, dimensions, resolution, row[ENTRIES], True)
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
def corners(points, row, base, fraction, weights, entries):
    """Lower vertices and fractions [3, LANES] of points [3, LANES] in [0, 1]; weights and entries of their cells' corners."""
    for at in range(row[DIMENSIONS]):
        _place(line(points, row[AXIS0 + at]), row[RESOLUTION], line(base, at), line(fraction, at))
    _weigh(row[DIMENSIONS], fraction, weights)
    _find(row, base, entries)


@njit(cache=True)
def look_up_room():
    """Scratch of `look_up` and `scatter`: lower vertices, fractions, weights and entries of the corners, codes, one gradient."""
    base, fraction = np.zeros(3 * LANES, np.int32), np.zeros(3 * LANES, np.float32)
    weights, entries = np.zeros(8 * LANES, np.float32), np.zeros(8 * LANES, np.int32)
    return base, fraction, weights, entries, np.zeros(4 * LANES, np.int32), np.zeros(_BITS * LANES, np.float32)


@njit(cache=True, fastmath=FAST)
def look_up(points, parts, codes, room, out):
    """Features of all parts [features, LANES] at points [3, LANES] in [0, 1]."""
    base, fraction, weights, entries, found, _ = room
    column = 0
    for p in range(parts.shape[0]):
        row = parts[p]
        corners(points, row, base, fraction, weights, entries)
        pairs = 1 << (row[DIMENSIONS] - 1)
        first = row[FIRST_CODE]
        # both codes of a pair in one number: of a dense table a single load
        if row[HASHED]:
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
        for f in range(row[FEATURES]):
            _sum(row[DIMENSIONS], weights, found, np.int32(1 << f), line(out, column))
            column += 1
    return column


@njit(cache=True, fastmath=FAST)
def _sum(dimensions, weights, found, bit, out):
    # written out: with a number of corners that is not constant the inner loop is not unrolled and nothing becomes a vector
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
    """The weights of a pair of corners, with the signs of their codes' `bit`."""
    lower, upper, codes = weights[2 * pair * LANES + s], weights[(2 * pair + 1) * LANES + s], found[pair * LANES + s]
    return (lower if codes & bit else -lower) + (upper if codes & (bit << np.int32(8)) else -upper)


@njit(cache=True)
def waves(points, frequencies, column, out):
    """The positional encoding of points [3, LANES] from row `column` of `out` on, as `heads.positional_encoding`."""
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
    """points [3, LANES] = positions [start : start + count]; lanes that are left over repeat the last point."""
    for s in range(LANES):
        i = start + min(s, count - 1)
        points[s], points[LANES + s], points[2 * LANES + s] = positions[i, 0], positions[i, 1], positions[i, 2]


@njit(cache=True, nogil=True)
def encode(positions, start, stop, parts, codes, out):
    """out [S, features] = features at positions [S, 3] in [0, 1], for the points start ... stop - 1."""
    room = look_up_room()
    points = np.zeros(3 * LANES, np.float32)
    features = out.shape[1]
    block = np.zeros(features * LANES, np.float32)
    for first in range(start, stop, LANES):
        count = min(LANES, stop - first)
        load_points(positions, first, count, points)
        look_up(points, parts, codes, room, block)
        own = out[first : first + count]
        for f in range(features):
            found = line(block, f)
            for s in range(count):
                own[s, f] = found[s]
