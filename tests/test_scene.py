"""A scene survives its file, and its camera model is invertible."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nerfsem_method.errors import CaptureError
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.scene.scene import Frame, Scene, Video

CAMERA = Intrinsics(270, 480, 560.0, 558.0, 134.0, 241.0, k1=-0.08, k2=0.02, p1=0.001, p2=-0.002)


def test_from_colmap_spreads_a_shared_focal_length() -> None:
    camera = Intrinsics.from_colmap("SIMPLE_RADIAL", 270, 480, [560.0, 135.0, 240.0, -0.01])
    assert camera.params == (560.0, 560.0, 135.0, 240.0, -0.01, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(("model", "params"), [("FOV", [1.0] * 5), ("PINHOLE", [1.0] * 3)])
def test_from_colmap_refuses_what_it_cannot_represent(model: str, params: list[float]) -> None:
    with pytest.raises(CaptureError, match=model):
        Intrinsics.from_colmap(model, 270, 480, params)


def test_directions_are_the_inverse_of_projection() -> None:
    columns, rows = np.meshgrid(np.linspace(0.5, 269.5, 9), np.linspace(0.5, 479.5, 9))
    pixels = np.stack([columns, rows], -1)
    points = 3.0 * CAMERA.pixel_directions(pixels)
    again, depth = CAMERA.project(points, np.eye(4)[:3])
    assert np.abs(again - pixels).max() < 1e-3
    assert np.allclose(depth, 3.0)


def test_points_behind_the_camera_have_negative_depth() -> None:
    _, depth = CAMERA.project(np.array([0.0, 0.0, -2.0]), np.eye(4)[:3])
    assert depth == -2.0


def test_a_scaled_camera_sees_the_same_points_at_scaled_pixels() -> None:
    points = np.random.default_rng(0).uniform(-0.2, 0.2, (20, 3)) + (0, 0, 1)
    full, _ = CAMERA.project(points, np.eye(4)[:3])
    half, _ = CAMERA.scaled(135, 240).project(points, np.eye(4)[:3])
    assert np.allclose(half * 2, full)


def test_a_scene_survives_its_file(tmp_path: Path) -> None:
    pose = np.random.default_rng(1).normal(size=(3, 4))
    video = Video("relic.mp4", 270, 480, 1, Fraction(30000, 1001), "ab" * 32)
    frame = Frame(0, pose, "interpolated", "frames/000000.png", "mattes/000000.png")
    Scene(tmp_path, video, CAMERA, (frame,)).save()
    again = Scene.load(tmp_path)
    assert (again.video, again.camera) == (video, CAMERA)
    kept = again.frames[0]
    assert (kept.index, kept.source, kept.image, kept.matte) == (0, "interpolated", "frames/000000.png", "mattes/000000.png")
    assert np.array_equal(again.poses[0], pose)
    assert [path.name for path in tmp_path.iterdir()] == ["scene.json"]


@pytest.mark.parametrize("content", [None, "{", "[]", json.dumps({"video": {}})])
def test_a_folder_that_is_no_scene_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "scene.json").write_text(content)
    with pytest.raises(CaptureError, match=r"scene\.json"):
        Scene.load(tmp_path)


@pytest.mark.parametrize("frames", [[7], [[]], [{"window": [0, "x", 1, 1]}]])
def test_frames_that_are_none_are_named(tmp_path: Path, frames: list) -> None:
    Scene(tmp_path, Video("relic.mp4", 270, 480, 1, Fraction(30), "ab" * 32), CAMERA, ()).save()
    path = tmp_path / "scene.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "frames": frames}))
    with pytest.raises(CaptureError, match=r"scene\.json cannot be read"):
        Scene.load(tmp_path)
