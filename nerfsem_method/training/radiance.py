"""The radiance field as a whole: grids, heads, occupancy and rate model, and what happens to them in the course of training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nerfsem_method.field.spec import FieldSpec
from nerfsem_method.field.state import FieldState
from nerfsem_method.training.course import Course
from nerfsem_method.training.density import density
from nerfsem_method.training.encoding import BinaryGrids
from nerfsem_method.training.heads import Heads
from nerfsem_method.training.march import Samples, march
from nerfsem_method.training.occupancy import OccupancyGrid
from nerfsem_method.training.rate import RateModel
from nerfsem_method.training.render import Rendering, render

REFRESH_EVERY = 64
"""Steps between new density estimates and projections."""
FEWEST_STEPS = 50
"""Steps between two carvings at least: what has not been looked at must not go."""
CHUNK = 1 << 17


@dataclass(frozen=True)
class Step:
    """One training step's outcome: the rendering and the estimated bits of the tables."""

    rendering: Rendering
    samples: Samples
    bits: Tensor


class RadianceField(nn.Module):
    """A trainable binary radiance field in the unit cube."""

    def __init__(self, spec: FieldSpec, hull: np.ndarray, head_bits: int = 7) -> None:
        super().__init__()
        self.spec = spec
        self.grids = BinaryGrids(spec, hull)
        self.heads = Heads(spec, head_bits)
        self.occupancy = OccupancyGrid(hull)
        self.rate = RateModel(spec)
        self.rate.set_occupancy(self.grids, hull)
        self._generator = np.random.default_rng(0)
        self._carving = True
        self.register_load_state_dict_post_hook(lambda module, _: module.resume())

    @torch.no_grad()
    def resume(self) -> None:
        """Derive from loaded buffers what checkpoints do not hold."""
        self.occupancy.set(self.occupancy.occupied.clone())
        self.rate.set_occupancy(self.grids, self.occupancy.occupied.cpu().numpy())
        self.estimate_density()

    def render(self, origins: Tensor, directions: Tensor) -> Rendering:
        """Render rays [R, 3] (unit-cube coordinates, unit directions) without jitter, through all occupied voxels."""
        middle = torch.full_like(origins[:, 0], 0.5)
        samples = march(origins, directions, self.occupancy.empty, None, 1 / self.spec.steps, middle)
        return render(self.heads, *density(self.grids, self.heads, samples.positions), samples, directions)

    def step(self, origins: Tensor, directions: Tensor, course: Course) -> Step:
        """Render jittered training rays and estimate the rate."""
        jitter = torch.rand_like(origins[:, 0])
        space = self.occupancy.empty, self.occupancy.density
        samples = march(origins, directions, *space, 1 / self.spec.steps, jitter)
        with self.grids.unchanged():
            rendering = render(self.heads, *density(self.grids, self.heads, samples.positions), samples, directions)
            bits = self.rate.bits(self.grids, course.rate_samples, self._generator)
        if self._carving:
            self.occupancy.observe(samples, rendering.weights)
        return Step(rendering, samples, bits)

    @torch.no_grad()
    def maintain(self, step: int, steps: int, course: Course) -> None:
        """Between steps: carve the occupancy, freeze it, switch to quantised heads, refresh the estimates."""
        self._carving = step < course.freeze_at * steps
        if _reaches(step, steps, course.freeze_at):
            self.occupancy.finish(*course.freeze_thresholds)
            self.rate.set_occupancy(self.grids, self.occupancy.occupied.cpu().numpy())
        elif course.prune_from * steps <= step < course.freeze_at * steps and step % _period(course, steps) == 0:
            self.occupancy.prune(course.prune_threshold)
            self.rate.set_occupancy(self.grids, self.occupancy.occupied.cpu().numpy())
        if _reaches(step, steps, course.quantise_at):
            self.heads.quantised = True
        if step % REFRESH_EVERY == 0:
            self.estimate_density()
            self.rate.refresh_projection(self.grids)

    @torch.no_grad()
    def estimate_density(self) -> None:
        """Evaluate the density at the voxels' centres, for ray termination."""
        centers = self.occupancy.centers()
        values = [self.densities(part) for part in centers.split(CHUNK)]
        self.occupancy.set_density(torch.cat(values) if values else centers.new_zeros(0))

    def densities(self, positions: Tensor) -> Tensor:
        """Density [S] per unit length at positions [S, 3]."""
        return density(self.grids, self.heads, positions)[0]

    def state(self) -> FieldState:
        """What a bundle stores of the field as it is now."""
        self.rate.set_occupancy(self.grids, self.occupancy.occupied.cpu().numpy())
        return FieldState(
            self.spec,
            self.occupancy.occupied.cpu().numpy(),
            self.grids.tables(),
            self.heads.state(),
            self.rate.state(),
        )

    @classmethod
    def from_state(cls, state: FieldState) -> RadianceField:
        """A field that renders what a bundle holds."""
        field = cls(state.spec, state.occupancy)
        field.grids.load_tables(state.tables)
        field.heads.load(state.heads)
        field.rate.load(state.contexts)
        field.rate.refresh_projection(field.grids)
        field.estimate_density()
        return field


def _reaches(step: int, steps: int, share: float) -> bool:
    return step == int(share * steps)


def _period(course: Course, steps: int) -> int:
    return max(FEWEST_STEPS, int(course.prune_every * steps))
