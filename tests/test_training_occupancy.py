"""Carving: what rays see stays, with a border; what they do not see goes, and never comes back from outside the hull."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_field import DENSE

from nerfsem_method.codec.coder import Meter
from nerfsem_method.codec.occupancy import TEMPLATE, code_occupancy
from nerfsem_method.training.backend import using
from nerfsem_method.training.loops.filling import fill
from nerfsem_method.training.march import Samples
from nerfsem_method.training.occupancy import CONSERVATIVE, OccupancyGrid
from nerfsem_method.training.radiance import RadianceField

SIDE = 12


@pytest.fixture(params=["compiled", "plain"])
def grid(request):
    hull = np.zeros((SIDE, SIDE, SIDE), bool)
    hull[2:10, 2:10, 2:10] = True
    with using(request.param):
        yield OccupancyGrid(hull)


def observe(grid, seen):
    """Let the grid observe weights by voxel, as two samples a voxel of which the larger counts."""
    voxels = torch.tensor(list(seen)).repeat(2, 1)
    weights = torch.tensor(list(seen.values()))
    rays = torch.arange(len(voxels))
    starts = torch.arange(len(voxels) + 1)
    samples = Samples(starts, rays, torch.ones(len(voxels)), (voxels + 0.5) / SIDE, 0.1)
    grid.observe(samples, torch.cat([weights, weights / 2]))


def block(*voxel):
    """Return a grid with a voxel and its neighbours in it."""
    occupied = torch.zeros(SIDE, SIDE, SIDE, dtype=torch.bool)
    occupied[tuple(slice(at - 1, at + 2) for at in voxel)] = True
    return occupied


def test_it_starts_as_the_hull(grid):
    assert torch.equal(grid.occupied, grid.hull)


def test_what_is_seen_stays_with_a_border_within_the_hull(grid):
    observe(grid, {(5, 5, 5): 0.5, (2, 7, 7): 0.3, (8, 8, 3): 0.1})
    grid.carve(0.2)
    assert torch.equal(grid.occupied, (block(5, 5, 5) | block(2, 7, 7)) & grid.hull)
    assert grid.empty[5, 5, 5] == 0 < grid.empty[8, 8, 3]


def test_what_was_seen_is_forgotten_by_and_by(grid):
    observe(grid, {(5, 5, 5): 0.5})
    for _ in range(2):
        grid.carve(0.2)
        assert grid.occupied.any()
    grid.carve(0.2)
    assert not grid.occupied.any()


def test_a_voxel_seen_again_comes_back(grid):
    observe(grid, {(5, 5, 5): 0.5})
    grid.carve(0.2)
    observe(grid, {(8, 8, 8): 0.5})
    grid.carve(0.2)
    assert grid.occupied[8, 8, 8]


def test_the_final_grid_keeps_weak_voxels_beside_strong_ones_alone(grid):
    observe(grid, {(5, 5, 5): 0.5, (5, 5, 6): 0.1, (8, 8, 8): 0.1, (5, 6, 5): 0.01})
    grid.freeze(0.2, 0.05)
    assert [tuple(voxel) for voxel in grid.occupied.nonzero().tolist()] == [(5, 5, 5), (5, 5, 6)]


def test_density_is_estimated_low_and_lost_with_the_voxel(grid):
    grid.estimate(lambda positions: positions @ torch.tensor([100.0, 10.0, 1.0]))
    at = (torch.arange(2 * SIDE) + 0.5) / (2 * SIDE)
    expected = 100 * at[:, None, None] + 10 * at[:, None] + at
    torch.testing.assert_close(grid.density, torch.where(_finer(grid.hull), CONSERVATIVE * expected, 0.0))
    grid.set(block(5, 5, 5))
    assert torch.equal(grid.density > 0, _finer(block(5, 5, 5)))


def _finer(voxels):
    """Return each voxel as 2 x 2 x 2 of them."""
    return voxels.repeat_interleave(2, 0).repeat_interleave(2, 1).repeat_interleave(2, 2)


def test_a_shell_with_holes_becomes_cheaper_and_loses_nothing():
    at = np.indices((48, 48, 48)) - 23.5
    radius = np.sqrt((at**2).sum(0))
    shell = (radius > 17) & (radius < 19)
    holes = shell & (np.random.default_rng(0).random(shell.shape) < 0.05)
    pierced = shell & ~holes
    filled = fill(pierced, radius < 18.5, TEMPLATE)

    def bits(occupancy):
        meter = Meter()
        code_occupancy(meter, len(occupancy), occupancy, mixed=False)
        return meter.bits

    assert filled[pierced].all() and filled[holes & (radius < 18.5)].mean() > 0.5
    assert not filled[holes & (radius >= 18.5)].any(), "these are beyond the hull"
    assert (filled & ~shell).sum() < 0.05 * shell.sum()
    assert bits(filled) < 0.85 * bits(pierced)


def test_the_last_occupancy_of_a_field_takes_in_the_voxels_that_pay():
    at = np.indices((48, 48, 48)) - 23.5
    radius = np.sqrt((at**2).sum(0))
    shell = (radius > 17) & (radius < 19)
    holes = shell & (np.random.default_rng(0).random(shell.shape) < 0.05)
    field = RadianceField(replace(DENSE, occupancy=48), radius < 19)
    field.occupancy.seen.copy_(torch.from_numpy(np.where(shell & ~holes, 1.0, 0.0)))
    field.freeze(0.1, 0.02)
    found = field.occupancy.occupied.numpy()
    assert found[shell & ~holes].all() and found[holes].mean() > 0.5 and not found[radius >= 19].any()


@pytest.mark.parametrize("occupancy", [np.zeros((8, 8, 8), bool), np.ones((8, 8, 8), bool)], ids=["nothing", "everything"])
def test_where_nothing_is_to_be_filled_all_stays(occupancy):
    assert (fill(occupancy, np.ones_like(occupancy), TEMPLATE) == occupancy).all()
