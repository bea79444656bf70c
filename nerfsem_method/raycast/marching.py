"""Every loop that follows rays through voxels asks where a ray meets a box, and how far away the next occupied voxel is."""

from __future__ import annotations

import numpy as np

from nerfsem_method.compiled import njit

SKIPPED = np.float32(0.999)
"""So much of what is known to be empty is skipped: no rounding may skip the voxel behind it."""

UNIT_BOX = np.array([[0, 1], [0, 1], [0, 1]], np.float32)


@njit(inline="always")
def span(origin, direction, box):
    """Return the entry and exit distance of a ray and a box [3, 2] (lower and upper bound an axis); entry > exit: no hit."""
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


@njit(cache=True)
def _spread(distance, sign):
    """Do one pass of the chessboard distance: the minimum over the neighbours that the pass has visited, plus 1."""
    side = distance.shape[0]
    for i in range(side):
        x = i if sign < 0 else side - 1 - i
        for j in range(side):
            y = j if sign < 0 else side - 1 - j
            for k in range(side):
                z = k if sign < 0 else side - 1 - k
                least = np.int64(distance[x, y, z])
                for n in range(13):  # 13 of the 26 neighbours come earlier in this order
                    u, v, w = x + sign * (1 - n // 9), y + sign * (1 - n // 3 % 3), z + sign * (1 - n % 3)
                    if min(u, v, w) >= 0 and max(u, v, w) < side:
                        least = min(least, distance[u, v, w] + 1)
                distance[x, y, z] = least


def voxel_distances(occupied: np.ndarray) -> np.ndarray:
    """Return each voxel's chessboard distance to the nearest occupied one: uint8 [G, G, G], at most 255, 0 where occupied."""
    distance = np.where(occupied, 0, 255).astype(np.int16)
    _spread(distance, -1)
    _spread(distance, 1)
    return np.minimum(distance, 255).astype(np.uint8)
