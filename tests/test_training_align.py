"""Cameras that are slightly wrong come back towards the truth by looking at a field that is right."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from tiny_field import orbit

from nerfsem_method.codec.tints import Tints
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.training import align as module
from nerfsem_method.training.align import Alignment, rigid_motion
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.march import Samples
from nerfsem_method.training.render import Rendering

CAMERA = Intrinsics(64, 64, 90.0, 90.0, 32.0, 32.0)
BYTE_WEIGHT = 1e-7


def align(field: Any, cameras: CameraPath, frames: torch.Tensor, indices: torch.Tensor) -> Alignment:
    """Align with what stands in for a field."""
    return module.align(field, cameras, frames, indices, BYTE_WEIGHT)


class PaintedBall:
    """Stand-in for a field: an opaque ball of radius 0.4 with a smooth pattern, rendered exactly."""

    def __init__(self, contrast: float = 0.4) -> None:
        self.contrast = contrast

    def glance(self, origins, directions):
        local = origins - 0.5
        along = (local * directions).sum(1)
        under = along**2 - (local**2).sum(1) + 0.16
        depth = -along - under.clamp(min=0).sqrt()
        points = local + depth[:, None] * directions
        color = 0.5 + self.contrast * torch.sin(20 * points + torch.tensor([0.0, 1.0, 2.0]))
        hit = (under > 0).float()
        samples = Samples(torch.arange(len(hit) + 1), torch.arange(len(hit)), depth, points, 1.0)
        return Rendering(color * hit[:, None], hit, depth * hit, hit, torch.zeros(()), samples)


def _frames_of(field: PaintedBall, cameras: CameraPath) -> torch.Tensor:
    """Return the frames [N, 64, 64, 4] uint8 that cameras see, each pixel a mean over its area."""
    frames = []
    offsets = [torch.tensor([x, y]) for x in (-0.375, -0.125, 0.125, 0.375) for y in (-0.375, -0.125, 0.125, 0.375)]
    for index in range(len(cameras.poses)):
        rays = [cameras.rays(torch.full((64 * 64,), index), cameras.frame_pixels() + offset) for offset in offsets]
        seen = [field.glance(*ray) for ray in rays]
        alpha = torch.stack([s.accumulation for s in seen]).mean(0)
        color = torch.stack([s.color for s in seen]).mean(0) / alpha.clamp(min=1e-6)[:, None]
        rgba = torch.cat([color, alpha[:, None]], 1)
        frames.append((rgba.clamp(0, 1) * 255).round().byte().view(64, 64, 4))
    return torch.stack(frames)


@pytest.fixture(params=[None, (1.0, 0.8, 1.3)], ids=["one lens", "three lenses"])
def wrong_cameras(request):
    torch.manual_seed(0)
    zooms = None if request.param is None else np.array(request.param)
    truth = CameraPath(CAMERA, orbit(3), zooms=zooms)
    field = PaintedBall()
    frames = []
    for index in range(3):
        seen = field.glance(*truth.rays(torch.full((64 * 64,), index), truth.frame_pixels()))
        rgba = torch.cat([seen.color * torch.tensor([1.1, 1.0, 0.9]) ** (index - 1), seen.accumulation[:, None]], 1)
        frames.append((rgba.clamp(0, 1) * 255).round().byte().view(64, 64, 4))
    wrong = CameraPath(CAMERA, orbit(3), zooms=zooms)
    bottom = torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
    for index in range(3):
        twist = torch.randn(6, dtype=torch.float64) * 0.01
        wrong.poses[index] = rigid_motion(twist) @ torch.cat([wrong.poses[index], bottom])
    return field, truth, wrong, torch.stack(frames)


def _pixel_error(a: CameraPath, b: CameraPath) -> float:
    points = np.random.default_rng(0).random((200, 3))
    pairs = zip(a.poses.numpy(), b.poses.numpy(), strict=True)
    return float(np.mean([np.abs(CAMERA.project(points, p)[0] - CAMERA.project(points, q)[0]).mean() for p, q in pairs]))


def test_poses_and_colours_are_recovered(wrong_cameras):
    field, truth, wrong, frames = wrong_cameras
    start = _pixel_error(truth, wrong)
    for _ in range(8):
        outcome = align(field, wrong, frames, torch.arange(3))
        assert outcome.after <= outcome.before
    assert _pixel_error(truth, wrong) < 0.15 * start
    expected = torch.tensor([1.1, 1.0, 0.9]) ** torch.tensor([[-1.0], [0.0], [1.0]])
    found = wrong.colors[:, :, :3].diagonal(dim1=1, dim2=2) + 2 * wrong.colors[:, :, 3]  # at a colour of one half
    torch.testing.assert_close(found, expected, atol=0.07, rtol=0)


def test_right_cameras_stay(wrong_cameras):
    field, truth, _, frames = wrong_cameras
    before = copy.deepcopy(truth)
    align(field, truth, frames[1:2], torch.tensor([1]))
    assert _pixel_error(truth, before) < 0.05


def test_the_outline_alone_tells_place_and_distance():
    """A ball of one colour has no gradient inside: what is known of its camera is where its edge is, and how large it is."""
    field, truth = PaintedBall(contrast=0.0), CameraPath(CAMERA, orbit(1))
    frames = _frames_of(field, truth)
    wrong = CameraPath(CAMERA, truth.poses.numpy())
    wrong.poses[0, :, 3] += torch.tensor([0.02, -0.015, 0.1])  # so much farther, the ball is a pixel smaller
    for _ in range(3):
        outcome = align(field, wrong, frames, torch.arange(1))
    assert outcome.outlines < 0.25
    seen = [CAMERA.project(np.full(3, 0.5), pose) for pose in (truth.poses[0].numpy(), wrong.poses[0].numpy())]
    assert np.abs(seen[0][0] - seen[1][0]).max() < 0.15
    assert abs(seen[0][1] - seen[1][1]) < 0.03


def test_colours_that_no_longer_pay_are_let_go(wrong_cameras):
    field, truth, _, _ = wrong_cameras
    frames = _frames_of(field, truth)
    truth.tint(Tints(np.full((1, 12), 900), np.array([[1], [-1], [2]])))
    align(field, truth, frames, torch.arange(3))
    assert truth.tints is None
