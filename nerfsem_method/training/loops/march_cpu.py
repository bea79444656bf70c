"""Rays are marched through voxels on the CPU: equidistant samples in occupied voxels, cut off behind opaque matter.

`training.march` holds the plain-torch twin, `march_triton` the one for GPUs. Marching is compiled without freedom for rounding:
samples lie at the same distances on all of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nerfsem_method.compiled import njit
from nerfsem_method.raycast.marching import SKIPPED, UNIT_BOX, span

FEWEST_OPAQUE = 3
"""More samples than these end a ray: a dense place's near part may be empty, and what lies behind must be seen."""


class Rays(NamedTuple):
    """Rays have origins and unit directions [R, 3], and jitter [R] in [0, 1), all float32."""

    origins: np.ndarray
    directions: np.ndarray
    offsets: np.ndarray


class Voxels(NamedTuple):
    """What marching knows of the voxels.

    Attributes:
        empty: [G, G, G] uint8, how many voxels away the next occupied one is at least, see `raycast.marching.voxel_distances`.
        density: [D, D, D] float32, lower estimates of the density; of size 0 to end no ray.
        step: distance between samples.
        limit: optical depth at which a ray ends.
    """

    empty: np.ndarray
    density: np.ndarray
    step: np.float32
    limit: float


@njit(inline="always")
def _place(position, side):
    """Return which of `side` voxels along an axis holds a position."""
    return np.uint32(min(max(np.int32(position * np.float32(side)), np.int32(0)), side - np.int32(1)))


@njit(cache=True, nogil=True)
def march_rays(rays, voxels, start, stop, counts, distances):
    """Write the numbers of samples of the rays start ... stop - 1 to `counts`, and all their distances one after the other."""
    empty, density, step, offsets = voxels.empty, voxels.density, voxels.step, rays.offsets
    side, finer = np.int32(empty.shape[0]), np.int32(density.shape[0])
    skip = SKIPPED / (np.float32(side) * step)
    thickest = voxels.limit / FEWEST_OPAQUE
    total = 0
    for ray in range(start, stop):
        origin, direction = rays.origins[ray], rays.directions[ray]
        near, far = span(origin, direction, UNIT_BOX)
        ox, oy, oz = origin[0], origin[1], origin[2]
        dx, dy, dz = direction[0], direction[1], direction[2]
        before, depth, k = total, 0.0, 0
        while depth <= voxels.limit:
            distance = near + (np.float32(k) + offsets[ray]) * step
            if distance >= far:
                break
            k += 1
            x, y, z = ox + distance * dx, oy + distance * dy, oz + distance * dz
            away = empty[_place(x, side), _place(y, side), _place(z, side)]
            if away > 0:  # the next occupied voxel is so many voxels away, along any axis
                k += np.int64(np.float32(away - 1) * skip)
                continue
            distances[total] = distance
            total += 1
            if finer:
                depth += min(density[_place(x, finer), _place(y, finer), _place(z, finer)] * step, thickest)
        counts[ray] = total - before


@njit(cache=True, nogil=True)
def put_samples(rays, start, stop, starts, distances, owners, positions):
    """Write the ray of each sample of the rays start ... stop - 1 to `owners`, and its position [S, 3] in [0, 1]."""
    for ray in range(start, stop):
        for axis in range(3):
            origin, direction = rays.origins[ray, axis], rays.directions[ray, axis]
            for k in range(starts[ray], starts[ray + 1]):
                positions[k, axis] = min(max(origin + distances[k] * direction, np.float32(0)), np.float32(1))
        owners[starts[ray] : starts[ray + 1]] = ray


@njit(cache=True)
def remember_largest(positions, weights, seen):
    """Raise seen [G, G, G] to the weights [S] of the samples at positions [S, 3] in each voxel."""
    side = np.int32(seen.shape[0])
    last, scale = np.int32(side - 1), np.float32(side)
    for k in range(weights.size):
        x = min(np.int32(positions[k, 0] * scale), last)
        y = min(np.int32(positions[k, 1] * scale), last)
        z = min(np.int32(positions[k, 2] * scale), last)
        if weights[k] > seen[x, y, z]:
            seen[x, y, z] = weights[k]
