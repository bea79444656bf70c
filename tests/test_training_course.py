"""What happens to a field between the steps of its training, and when."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from tiny_field import DENSE, ball, orbit, tiny_state

from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.scene.scene import Video
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.conductor import Conductor, TrainingClip
from nerfsem_method.training.course import Course, Event
from nerfsem_method.training.radiance import RadianceField

STEPS = 1000
COURSE = Course(carve_from=0.1, carve_every=0.1, freeze_at=0.6, quantise_at=0.8)
VIDEO = Video("relic.mp4", 8, 8, 2, Fraction(30), "ab" * 32)


@pytest.fixture
def field():
    return RadianceField(DENSE, ball(DENSE.occupancy))


def conduct(field, step, steps=STEPS, course=COURSE):
    """Do what the course says before a step, without a clip to align with."""
    cameras = CameraPath(Intrinsics(8, 8, 8.0, 8.0, 4.0, 4.0), orbit(2))
    clip = TrainingClip(VIDEO, torch.zeros(0, 8, 8, 4, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64), ())
    Conductor(field, cameras, torch.tensor(1.0), replace(course, align_at=(), agree_at=()), steps, clip).before(step)


def see(field, share):
    """Pretend that training rays saw this share of the hull's voxels well, and another share faintly."""
    chosen = torch.rand(field.occupancy.hull.shape, generator=torch.Generator().manual_seed(0))
    field.occupancy.seen[:] = torch.where(chosen < share, 1.0, torch.where(chosen < 2 * share, 0.05, 0.0))


def test_events_come_when_the_course_says_so_and_in_order():
    stages: dict[str, Any] = {"carve_from": 0.1, "carve_every": 0.1, "freeze_at": 0.5, "quantise_at": 0.5, "measure_every": 0.25}
    course = Course(**stages, align_at=(0.5,), agree_at=(0.75,))
    happened = {step: list(course.events(step, STEPS)) for step in range(STEPS)}
    assert happened[500] == [Event.FREEZE, Event.QUANTISE, Event.MEASURE, Event.STEER, Event.ALIGN, Event.SHARPEN]
    assert [step for step, events in happened.items() if Event.AGREE in events] == [750]
    assert [step for step, events in happened.items() if Event.CARVE in events] == [100, 200, 300, 400]
    assert [step for step, events in happened.items() if Event.REFRESH in events] == list(range(0, STEPS, 64))
    assert [step for step, events in happened.items() if Event.MEASURE in events] == [0, 250, 500, 750]
    assert [step for step, events in happened.items() if Event.STEER in events] == list(range(200, STEPS, 20))


def test_looking_at_a_field_changes_nothing(field):
    """What a bundle would hold, and how large it would be, may be asked at any time: the rate estimate stays as it is."""
    with torch.no_grad():
        for tensor in field.rate.parameters():
            tensor += 0.05 * torch.randn_like(tensor)
        field.grids.theta.neg_()

    def bits():
        return field.rate.bits(field.grids, 10**9, np.random.default_rng(0)).item()

    before, kept = bits(), {name: value.clone() for name, value in field.state_dict().items() if torch.is_tensor(value)}
    first = field.state()
    assert bits() == before
    assert all(torch.equal(value, field.state_dict()[name]) for name, value in kept.items())
    first.occupancy[:] = False
    assert field.state().occupancy.any()


def test_what_no_ray_sees_goes_when_the_course_says_so_and_its_entries_with_it(field):
    before = field.rate.symbols
    see(field, 0.02)
    for step in (0, 99, 101, 150):
        conduct(field, step)
        assert torch.equal(field.occupancy.occupied, field.occupancy.hull)
    conduct(field, 100)
    occupied = field.occupancy.occupied
    assert 0 < occupied.sum() < field.occupancy.hull.sum()
    assert field.rate.symbols < before
    assert int(field.grids.coded.sum()) == field.rate.symbols


def test_no_voxel_goes_before_rays_had_time_to_see_it(field):
    see(field, 0.0)
    for step in range(1, COURSE.fewest_steps):
        conduct(field, step, 100, Course(carve_from=0.0, carve_every=0.02))
    assert torch.equal(field.occupancy.occupied, field.occupancy.hull)


def test_the_occupancy_is_cleaned_and_frozen(field):
    before = field.rate.symbols
    see(field, 0.02)
    conduct(field, 600)
    strong = field.occupancy.seen > COURSE.freeze_thresholds[0]
    final = field.occupancy.occupied.clone()
    assert (final & ~strong).any(), "voxels beside strong ones stay"
    assert not (final & (field.occupancy.seen < COURSE.freeze_thresholds[1])).any()
    field.occupancy.seen.zero_()
    for step in range(601, STEPS):
        conduct(field, step)
    assert torch.equal(field.occupancy.occupied, final)
    assert int(field.grids.coded.sum()) == field.rate.symbols < before


def test_rays_are_observed_as_long_as_that_matters(field):
    origins = torch.tensor([[0.5, 0.5, -1.0]]).repeat(64, 1) + torch.rand(64, 3) * 0.1
    directions = torch.tensor([[0.0, 0.0, 1.0]]).repeat(64, 1)
    for step, seen in ((599, True), (600, False)):
        conduct(field, step)
        field.occupancy.set(field.occupancy.hull)
        field.occupancy.seen.zero_()
        field.step(origins, directions, COURSE.rate_samples)
        assert bool(field.occupancy.seen.any()) == seen


def test_heads_are_rounded_for_the_last_part(field):
    points = torch.rand(50, 3)
    exact, stored = field.densities(points), RadianceField.from_state(field.state()).densities(points)
    assert not torch.equal(exact, stored)
    conduct(field, 799)
    assert torch.equal(field.densities(points), exact)
    conduct(field, 800)
    torch.testing.assert_close(field.densities(points), stored)


def test_estimates_follow_the_tables_now_and_then():
    """What the rate is told of projected signs, and ray termination of the density, is as of the last refresh."""
    state = tiny_state(DENSE)
    field = RadianceField.from_state(state)
    now = RadianceField.from_state(replace(state, tables=tuple(-table for table in state.tables)))
    for estimated in (field, now):
        estimated.estimate_density()
    with torch.no_grad():
        field.grids.theta.neg_()

    def bits(of):
        return of.rate.bits(of.grids, 10**9, np.random.default_rng(0)).item()

    conduct(field, 1)
    assert bits(field) != pytest.approx(bits(now), rel=1e-4)
    assert not torch.allclose(field.occupancy.density, now.occupancy.density)
    conduct(field, COURSE.refresh_steps)
    assert bits(field) == pytest.approx(bits(now), rel=1e-5)
    torch.testing.assert_close(field.occupancy.density, now.occupancy.density)


def test_a_field_loaded_from_a_checkpoint_goes_on_as_it_was(field):
    see(field, 0.02)
    conduct(field, COURSE.refresh_steps)
    conduct(field, 100)
    field.estimate_density()
    again = RadianceField(DENSE, ball(DENSE.occupancy))
    again.load_state_dict(field.state_dict())
    for name in ("occupied", "seen", "empty", "density"):
        assert torch.equal(getattr(again.occupancy, name), getattr(field.occupancy, name)), name
    assert torch.equal(again.grids.coded, field.grids.coded)
