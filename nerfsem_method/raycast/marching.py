"""Compiled CPU loops of ray marching, and distances between voxels.

`nerfsem_method.training.march` holds the plain-torch twin, `nerfsem_method.training.loops.cuda` the one for GPUs; tests compare.
"""

from __future__ import annotations

import numpy as np

from nerfsem_method.compiled import njit

FEWEST_OPAQUE = 8
"""Samples that it takes at least to end a ray: a dense voxel's near part may be empty, and what lies behind must be seen."""

SKIPPED = np.float32(0.999)
"""Share of what is known to be empty that is skipped: no rounding may skip the voxel behind it."""

UNIT_BOX = np.array([[0, 1], [0, 1], [0, 1]], np.float32)


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


@njit(cache=True, nogil=True)
def march_rays(origins, directions, start, stop, offsets, step, limit, empty, density, counts, distances):
    """Numbers of samples of the rays start ... stop - 1, and all their distances one after the other; see `march.march`."""
    side = np.int32(empty.shape[0])
    last, scale = np.int32(side - 1), np.float32(side)
    step = np.float32(step)
    skip = SKIPPED / (scale * step)
    thickest = limit / FEWEST_OPAQUE
    total = 0
    for ray in range(start, stop):
        near, far = span(origins[ray], directions[ray], UNIT_BOX)
        ox, oy, oz = origins[ray, 0], origins[ray, 1], origins[ray, 2]
        dx, dy, dz = directions[ray, 0], directions[ray, 1], directions[ray, 2]
        before, depth, k = total, 0.0, 0
        while depth <= limit:
            distance = near + (np.float32(k) + offsets[ray]) * step
            if distance >= far:
                break
            k += 1
            x = min(max(np.int32((ox + distance * dx) * scale), np.int32(0)), last)
            y = min(max(np.int32((oy + distance * dy) * scale), np.int32(0)), last)
            z = min(max(np.int32((oz + distance * dz) * scale), np.int32(0)), last)
            away = empty[np.uint32(x), np.uint32(y), np.uint32(z)]
            if away > 0:  # so many voxels away is the next occupied one, along any axis
                k += np.int64(np.float32(away - 1) * skip)
                continue
            distances[total] = distance
            total += 1
            if density.size:
                depth += min(density[np.uint32(x), np.uint32(y), np.uint32(z)] * step, thickest)
        counts[ray] = total - before


@njit(cache=True, nogil=True)
def place_samples(origins, directions, start, stop, starts, distances, rays, positions):
    """The ray of each sample of the rays start ... stop - 1, and its position [S, 3] in [0, 1]."""
    for ray in range(start, stop):
        for axis in range(3):
            origin, direction = origins[ray, axis], directions[ray, axis]
            for k in range(starts[ray], starts[ray + 1]):
                positions[k, axis] = min(max(origin + distances[k] * direction, np.float32(0)), np.float32(1))
        rays[starts[ray] : starts[ray + 1]] = ray


@njit(cache=True)
def remember_largest(positions, weights, seen):
    """seen [G, G, G] = the largest of itself and the weights [S] of the samples at positions [S, 3] in each voxel."""
    side = np.int32(seen.shape[0])
    last, scale = np.int32(side - 1), np.float32(side)
    for k in range(weights.size):
        x = min(np.int32(positions[k, 0] * scale), last)
        y = min(np.int32(positions[k, 1] * scale), last)
        z = min(np.int32(positions[k, 2] * scale), last)
        if weights[k] > seen[x, y, z]:
            seen[x, y, z] = weights[k]


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
