"""Ray marching: equidistant samples inside occupied voxels of the unit cube, cut off behind opaque matter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nerfsem_method.compiled.threads import THREADS, in_parts
from nerfsem_method.raycast import marching as kernels
from nerfsem_method.training.backend import compiled, fused

OPAQUE_DEPTH = 12.0
"""A ray ends where the estimated optical depth passes this: at most e^-12 of its light is left."""


@dataclass(frozen=True)
class Samples:
    """Packed samples, ray by ray, near to far.

    Attributes:
        starts: [R + 1] int64, the samples starts[r] ... starts[r + 1] - 1 are those of ray r.
        rays: [S] int64, the ray of each sample.
        distances: [S] float32 along the unit direction.
        positions: [S, 3] float32 in [0, 1].
        step: length of every interval.
    """

    starts: Tensor
    rays: Tensor
    distances: Tensor
    positions: Tensor
    step: float

    @property
    def count(self) -> int:
        """Number of rays."""
        return len(self.starts) - 1


def march(
    origins: Tensor, directions: Tensor, empty: Tensor, density: Tensor | None, step: float, offsets: Tensor
) -> Samples:
    """Sample rays at near + (k + offset) * step.

    Args:
        origins, directions: [R, 3] float32 in unit-cube coordinates, directions of length 1.
        empty: [G, G, G] uint8, how many voxels away (along the longest axis) the next occupied one is at least, 0 where occupied.
        density: [G, G, G] float32, in occupied voxels a lower estimate of the density inside; None to end no ray.
        step: distance between samples.
        offsets: [R] float32 in [0, 1), the jitter.
    """
    if fused(origins):
        from nerfsem_method.training.loops import cuda

        return Samples(*cuda.march(origins, directions, empty, density, step, offsets, OPAQUE_DEPTH), step)
    march_rays = _march_cpu if compiled(origins) else _march_torch
    return march_rays(origins, directions, empty, density, step, offsets)


def _march_cpu(
    origins: Tensor, directions: Tensor, empty: Tensor, density: Tensor | None, step: float, offsets: Tensor
) -> Samples:
    given = origins.contiguous().numpy(), directions.contiguous().numpy()
    estimate = np.zeros((0, 0, 0), np.float32) if density is None else density.numpy()
    options = offsets.numpy(), step, OPAQUE_DEPTH, empty.numpy(), estimate
    starts = np.zeros(len(origins) + 1, np.int64)
    parts: list[np.ndarray] = [np.zeros(0, np.float32)] * THREADS

    def find(thread: int, start: int, stop: int) -> None:
        # room for as many as there can be; memory that is never written to costs nothing
        parts[thread] = np.empty((stop - start) * _most_samples(step), np.float32)
        kernels.march_rays(*given, start, stop, *options, starts[1:], parts[thread])

    def place(_: int, start: int, stop: int) -> None:
        kernels.place_samples(*given, start, stop, starts, distances, rays.numpy(), positions.numpy())

    in_parts(len(origins), find)
    bounds = [len(origins) * thread // THREADS for thread in range(THREADS + 1)]
    found = [starts[1 + first : 1 + last].sum() for first, last in zip(bounds, bounds[1:], strict=False)]
    distances = np.concatenate([part[:count] for part, count in zip(parts, found, strict=True)])
    starts = starts.cumsum()
    rays, positions = torch.empty(len(distances), dtype=torch.int64), torch.empty(len(distances), 3)
    in_parts(len(origins), place)
    return Samples(torch.from_numpy(starts), rays, torch.from_numpy(distances), positions, step)


def _most_samples(step: float) -> int:
    """Samples that a ray through the unit cube has at most."""
    return int(3**0.5 / step) + 2


def _march_torch(
    origins: Tensor, directions: Tensor, empty: Tensor, density: Tensor | None, step: float, offsets: Tensor
) -> Samples:
    """The same in plain torch: all steps of all rays at once."""
    safe = torch.where(directions.abs() < 1e-9, torch.full_like(directions, 1e-9), directions)
    a, b = -origins / safe, (1 - origins) / safe
    near = torch.minimum(a, b).amax(1).clamp(min=0)
    far = torch.maximum(a, b).amin(1)
    steps = _most_samples(step)
    distances = near[:, None] + (torch.arange(steps, device=origins.device) + offsets[:, None]) * step  # [R, K]
    side = empty.shape[0]
    positions = origins[:, None] + distances[..., None] * directions[:, None]
    voxels = (positions * side).long().clamp(0, side - 1)
    x, y, z = voxels.unbind(-1)
    taken = (distances < far[:, None]) & (empty[x, y, z] == 0)
    if density is not None:
        optical = torch.where(taken, density[x, y, z] * step, 0.0).clamp(max=OPAQUE_DEPTH / kernels.FEWEST_OPAQUE)
        taken &= optical.cumsum(1) - optical <= OPAQUE_DEPTH
    rays, columns = taken.nonzero(as_tuple=True)
    starts = functional.pad(taken.sum(1).cumsum(0), (1, 0))
    chosen = distances[rays, columns]
    places = (origins[rays] + chosen[:, None] * directions[rays]).clamp(0, 1)
    return Samples(starts, rays, chosen, places, step)
