"""A vertex has an entry of its own while the table is large enough, and Instant-NGP's hash beyond that (method, section 3)."""

from __future__ import annotations

import numpy as np

from nerfsem_method.compiled import njit

PRIMES = (1, 2654435761, 805459861)


@njit(cache=True, inline="always")
def entry_of(x, y, z, dimensions, resolution, entries, hashed):
    """Return the entry of vertex (x, y, z); a plane passes z = 0. In a dense table the last axis runs fastest."""
    if hashed:
        return ((x * PRIMES[0]) ^ (y * PRIMES[1]) ^ (z * PRIMES[2])) & (entries - 1)  # mod a power of two
    side = resolution + 1
    return (x * side + y) * side + z if dimensions == 3 else x * side + y


@njit(cache=True)
def _entries_of(vertices, resolution, entries, hashed, out):
    dimensions = vertices.shape[1]
    for i in range(vertices.shape[0]):
        z = vertices[i, 2] if dimensions == 3 else 0
        out[i] = entry_of(vertices[i, 0], vertices[i, 1], z, dimensions, resolution, entries, hashed)


def entries_of(vertices: np.ndarray, resolution: int, entries: int, hashed: bool) -> np.ndarray:
    """Return the entries [V] int64 of integer vertices [V, 2 or 3].

    The hash is XOR_d(x_d * pi_d) mod entries (Müller et al., 2022, equation 4) in 64-bit integers; `entries` is a power of two
    there, so that 32-bit arithmetic gives the same entry.
    """
    out = np.empty(len(vertices), np.int64)
    _entries_of(vertices.astype(np.int64), resolution, entries, hashed, out)
    return out
