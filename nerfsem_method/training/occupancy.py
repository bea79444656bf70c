"""The occupancy says where the object is: a voxel grid starts as the visual hull and is carved down to the visible surface."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nerfsem_method.raycast.marching import voxel_distances
from nerfsem_method.training.backend import compiled
from nerfsem_method.training.loops.march_cpu import remember_largest
from nerfsem_method.training.march import Samples

CONSERVATIVE = 0.5
"""Ray termination trusts this share of an estimated density."""
FINER = 2
"""A voxel has so many density estimates along each axis: about one a sample."""
CHUNK = 1 << 14
"""Densities are estimated in so many voxels at a time."""


class OccupancyGrid(nn.Module):
    """The grid knows the occupied voxels of the unit cube.

    Buffers:
        hull: [G, G, G] bool, the most there can be.
        occupied: [G, G, G] bool, where samples are taken.
        seen: [G, G, G] float32, the largest share that a sample in the voxel had in the colour of a training ray, decaying.
        empty: [G, G, G] uint8 for `march`, the distance in voxels (of the longest axis) to the next occupied voxel.
        density: [FINER * G] * 3 float32 for `march`, lower estimates of the density, 0 where nothing is occupied.
    """

    hull: Tensor
    occupied: Tensor
    seen: Tensor
    empty: Tensor
    density: Tensor

    def __init__(self, hull: np.ndarray) -> None:
        super().__init__()
        voxels = torch.from_numpy(np.ascontiguousarray(hull, dtype=bool))
        self.register_buffer("hull", voxels)
        self.register_buffer("occupied", voxels.clone())
        self.register_buffer("seen", torch.zeros(hull.shape))
        self.register_buffer("empty", _emptiness(voxels), persistent=False)
        self.register_buffer("density", torch.zeros([FINER * side for side in hull.shape]), persistent=False)

    @property
    def side(self) -> int:
        """Return G."""
        return self.hull.shape[0]

    def observe(self, samples: Samples, weights: Tensor) -> None:
        """Remember how much each voxel contributes to training rays (weights [S])."""
        if compiled(weights):
            remember_largest(samples.positions.numpy(), weights.numpy(), self.seen.numpy())
            return
        voxels = (samples.positions * self.side).long().clamp(0, self.side - 1)
        flat = (voxels[:, 0] * self.side + voxels[:, 1]) * self.side + voxels[:, 2]
        self.seen.view(-1).scatter_reduce_(0, flat, weights, "amax")

    def carve(self, threshold: float) -> None:
        """Keep voxels with a contribution above `threshold` and those next to them; forget half of what was seen."""
        self.set(_grown(self.seen > threshold) & self.hull)
        self.seen *= 0.5

    def freeze(self, strong: float, weak: float) -> None:
        """Keep, for good, voxels with a contribution above `strong`, and those next to them above `weak`.

        There are two thresholds because few rays hit a voxel that the surface cuts at a corner, and a hole there shows.
        """
        self.set(_grown(self.seen > strong) & (self.seen > weak) & self.occupied)

    def thin(self, share: float) -> None:
        """Keep this share of the occupied voxels, those that contributed most."""
        contributions = self.seen[self.occupied]
        least = contributions.kthvalue(max(1, int((1 - share) * len(contributions)))).values
        self.set(self.occupied & (self.seen > least))

    def set(self, occupied: Tensor) -> None:
        """Take a grid over; its density estimate starts at 0."""
        self.occupied.copy_(occupied)
        self.empty.copy_(_emptiness(self.occupied))
        self._parts()[~self.occupied] = 0

    def estimate(self, density: Callable[[Tensor], Tensor]) -> None:
        """Estimate the density anew in the middle of each part of the occupied voxels, `density` [S] at positions [S, 3]."""
        within = torch.cartesian_prod(*[torch.arange(FINER, device=self.hull.device)] * 3)
        for voxels in self.occupied.nonzero().split(CHUNK):
            centers = (FINER * voxels[:, None] + within + 0.5) / (FINER * self.side)
            values = density(centers.flatten(0, 1)).view(-1, FINER, FINER, FINER)
            self._parts()[voxels.unbind(1)] = CONSERVATIVE * values

    def _parts(self) -> Tensor:
        """Return the density estimates voxel by voxel: a view of [G, G, G, FINER, FINER, FINER]."""
        return self.density.view([self.side, FINER] * 3).permute(0, 2, 4, 1, 3, 5)


def _grown(voxels: Tensor) -> Tensor:
    """Return a grid with its 26-neighbours."""
    return functional.max_pool3d(voxels[None, None].float(), 3, 1, 1)[0, 0] > 0


def _emptiness(voxels: Tensor) -> Tensor:
    """Return the distance of each voxel to the next occupied one."""
    return torch.from_numpy(voxel_distances(voxels.cpu().numpy())).to(voxels.device)
