"""Rate control: lambda finds its goal on plants slower, softer and stiffer than the one it was measured on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tiny_field import tiny_bundle

from nerfsem_method.errors import NerfsemError
from nerfsem_method.evaluation.metrics import masked_reference, measure
from nerfsem_method.playback.player import WHITE, Player
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.goal import Goal
from nerfsem_method.training.radiance import RadianceField
from nerfsem_method.training.rate_control import LEAST, MOST, RateControl, center_psnr

START = 1e-8


class Plant:
    """5000 fixed bytes and tables that answer lambda late; a better picture the more bytes, and the nearer the end."""

    def __init__(self, elasticity: float, lag: float) -> None:
        self.elasticity, self.lag = elasticity, lag
        self.tables = 30_000.0

    def step(self, rate_weight: float) -> None:
        goal = 14_000 * (rate_weight / START) ** -self.elasticity
        self.tables += (goal - self.tables) / self.lag

    def size(self, done: float) -> float:
        return (5_000 + self.tables) / (1 - 0.4 * (1 - done) ** 2)

    def psnr(self, done: float) -> float:
        return 24 + 3.5 * math.log(self.size(1) / 19_000) - 2 * (1 - done) ** 2


def finish(goal: Goal, plant: Plant) -> tuple[float, list[float]]:
    """Return what the plant measures at the end of 50 corrections, of which the first ones come after a fifth of the way."""
    control, weights = RateControl(goal, START), [START]
    for turn in range(50):
        done = turn / 50
        plant.step(weights[-1])
        if done >= 0.2:
            measured = plant.size(done) if goal.size is not None else plant.psnr(done)
            weights.append(control.steer(weights[-1], measured, done))
    return plant.size(1) if goal.size is not None else plant.psnr(1), weights


@pytest.mark.parametrize("elasticity", [0.1, 0.17, 0.3])
@pytest.mark.parametrize("lag", [2, 4, 8])
@pytest.mark.parametrize("goal", [Goal(size=14_000), Goal(size=20_500), Goal(psnr=23.2), Goal(psnr=24.2)], ids=str)
def test_the_goal_is_met(elasticity, lag, goal):
    measured, weights = finish(goal, Plant(elasticity, lag))
    assert goal.met(measured), measured


def test_lambda_stays_within_its_range_when_nothing_helps():
    _, weights = finish(Goal(size=100), Plant(0.15, 3))
    assert max(weights) == pytest.approx(START * MOST)
    _, weights = finish(Goal(size=1e6), Plant(0.15, 3))
    assert min(weights) == pytest.approx(min(START, LEAST))


def test_a_training_that_goes_on_keeps_its_lambda():
    goal = Goal(size=15_000)
    assert RateControl(goal, START).steer(7 * START, 15_000, 1.0) == pytest.approx(7 * START)


def test_tolerances_and_misuse():
    assert Goal(size=1000).met(1049) and not Goal(size=1000).met(1051) and not Goal(size=1000).met(949)
    assert Goal(psnr=30).met(30.29) and not Goal(psnr=30).met(29.69)
    for both_or_none in ({}, {"size": 1, "psnr": 1}):
        with pytest.raises(NerfsemError, match="one goal"):
            Goal(**both_or_none)


def test_the_estimate_is_the_measurement_of_the_decoded_frames():
    """All pixels of all frames are looked at here, since there are few."""
    bundle = tiny_bundle(frames=5)
    frames = np.random.default_rng(0).integers(0, 256, (5, 32, 24, 4), dtype=np.uint8)
    truth = [masked_reference(frame[..., :3], frame[..., 3]) for frame in frames]
    player = Player(bundle, "cpu")
    quality = measure((player.composited(i, WHITE) for i in range(5)), truth, frames[..., 3])
    field, cameras = RadianceField.from_state(bundle.state), CameraPath(bundle.camera, bundle.poses, bundle.gains)
    assert center_psnr(field, cameras, torch.from_numpy(frames), torch.arange(5)) == pytest.approx(quality.psnr_center, abs=0.02)
