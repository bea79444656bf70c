"""The radiance field as a whole has grids, heads, an occupancy and a rate model; here they render, and change together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nerfsem_method.codec.occupancy import TEMPLATE
from nerfsem_method.codec.walk import fits
from nerfsem_method.field.spec import CONTEXT_LEVELS, FieldSpec
from nerfsem_method.field.state import FieldState
from nerfsem_method.training.density import density
from nerfsem_method.training.encoding import BinaryGrids
from nerfsem_method.training.heads import Heads
from nerfsem_method.training.loops.filling import fill
from nerfsem_method.training.march import Samples, clipped, march
from nerfsem_method.training.occupancy import OccupancyGrid
from nerfsem_method.training.rate import RateModel
from nerfsem_method.training.render import Rendering, render

CHUNK = 1 << 17
"""Densities are estimated at so many points at a time."""
LOOKS = 4
"""A voxel's density is looked up at so many points."""
KEPT = 0.95
"""The last occupancy is thinned to this share of its voxels, again and again, until a bundle can hold the field."""


@dataclass(frozen=True)
class Step:
    """One training step's outcome is the rendering, its samples and the estimated bits of the tables and their context models.

    Of a step that nobody is told of, the bits' gradient alone is right.
    """

    rendering: Rendering
    samples: Samples
    bits: Tensor


class RadianceField(nn.Module):
    """A trainable binary radiance field in the unit cube.

    `observing` says whether training steps tell the occupancy what contributes to rays; `generator` draws the entries on which
    the rate is estimated.
    """

    def __init__(self, spec: FieldSpec, hull: np.ndarray, head_bits: int = 7, context_levels: int = CONTEXT_LEVELS) -> None:
        super().__init__()
        self.spec = spec
        self.grids = BinaryGrids(spec, hull)
        self.heads = Heads(spec, head_bits)
        self.occupancy = OccupancyGrid(hull)
        self.rate = RateModel(spec, context_levels)
        self.rate.set_occupancy(self.grids, hull)
        self.observing = True
        self.generator = np.random.default_rng(0)
        self.register_load_state_dict_post_hook(lambda module, _: module.resume())

    @torch.no_grad()
    def resume(self) -> None:
        """Derive from loaded buffers what checkpoints do not hold."""
        self._set_occupancy(self.occupancy.occupied.clone())
        self.estimate_density()

    def render(self, origins: Tensor, directions: Tensor, limits: tuple[Tensor, Tensor] | None = None) -> Rendering:
        """Render rays [R, 3] (unit-cube coordinates, unit directions) without jitter, through all occupied voxels.

        Only what lies between two distances [R] is seen if `limits` are given.
        """
        middle = torch.full_like(origins[:, 0], 0.5)
        samples = march(origins, directions, self.occupancy.empty, None, 1 / self.spec.steps, middle)
        if limits is not None:
            samples = clipped(samples, *limits)
        return render(self.heads, *density(self.grids, self.heads, samples.positions), samples, directions)

    def glance(self, origins: Tensor, directions: Tensor) -> Rendering:
        """Render rays [R, 3] without jitter as training does: a ray ends soon after it has become opaque."""
        space = self.occupancy.empty, self.occupancy.density
        samples = march(origins, directions, *space, 1 / self.spec.steps, torch.full_like(origins[:, 0], 0.5))
        return render(self.heads, *density(self.grids, self.heads, samples.positions), samples, directions)

    def step(self, origins: Tensor, directions: Tensor, rate_samples: int, told: bool = True) -> Step:
        """Render jittered training rays, and estimate the rate on `rate_samples` entries, see `RateModel.bits`."""
        jitter = torch.rand_like(origins[:, 0])
        space = self.occupancy.empty, self.occupancy.density
        samples = march(origins, directions, *space, 1 / self.spec.steps, jitter)
        with self.grids.unchanged():
            rendering = render(self.heads, *density(self.grids, self.heads, samples.positions), samples, directions)
            bits = self.rate.bits(self.grids, rate_samples, self.generator, told) + self.rate.weight_bits()
        if self.observing:
            self.occupancy.observe(samples, rendering.weights)
        return Step(rendering, samples, bits)

    def carve(self, threshold: float) -> None:
        """Let go of voxels that contribute to no ray, see `OccupancyGrid.carve`."""
        self.occupancy.carve(threshold)
        self._list_coded()

    @torch.no_grad()
    def occupy_by_density(self, threshold: float) -> None:
        """Occupy those voxels of the hull in which the density, at one of some random points, exceeds `threshold` (paper, O(p)).

        Where that is more than the mean density of the hull, the mean decides, as in CNC's sampler: an early field is thin
        everywhere.
        """
        corners = self.occupancy.hull.nonzero()
        largest = self.occupancy.density.new_zeros(len(corners))
        for _ in range(LOOKS):
            points = (corners + torch.rand(corners.shape, device=corners.device)) / self.occupancy.side
            values = [self.densities(part) for part in points.split(CHUNK)]
            largest = torch.maximum(largest, torch.cat(values)) if values else largest
        occupied = self.occupancy.hull.clone()
        occupied[self.occupancy.hull] = largest > min(threshold, float(largest.mean()))
        self._set_occupancy(occupied)

    def freeze(self, strong: float, weak: float) -> None:
        """Make the occupancy final, see `OccupancyGrid.freeze`, `filling.fill` and `fit`."""
        self.occupancy.freeze(strong, weak)
        frozen, hull = self.occupancy.occupied, self.occupancy.hull
        self.occupancy.set(torch.from_numpy(fill(frozen.cpu().numpy(), hull.cpu().numpy(), TEMPLATE)).to(frozen.device))
        self.fit()

    def fit(self) -> None:
        """Let go of the voxels that contribute least, as long as there are more vertices than a bundle may hold."""
        while not fits(self.spec, self.occupancy.occupied.cpu().numpy()):
            self.occupancy.thin(KEPT)
        self._list_coded()

    def take_turn(self, turn: int) -> None:
        """List the coded entries as they were after `turn` listings, so that a training that goes on estimates the same rate."""
        self.rate.turn = turn - 1
        self._list_coded()

    def _set_occupancy(self, occupied: Tensor) -> None:
        self.occupancy.set(occupied)
        self._list_coded()

    def _list_coded(self) -> None:
        self.rate.set_occupancy(self.grids, self.occupancy.occupied.cpu().numpy())

    def refresh(self) -> None:
        """Estimate anew what is held constant between steps."""
        self.estimate_density()
        self.rate.refresh_projection(self.grids)

    @torch.no_grad()
    def estimate_density(self) -> None:
        """Evaluate the density in the occupied voxels, for ray termination."""
        self.occupancy.estimate(self.densities)

    def densities(self, positions: Tensor) -> Tensor:
        """Return the density [S] per unit length at positions [S, 3]."""
        return density(self.grids, self.heads, positions)[0]

    def state(self) -> FieldState:
        """Return what a bundle stores of the field as it is now; looking changes nothing."""
        occupied = self.occupancy.occupied.cpu().numpy()
        return FieldState(self.spec, occupied.copy(), self.grids.tables(), self.heads.state(), self.rate.state())

    @classmethod
    def from_state(cls, state: FieldState) -> RadianceField:
        """Return a field that renders what a bundle holds; the density that ends training rays is not estimated."""
        field = cls(state.spec, state.occupancy)
        field.grids.load_tables(state.tables)
        field.heads.load(state.heads)
        field.rate.load(state.contexts)
        field.rate.refresh_projection(field.grids)
        return field
