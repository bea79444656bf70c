"""These tests pose frames between keyframes by points tracked into them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from sphere_views import ring

from nerfsem_method.capture.cameras.between import Tracks, fit_pose, pose_between
from nerfsem_method.scene.camera import Intrinsics

CAMERA = Intrinsics(160, 240, 280, 280, 80, 120, k1=0.02)


def points_on_a_sphere(count: int) -> np.ndarray:
    points = np.random.default_rng(0).normal(size=(count, 3))
    return 0.5 * points / np.linalg.norm(points, axis=1, keepdims=True)


def degrees(first: np.ndarray, second: np.ndarray) -> float:
    cosine = (np.trace(first[:, :3] @ second[:, :3].T) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def test_a_pose_is_found_from_points_of_which_some_are_wrong() -> None:
    points, (guess, true) = points_on_a_sphere(200), ring(120)[:2]
    pixels = CAMERA.project(points, true)[0]
    pixels[::5] += 30
    pose, errors = fit_pose(CAMERA, guess, points, pixels)
    assert degrees(pose, true) < 0.01 and np.allclose(pose[:, 3], true[:, 3], atol=1e-3)
    wrong = np.arange(200) % 5 == 0
    assert errors[~wrong].max() < 0.1 and errors[wrong].min() > 5


def draw(path: Path, points: np.ndarray, pose: np.ndarray, camera: Intrinsics = CAMERA) -> Path:
    """Draw blobs of many brightnesses at the points that face the camera."""
    picture = np.full((240, 160), 128, np.float32)
    seen, depth = camera.project(points, pose)
    rows, columns = np.mgrid[:240, :160] + 0.5
    shades = np.random.default_rng(1).uniform(-110, 110, len(points))
    for (x, y), z, shade in zip(seen, depth, shades, strict=True):
        if z < np.median(depth):
            picture += shade * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 6)
    cv2.imwrite(str(path), picture.clip(0, 255).astype(np.uint8))
    return path


@pytest.fixture
def clip(tmp_path: Path) -> tuple[list[Path], np.ndarray, np.ndarray, Tracks]:
    """Pictures, true poses, points, and the tracks of the first and last frame of nine, a degree apart."""
    points, true = points_on_a_sphere(300), ring(360)[:9]
    frames = [draw(tmp_path / f"{i:06d}.png", points, pose) for i, pose in enumerate(true)]
    views = []
    for key in (0, 8):
        pixels, depth = CAMERA.project(points, true[key])
        near = np.flatnonzero(depth < np.median(depth))
        views.append(np.column_stack([near, np.full(len(near), key), pixels[near]]))
    return frames, true, points, Tracks.of(points, np.concatenate(views))


def test_frames_between_keyframes_get_their_own_poses(clip) -> None:
    frames, true, _, tracks = clip
    found, views, _ = pose_between(frames, {0: true[0], 8: true[8]}, [[CAMERA]] * 9, tracks, lambda done, total: None)
    assert sorted(found) == list(range(1, 8))
    assert max(degrees(found[i], true[i]) for i in found) < 0.1
    assert set(views[:, 1].astype(int)) == set(range(1, 8))


@pytest.mark.parametrize(("amiss", "posed"), [(2.4, True), (4.0, False)])
def test_a_quarter_of_what_is_tracked_is_enough(clip, amiss: float, posed: bool) -> None:
    """One keyframe sees so many points in the wrong places for one in its right place, as where a model is folded there."""
    frames, true, points, tracks = clip
    count = round(2 * amiss * len(tracks.rows[8]))
    again = np.random.default_rng(2).integers(0, len(tracks.rows[8]), count)
    wrong = np.random.default_rng(3).uniform(-0.5, 0.5, (count, 3))
    rows = {**tracks.rows, 8: np.concatenate([tracks.rows[8], len(points) + np.arange(count)])}
    pixels = {**tracks.pixels, 8: np.concatenate([tracks.pixels[8], tracks.pixels[8][again]])}
    found = pose_between(
        frames, {0: true[0], 8: true[8]}, [[CAMERA]] * 9, Tracks(np.concatenate([points, wrong]), rows, pixels), lambda *_: None
    )[0]
    assert (sorted(found) == list(range(1, 8))) == posed and bool(found) == posed
    assert all(degrees(pose, true[frame]) < 0.2 for frame, pose in found.items())


def test_a_frame_that_shows_something_else_has_no_pose(clip) -> None:
    frames, true, _, tracks = clip
    cv2.imwrite(str(frames[4]), np.zeros((240, 160), np.uint8))
    found, *_ = pose_between(frames, {0: true[0], 8: true[8]}, [[CAMERA]] * 9, tracks, lambda done, total: None)
    assert sorted(found) == [1, 2, 3, 5, 6, 7]


def test_at_a_cut_a_frame_is_by_the_lens_that_fits_it(clip) -> None:
    """The film is cut between the frames 5 and 6 to a lens that is 1.4 times as long."""
    frames, true, points, _ = clip
    near, far = CAMERA.zoomed(1.4), CAMERA
    views = []
    for frame, pose in enumerate(true):
        camera = near if frame > 5 else far
        draw(frames[frame], points, pose, camera)
        if frame in (0, 8):
            pixels, depth = camera.project(points, pose)
            shown = np.flatnonzero((depth < np.median(depth)) & (pixels > 8).all(1) & (pixels < (152, 232)).all(1))
            views.append(np.column_stack([shown, np.full(len(shown), frame), pixels[shown]]))
    tracks = Tracks.of(points, np.concatenate(views))
    choice = [[far, near] if frame < 5 else [near, far] for frame in range(9)]
    found, _, taken = pose_between(frames, {0: true[0], 8: true[8]}, choice, tracks, lambda done, total: None)
    assert [choice[frame][taken[frame]] is near for frame in range(1, 8)] == [False] * 5 + [True] * 2
    assert max(degrees(found[i], true[i]) for i in found) < 0.5
