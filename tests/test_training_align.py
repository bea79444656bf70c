"""Cameras that are slightly wrong come back towards the truth by looking at a field that is right."""

import numpy as np
import pytest
import torch
from tiny_field import orbit

from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.training.align import align, rigid_motion
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.march import Samples
from nerfsem_method.training.render import Rendering

CAMERA = Intrinsics(64, 64, 90.0, 90.0, 32.0, 32.0)


class PaintedBall:
    """Stand-in for a field: an opaque ball of radius 0.4 with a smooth pattern, rendered exactly."""

    def render(self, origins, directions):
        local = origins - 0.5
        along = (local * directions).sum(1)
        under = along**2 - (local**2).sum(1) + 0.16
        depth = -along - under.clamp(min=0).sqrt()
        points = local + depth[:, None] * directions
        color = 0.5 + 0.4 * torch.sin(20 * points + torch.tensor([0.0, 1.0, 2.0]))
        hit = (under > 0).float()
        samples = Samples(torch.arange(len(hit) + 1), torch.arange(len(hit)), depth, points, 1.0)
        return Rendering(color * hit[:, None], hit, depth * hit, hit, torch.zeros(()), samples)


@pytest.fixture
def wrong_cameras():
    torch.manual_seed(0)
    truth = CameraPath(CAMERA, orbit(3))
    field = PaintedBall()
    frames = []
    for index in range(3):
        seen = field.render(*truth.rays(torch.full((64 * 64,), index), truth.frame_pixels()))
        rgba = torch.cat([seen.color * torch.tensor([1.1, 1.0, 0.9]) ** (index - 1), seen.accumulation[:, None]], 1)
        frames.append((rgba.clamp(0, 1) * 255).round().byte().view(64, 64, 4))
    wrong = CameraPath(CAMERA, orbit(3))
    bottom = torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
    for index in range(3):
        twist = torch.randn(6, dtype=torch.float64) * 0.01
        wrong.poses[index] = rigid_motion(twist) @ torch.cat([wrong.poses[index], bottom])
    return field, truth, wrong, torch.stack(frames)


def _pixel_error(a: CameraPath, b: CameraPath) -> float:
    points = np.random.default_rng(0).random((200, 3))
    pairs = zip(a.poses.numpy(), b.poses.numpy(), strict=True)
    return float(np.mean([np.abs(CAMERA.project(points, p)[0] - CAMERA.project(points, q)[0]).mean() for p, q in pairs]))


def test_poses_and_exposures_are_recovered(wrong_cameras):
    field, truth, wrong, frames = wrong_cameras
    start = _pixel_error(truth, wrong)
    for _ in range(8):
        outcome = align(field, wrong, frames, torch.arange(3))
        assert outcome.after <= outcome.before
    assert _pixel_error(truth, wrong) < 0.15 * start
    expected = torch.tensor([1.1, 1.0, 0.9]) ** torch.tensor([[-1.0], [0.0], [1.0]])
    torch.testing.assert_close(wrong.gains, expected, atol=0.05, rtol=0)


def test_right_cameras_stay(wrong_cameras):
    field, truth, _, frames = wrong_cameras
    before = CameraPath(CAMERA, truth.poses.numpy())
    align(field, truth, frames[1:2], torch.tensor([1]))
    assert _pixel_error(truth, before) < 0.05
    assert (truth.gains == 1).all()
