"""Compiled CPU loops: multilinear look-up of binary features, its gradient, and ray marching.

`nerfsem_method.field.encoding` and `nerfsem_method.field.march` hold the plain-torch twins that run on CUDA; tests compare.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from nerfsem_method.field.hashing import entry_of

FEWEST_OPAQUE = 8
"""Samples that it takes at least to end a ray: a dense voxel's near part may be empty, and what lies behind must be seen."""

UNIT_BOX = np.array([[0, 1], [0, 1], [0, 1]], np.float32)

# columns of the table description
AXIS0, AXIS1, AXIS2, DIMENSIONS, RESOLUTION, FEATURES, ENTRIES, HASHED, FIRST_VALUE, FIRST_SLOT = range(10)


@njit(inline="always")
def _cell(position, resolution):
    """Lower vertex and fraction of a coordinate in [0, 1]; the last cell is closed."""
    scaled = position * np.float32(resolution)
    base = min(max(np.int64(scaled), 0), resolution - 1)
    return base, min(max(scaled - np.float32(base), np.float32(0)), np.float32(1))


@njit(inline="always")
def corners_of(positions, i, table, slots, firsts, weights):
    """Where each corner's feature vector begins and its weight; corner bits are (x, y, z), z lowest."""
    one = np.float32(1)
    axis0, axis1, axis2, dimensions, resolution, features, entries, hashed, first_value, first_slot = table
    x, fx = _cell(positions[i, axis0], resolution)
    y, fy = _cell(positions[i, axis1], resolution)
    w00, w01, w10, w11 = (one - fx) * (one - fy), (one - fx) * fy, fx * (one - fy), fx * fy
    z = 0
    if dimensions == 2:
        weights[0], weights[1], weights[2], weights[3] = w00, w01, w10, w11
    else:
        z, fz = _cell(positions[i, axis2], resolution)
        gz = one - fz
        weights[0], weights[1], weights[2], weights[3] = w00 * gz, w00 * fz, w01 * gz, w01 * fz
        weights[4], weights[5], weights[6], weights[7] = w10 * gz, w10 * fz, w11 * gz, w11 * fz
    if hashed:
        for corner in range(1 << dimensions):
            dx, dy, dz = corner >> (dimensions - 1), (corner >> (dimensions - 2)) & 1, (dimensions - 2) * (corner & 1)
            entry = entry_of(x + dx, y + dy, z + dz, dimensions, resolution, entries, True)
            firsts[corner] = first_value + entry * features
        return
    side = resolution + 1
    entry = first_slot + (x * side + y if dimensions == 2 else (x * side + y) * side + z)
    beside, above = (side, 1) if dimensions == 2 else (side * side, side)
    if dimensions == 2:
        firsts[0], firsts[1] = slots[entry], slots[entry + above]
        firsts[2], firsts[3] = slots[entry + beside], slots[entry + beside + above]
    else:
        firsts[0], firsts[1] = slots[entry], slots[entry + 1]
        firsts[2], firsts[3] = slots[entry + above], slots[entry + above + 1]
        firsts[4], firsts[5] = slots[entry + beside], slots[entry + beside + 1]
        firsts[6], firsts[7] = slots[entry + beside + above], slots[entry + beside + above + 1]


@njit(cache=True)
def _encode_table(positions, start, stop, table, slots, signs, column, out):
    firsts = np.empty(8, np.int64)
    weights = np.empty(8, np.float32)
    features = table[FEATURES]
    corners = 1 << table[DIMENSIONS]
    for i in range(start, stop):
        corners_of(positions, i, table, slots, firsts, weights)
        if features == 1:
            total = np.float32(0)
            for corner in range(corners):
                total += weights[corner] * np.float32(signs[firsts[corner]])
            out[i, column] = total
        elif features == 2:
            a, b = np.float32(0), np.float32(0)
            for corner in range(corners):
                first, weight = firsts[corner], weights[corner]
                a += weight * np.float32(signs[first])
                b += weight * np.float32(signs[first + 1])
            out[i, column], out[i, column + 1] = a, b
        elif features == 4:
            a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for corner in range(corners):
                first, weight = firsts[corner], weights[corner]
                a += weight * np.float32(signs[first])
                b += weight * np.float32(signs[first + 1])
                c += weight * np.float32(signs[first + 2])
                d += weight * np.float32(signs[first + 3])
            out[i, column], out[i, column + 1], out[i, column + 2], out[i, column + 3] = a, b, c, d
        else:
            for f in range(features):
                total = np.float32(0)
                for corner in range(corners):
                    total += weights[corner] * np.float32(signs[firsts[corner] + f])
                out[i, column + f] = total


@njit(cache=True)
def _encode_table_backward(positions, start, stop, table, slots, gradient, column, partial):
    firsts = np.empty(8, np.int64)
    weights = np.empty(8, np.float32)
    features = table[FEATURES]
    corners = 1 << table[DIMENSIONS]
    for i in range(start, stop):
        corners_of(positions, i, table, slots, firsts, weights)
        for corner in range(corners):
            first, weight = firsts[corner], weights[corner]
            for f in range(features):
                partial[first + f] += weight * gradient[i, column + f]


@njit(cache=True)
def table_row(tables, t):
    """A row of the description as a tuple, which the compiler keeps in registers."""
    return (
        tables[t, 0], tables[t, 1], tables[t, 2], tables[t, 3], tables[t, 4],
        tables[t, 5], tables[t, 6], tables[t, 7], tables[t, 8], tables[t, 9],
    )  # fmt: skip


