"""Ray marching finds equidistant samples inside occupied voxels of the unit cube, cut off behind opaque matter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nerfsem_method.compiled.threads import THREADS, in_parts, parts
from nerfsem_method.training.backend import compiled, fused
from nerfsem_method.training.loops.march_cpu import FEWEST_OPAQUE, Rays, Voxels, march_rays, put_samples

OPAQUE_DEPTH = 12.0
"""A ray ends where the estimated optical depth passes this: at most e^-12 of its light is left."""


@dataclass(frozen=True)
class Samples:
    """Packed samples lie ray by ray, near to far.

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
        """Return the number of rays."""
        return len(self.starts) - 1


def march(
    origins: Tensor, directions: Tensor, empty: Tensor, density: Tensor | None, step: float, offsets: Tensor
) -> Samples:
    """Sample rays at near + (k + offset) * step.

    Args:
        origins, directions: [R, 3] float32 in unit-cube coordinates, directions of length 1.
        empty: [G, G, G] uint8, how many voxels away (along the longest axis) the next occupied one is at least, 0 where occupied.
        density: [D, D, D] float32, in occupied voxels a lower estimate of the density inside; None to end no ray.
        step: distance between samples.
        offsets: [R] float32 in [0, 1), the jitter.
    """
    if fused(origins):
        from nerfsem_method.training.loops import march_triton

        return Samples(*march_triton.march(origins, directions, empty, density, step, offsets, OPAQUE_DEPTH), step)
    if compiled(origins):
        return _march_cpu(origins, directions, empty, density, step, offsets)
    return march_plain(origins, directions, empty, density, step, offsets)


def clipped(samples: Samples, nears: Tensor, fars: Tensor) -> Samples:
    """Return the samples that lie between two distances [R] along their rays."""
    kept = (samples.distances >= nears[samples.rays]) & (samples.distances <= fars[samples.rays])
    rays = samples.rays[kept]
    starts = functional.pad(torch.bincount(rays, minlength=samples.count).cumsum(0), (1, 0))
    return Samples(starts, rays, samples.distances[kept], samples.positions[kept], samples.step)


def _march_cpu(
    origins: Tensor, directions: Tensor, empty: Tensor, density: Tensor | None, step: float, offsets: Tensor
) -> Samples:
    given = Rays(origins.contiguous().numpy(), directions.contiguous().numpy(), offsets.numpy())
    estimate = np.zeros((0, 0, 0), np.float32) if density is None else density.numpy()
    voxels = Voxels(empty.numpy(), estimate, np.float32(step), OPAQUE_DEPTH)
    starts = np.zeros(len(origins) + 1, np.int64)
    found: list[np.ndarray] = [np.zeros(0, np.float32)] * THREADS

    def find(thread: int, start: int, stop: int) -> None:
        # as many as there can be are allocated: memory that is never written to costs nothing
        found[thread] = np.empty((stop - start) * _most_samples(step), np.float32)
        march_rays(given, voxels, start, stop, starts[1:], found[thread])

    def put(_: int, start: int, stop: int) -> None:
        put_samples(given, start, stop, starts, distances, rays.numpy(), positions.numpy())

    in_parts(len(origins), find)
    counts = [starts[1 + first : 1 + last].sum() for first, last in parts(len(origins))]
    distances = np.concatenate([own[:count] for own, count in zip(found, counts, strict=True)])
    starts = starts.cumsum()
    rays, positions = torch.empty(len(distances), dtype=torch.int64), torch.empty(len(distances), 3)
    in_parts(len(origins), put)
    return Samples(torch.from_numpy(starts), rays, torch.from_numpy(distances), positions, step)


def _most_samples(step: float) -> int:
    """Return how many samples a ray through the unit cube has at most."""
    return int(3**0.5 / step) + 2


def march_plain(
    origins: Tensor, directions: Tensor, empty: Tensor, density: Tensor | None, step: float, offsets: Tensor
) -> Samples:
    """Do as `march` does in plain torch: all steps of all rays at once."""
    safe = torch.where(directions.abs() < 1e-9, torch.full_like(directions, 1e-9), directions)
    a, b = -origins / safe, (1 - origins) / safe
    near = torch.minimum(a, b).amax(1).clamp(min=0)
    far = torch.maximum(a, b).amin(1)
    steps = _most_samples(step)
    distances = near[:, None] + (torch.arange(steps, device=origins.device) + offsets[:, None]) * step  # [R, K]
    positions = origins[:, None] + distances[..., None] * directions[:, None]
    taken = (distances < far[:, None]) & (_looked_up(empty, positions) == 0)
    if density is not None:
        optical = torch.where(taken, _looked_up(density, positions) * step, 0.0).clamp(max=OPAQUE_DEPTH / FEWEST_OPAQUE)
        taken &= optical.cumsum(1) - optical <= OPAQUE_DEPTH
    rays, columns = taken.nonzero(as_tuple=True)
    starts = functional.pad(taken.sum(1).cumsum(0), (1, 0))
    chosen = distances[rays, columns]
    samples = (origins[rays] + chosen[:, None] * directions[rays]).clamp(0, 1)
    return Samples(starts, rays, chosen, samples, step)


def _looked_up(voxels: Tensor, positions: Tensor) -> Tensor:
    """Return what a grid [G, G, G] holds at positions [..., 3] in the unit cube."""
    side = voxels.shape[0]
    return voxels[(positions * side).long().clamp(0, side - 1).unbind(-1)]
