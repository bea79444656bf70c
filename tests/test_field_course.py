"""What happens to a field between the steps of its training, and when."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_field import DENSE, ball, tiny_state

from nerfsem_method.training.course import Course
from nerfsem_method.training.radiance import FEWEST_STEPS, REFRESH_EVERY, RadianceField

STEPS = 1000
COURSE = Course(prune_from=0.1, prune_every=0.1, freeze_at=0.6, quantise_at=0.8)


@pytest.fixture
def field():
    return RadianceField(DENSE, ball(DENSE.occupancy))


def see(field, share):
    """As if training rays had seen this share of the hull's voxels well, and another share faintly."""
    chosen = torch.rand(field.occupancy.hull.shape, generator=torch.Generator().manual_seed(0))
    field.occupancy.seen[:] = torch.where(chosen < share, 1.0, torch.where(chosen < 2 * share, 0.05, 0.0))


def test_what_no_ray_sees_goes_when_the_course_says_so_and_its_entries_with_it(field):
    before = field.rate.symbols
    see(field, 0.02)
    for step in (0, 99, 101, 150):
        field.maintain(step, STEPS, COURSE)
        assert torch.equal(field.occupancy.occupied, field.occupancy.hull)
    field.maintain(100, STEPS, COURSE)
    occupied = field.occupancy.occupied
    assert 0 < occupied.sum() < field.occupancy.hull.sum()
    assert field.rate.symbols < before
    assert int(field.grids.coded.sum()) == field.rate.symbols


def test_no_voxel_goes_before_rays_had_time_to_see_it(field):
    see(field, 0.0)
    for step in range(1, FEWEST_STEPS):
        field.maintain(step, 100, Course(prune_from=0.0, prune_every=0.02))
    assert torch.equal(field.occupancy.occupied, field.occupancy.hull)


def test_the_occupancy_is_cleaned_and_frozen(field):
    before = field.rate.symbols
    see(field, 0.02)
    field.maintain(600, STEPS, COURSE)
    strong = field.occupancy.seen > COURSE.freeze_thresholds[0]
    final = field.occupancy.occupied.clone()
    assert (final & ~strong).any(), "voxels beside strong ones stay"
    assert not (final & (field.occupancy.seen < COURSE.freeze_thresholds[1])).any()
    field.occupancy.seen.zero_()
    for step in range(601, STEPS):
        field.maintain(step, STEPS, COURSE)
    assert torch.equal(field.occupancy.occupied, final)
    assert int(field.grids.coded.sum()) == field.rate.symbols < before


def test_rays_are_observed_as_long_as_that_matters(field):
    origins = torch.tensor([[0.5, 0.5, -1.0]]).repeat(64, 1) + torch.rand(64, 3) * 0.1
    directions = torch.tensor([[0.0, 0.0, 1.0]]).repeat(64, 1)
    for step, seen in ((599, True), (600, False)):
        field.maintain(step, STEPS, COURSE)
        field.occupancy.set(field.occupancy.hull)
        field.occupancy.seen.zero_()
        field.step(origins, directions, COURSE)
        assert bool(field.occupancy.seen.any()) == seen


def test_heads_are_rounded_for_the_last_part(field):
    points = torch.rand(50, 3)
    exact, stored = field.densities(points), RadianceField.from_state(field.state()).densities(points)
    assert not torch.equal(exact, stored)
    field.maintain(799, STEPS, COURSE)
    assert torch.equal(field.densities(points), exact)
    field.maintain(800, STEPS, COURSE)
    torch.testing.assert_close(field.densities(points), stored)


def test_estimates_follow_the_tables_now_and_then():
    """What the rate is told of projected signs, and ray termination of the density, is as of the last refresh."""
    state = tiny_state(DENSE)
    field = RadianceField.from_state(state)
    now = RadianceField.from_state(replace(state, tables=tuple(-table for table in state.tables)))
    with torch.no_grad():
        field.grids.theta.neg_()

    def bits(of):
        return of.rate.bits(of.grids, 10**9, np.random.default_rng(0)).item()

    field.maintain(1, STEPS, COURSE)
    assert bits(field) != pytest.approx(bits(now), rel=1e-4)
    assert not torch.allclose(field.occupancy.density, now.occupancy.density)
    field.maintain(REFRESH_EVERY, STEPS, COURSE)
    assert bits(field) == pytest.approx(bits(now), rel=1e-5)
    torch.testing.assert_close(field.occupancy.density, now.occupancy.density)


def test_a_field_loaded_from_a_checkpoint_goes_on_as_it_was(field):
    see(field, 0.02)
    field.maintain(REFRESH_EVERY, STEPS, COURSE)
    field.maintain(100, STEPS, COURSE)
    field.estimate_density()
    again = RadianceField(DENSE, ball(DENSE.occupancy))
    again.load_state_dict(field.state_dict())
    for name in ("occupied", "seen", "empty", "density"):
        assert torch.equal(getattr(again.occupancy, name), getattr(field.occupancy, name)), name
    assert torch.equal(again.grids.coded, field.grids.coded)
