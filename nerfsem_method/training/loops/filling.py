"""A voxel more can make an occupancy cheaper to describe: here are the voxels that do."""

from __future__ import annotations

import numpy as np

from nerfsem_method.compiled import njit

FEWEST_BITS = 1.5
"""A voxel must save so many bits: about what the signs of its own take that it brings along."""
ROUNDS = 4
"""The costs of a context are estimated anew so often; hardly a voxel is added after that."""
UNSEEN = 0.4
"""Every context is taken to have been seen so often with either value before the first voxel."""


def fill(occupancy: np.ndarray, hull: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Return a bool grid [G, G, G] with the voxels of the hull beside occupied ones that make it cheaper by FEWEST_BITS.

    The costs are those of static models whose contexts are the voxels at the offsets `template` [n, 3], those of
    `codec.occupancy`, which the coder's adaptive models come close to.
    """
    border = int(np.abs(template).max())
    padded, allowed = np.pad(occupancy, border).astype(np.uint8), np.pad(hull, border)
    for _ in range(ROUNDS):
        counts = _counts(padded, template, border)
        if not _fill(padded, allowed, template, border, -np.log2(counts / counts.sum(1, keepdims=True))):
            break
    inner = (slice(border, -border),) * 3
    return padded[inner].astype(bool)


@njit(cache=True)
def _context(padded, template, x, y, z):
    context = 0
    for n in range(template.shape[0]):
        context |= np.int64(padded[x + template[n, 0], y + template[n, 1], z + template[n, 2]]) << n
    return context


@njit(cache=True)
def _counts(padded, template, border):
    """Return how often each context is followed by an empty and by an occupied voxel, float64 [contexts, 2]."""
    counts = np.full((1 << template.shape[0], 2), UNSEEN)
    side = padded.shape[0] - border
    for x in range(border, side):
        for y in range(border, side):
            for z in range(border, side):
                counts[_context(padded, template, x, y, z), padded[x, y, z]] += 1
    return counts


@njit(cache=True)
def _fill(padded, allowed, template, border, costs):
    """Occupy, one after the other, the voxels that pay, and return how many these are."""
    side, added = padded.shape[0] - border, 0
    for x in range(border, side):
        for y in range(border, side):
            for z in range(border, side):
                if padded[x, y, z] or not allowed[x, y, z] or not padded[x - 1 : x + 2, y - 1 : y + 2, z - 1 : z + 2].any():
                    continue
                own = _context(padded, template, x, y, z)
                saved = costs[own, 0] - costs[own, 1]
                for n in range(template.shape[0]):
                    u, v, w = x - template[n, 0], y - template[n, 1], z - template[n, 2]
                    if min(u, v, w) >= border and max(u, v, w) < side:
                        context, value = _context(padded, template, u, v, w), padded[u, v, w]
                        saved += costs[context, value] - costs[context | 1 << n, value]
                if saved > FEWEST_BITS:
                    padded[x, y, z] = 1
                    added += 1
    return added