@njit(parallel=True, cache=True)
def encode(positions, tables, slots, signs, threads, out):
    """out [S, sum of features] = interpolated signs at positions [S, 3] in [0, 1].

    `slots` holds, for the vertices of dense tables, the index of their first value; those that are not stored point to
    a vector of zeros at the end of `signs`.
    """
    count = positions.shape[0]
    for thread in prange(threads):
        start, stop = count * thread // threads, count * (thread + 1) // threads
        column = 0
        for t in range(tables.shape[0]):
            _encode_table(positions, start, stop, table_row(tables, t), slots, signs, column, out)
            column += tables[t, FEATURES]


@njit(parallel=True, cache=True)
def encode_backward(positions, tables, slots, gradient, partial):
    """Add the gradient [S, sum of features] of the signs into partial [threads, values], one row a thread."""
    threads = partial.shape[0]
    count = positions.shape[0]
    for thread in prange(threads):
        start, stop = count * thread // threads, count * (thread + 1) // threads
        column = 0
        for t in range(tables.shape[0]):
            _encode_table_backward(positions, start, stop, table_row(tables, t), slots, gradient, column, partial[thread])
            column += tables[t, FEATURES]


@njit(inline="always")
def span(origin, direction, box):
    """Entry and exit distance of a ray and a box [3, 2] (lower and upper bound an axis); entry > exit: no hit."""
    near, far = np.float32(0), np.float32(1e9)
    for axis in range(3):
        if abs(direction[axis]) < np.float32(1e-9):
            if origin[axis] < box[axis, 0] or origin[axis] > box[axis, 1]:
                far = np.float32(-1)
            continue
        a = (box[axis, 0] - origin[axis]) / direction[axis]
        b = (box[axis, 1] - origin[axis]) / direction[axis]
        near = max(near, min(a, b))
        far = min(far, max(a, b))
    return near, far


@njit(inline="always")
def _voxel(origin, direction, distance, side):
    scale = np.float32(side)
    x = min(max(np.int64((origin[0] + distance * direction[0]) * scale), 0), side - 1)
    y = min(max(np.int64((origin[1] + distance * direction[1]) * scale), 0), side - 1)
    z = min(max(np.int64((origin[2] + distance * direction[2]) * scale), 0), side - 1)
    return (x * side + y) * side + z


@njit(inline="always")
def _march_ray(origin, direction, offset, step, limit, side, density, ray, first, rays, distances):
    """Samples of one ray from index `first` on (written where `first` >= 0); returns their number."""
    near, far = span(origin, direction, UNIT_BOX)
    step = np.float32(step)
    depth = np.float32(0)
    count = 0
    k = 0
    while True:
        distance = near + (np.float32(k) + offset) * step
        if distance >= far:
            break
        k += 1
        estimate = density[_voxel(origin, direction, distance, side)]
        if estimate < 0:  # so many voxels away is the next occupied one, along any axis
            k += np.int64((-estimate - np.float32(1)) / (np.float32(side) * step) * np.float32(0.999))
            continue
        if first >= 0:
            rays[first + count] = ray
            distances[first + count] = distance
        count += 1
        depth += min(estimate * step, limit / FEWEST_OPAQUE)
        if depth > limit:
            break
    return count


@njit(parallel=True, cache=True)
def march_count(origins, directions, offsets, step, limit, side, density, counts):
    """Number of samples of each ray; see `march.march`."""
    empty_rays = np.empty(0, np.int64)
    empty_distances = np.empty(0, np.float32)
    for ray in prange(origins.shape[0]):
        counts[ray] = _march_ray(
            origins[ray],
            directions[ray],
            offsets[ray],
            step,
            limit,
            side,
            density,
            ray,
            -1,
            empty_rays,
            empty_distances,
        )


@njit(parallel=True, cache=True)
def march_fill(origins, directions, offsets, step, limit, side, density, starts, rays, distances):
    """The samples of each ray, written from starts[ray] on."""
    for ray in prange(origins.shape[0]):
        _march_ray(
            origins[ray], directions[ray], offsets[ray], step, limit, side, density, ray, starts[ray], rays, distances
        )


@njit(cache=True)
def _spread(distance, sign):
    """One pass of the chessboard distance: minimum over the neighbours that the pass has visited, plus 1."""
    side = distance.shape[0]
    for i in range(side):
        x = i if sign < 0 else side - 1 - i
        for j in range(side):
            y = j if sign < 0 else side - 1 - j
            for k in range(side):
                z = k if sign < 0 else side - 1 - k
                least = np.int64(distance[x, y, z])
                for n in range(13):  # the 13 of 26 neighbours that come earlier in this order
                    u, v, w = x + sign * (1 - n // 9), y + sign * (1 - n // 3 % 3), z + sign * (1 - n % 3)
                    if min(u, v, w) >= 0 and max(u, v, w) < side:
                        least = min(least, distance[u, v, w] + 1)
                distance[x, y, z] = least


def voxel_distances(occupied: np.ndarray) -> np.ndarray:
    """Chessboard distance of each voxel to the nearest occupied one: uint8 [G, G, G], at most 255, 0 where occupied."""
    distance = np.where(occupied, 0, 255).astype(np.int16)
    _spread(distance, -1)
    _spread(distance, 1)
    return np.minimum(distance, 255).astype(np.uint8)
