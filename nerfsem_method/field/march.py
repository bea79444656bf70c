"""Ray marching: equidistant samples inside occupied voxels of the unit cube, cut off behind opaque matter."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nerfsem_method.field import kernels

OPAQUE_DEPTH = 12.0
"""A ray ends where the estimated optical depth passes this: at most e^-12 of its light is left."""


@dataclass(frozen=True)
class Samples:
    """Packed samples, ray by ray, near to far.

    Attributes:
        rays: [S] int64, the ray of each sample.
        distances: [S] float32 along the unit direction.
        positions: [S, 3] float32 in [0, 1].
        step: length of every interval.
        count: number of rays.
    """

    rays: Tensor
    distances: Tensor
    positions: Tensor
    step: float
    count: int


def march(origins: Tensor, directions: Tensor, density: Tensor, step: float, offsets: Tensor) -> Samples:
    """Sample rays at near + (k + offset) * step.

    Args:
        origins, directions: [R, 3] float32 in unit-cube coordinates, directions of length 1.
        density: [G, G, G] float32; others than empty voxels hold a lower estimate of the density inside, empty ones minus a
            distance in voxels (of the longest axis) within which there are only empty ones.
        step: distance between samples.
        offsets: [R] float32 in [0, 1), the jitter.
    """
    march_rays = _march_cpu if origins.device.type == "cpu" else _march_torch
    rays, distances = march_rays(origins, directions, density, step, offsets)
    positions = (origins[rays] + distances[:, None] * directions[rays]).clamp(0, 1)
    return Samples(rays, distances, positions, step, len(origins))


def _march_cpu(origins, directions, density, step, offsets) -> tuple[Tensor, Tensor]:
    arguments = (origins.numpy(), directions.numpy(), offsets.numpy(), step, OPAQUE_DEPTH, density.shape[0])
    arguments += (density.reshape(-1).numpy(),)
    counts = torch.empty(len(origins), dtype=torch.int64)
    kernels.march_count(*arguments, counts.numpy())
    starts = counts.cumsum(0) - counts
    total = int(counts.sum())
    rays, distances = torch.empty(total, dtype=torch.int64), torch.empty(total)
    kernels.march_fill(*arguments, starts.numpy(), rays.numpy(), distances.numpy())
    return rays, distances


def _march_torch(origins, directions, density, step, offsets) -> tuple[Tensor, Tensor]:
    """The same in plain torch, for CUDA: all steps of all rays at once."""
    safe = torch.where(directions.abs() < 1e-9, torch.full_like(directions, 1e-9), directions)
    a, b = -origins / safe, (1 - origins) / safe
    near = torch.minimum(a, b).amax(1).clamp(min=0)
    far = torch.maximum(a, b).amin(1)
    steps = int(3**0.5 / step) + 2
    distances = near[:, None] + (torch.arange(steps, device=origins.device) + offsets[:, None]) * step  # [R, K]
    side = density.shape[0]
    positions = origins[:, None] + distances[..., None] * directions[:, None]
    voxels = (positions * side).long().clamp(0, side - 1)
    estimate = density[voxels[..., 0], voxels[..., 1], voxels[..., 2]]
    inside = (distances < far[:, None]) & (estimate >= 0)
    optical = torch.where(inside, estimate * step, 0.0).clamp(max=OPAQUE_DEPTH / kernels.FEWEST_OPAQUE)
    before = optical.cumsum(1) - optical
    rays, columns = (inside & (before <= OPAQUE_DEPTH)).nonzero(as_tuple=True)
    return rays, distances[rays, columns]
