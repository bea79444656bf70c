"""Frames of a film that a model puts aside get the poses that the frames beside them say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from sphere_views import ring
from test_capture_between import CAMERA, degrees, draw, points_on_a_sphere
from test_capture_poses import result_of

from nerfsem_method.capture.assembly import _of_moves
from nerfsem_method.capture.cameras import reconstruct
from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.cameras.strays import brought_back, moved, stray_ways, torn
from nerfsem_method.media.naming import Naming

COUNT, ASIDE = 24, [10, 11, 12]


def turned(pose: np.ndarray, angle: float) -> np.ndarray:
    """Return a pose whose camera stands so many degrees further on around the upright axis."""
    turn, _ = cv2.Rodrigues(np.array([0.0, 0.0, np.radians(angle)]))
    return np.column_stack([pose[:, :3] @ turn, pose[:, 3]])


@pytest.fixture
def film(tmp_path: Path) -> tuple[list[Path], dict[int, np.ndarray], dict[str, np.ndarray]]:
    """Pictures, true poses a degree apart, and the points with the views of all frames but those ASIDE, which have another."""
    points, true = points_on_a_sphere(300), dict(enumerate(ring(360)[:COUNT]))
    frames = [draw(tmp_path / f"{i:06d}.png", points, pose) for i, pose in true.items()]
    views = []
    for frame, pose in true.items():
        pixels, depth = CAMERA.project(points, pose)
        near = np.flatnonzero(depth < np.median(depth))
        seen = np.column_stack([near, np.full(len(near), frame), pixels[near]])
        views.append([[300, frame, 5.0, 5.0]] if frame in ASIDE else seen)
    everything = np.vstack([points, np.zeros(3)])
    return frames, true, {"positions": everything, "colours": np.zeros((301, 3), np.uint8), "views": np.concatenate(views)}


def test_frames_that_lie_aside_are_posed_by_the_frames_beside_them(film) -> None:
    frames, true, points = film
    wrong = {frame: turned(pose, 12) if frame in ASIDE else pose for frame, pose in true.items()}
    assert stray_ways(wrong, points["views"]) == [range(10, 13)]
    known, kept = brought_back(frames, wrong, points, [CAMERA] * len(frames))
    assert sorted(known) == sorted(true)
    assert max(degrees(known[frame], true[frame]) for frame in true) < 0.1
    # What the strays alone had seen is gone, and all else is where it was.
    used = kept["views"][:, 0].astype(int)
    assert len(kept["positions"]) == len(kept["colours"]) == len(np.unique(used)) < 301
    for point, frame, u, v in kept["views"]:
        assert np.hypot(*(CAMERA.project(kept["positions"][int(point)], true[int(frame)])[0] - (u, v))) < 2


def test_frames_without_a_pose_are_followed_from_both_sides(film) -> None:
    frames, true, points = film
    wanting = {frame: pose for frame, pose in true.items() if frame not in ASIDE}
    known, kept = brought_back(frames, wanting, points, [CAMERA] * len(frames))
    assert sorted(known) == sorted(true)
    assert max(degrees(known[frame], true[frame]) for frame in true) < 0.1
    assert all((kept["views"][:, 1] == frame).sum() >= 30 for frame in ASIDE)
    assert not torn(sorted(known), kept["views"])
    for frame in ASIDE:
        cv2.imwrite(str(frames[frame]), np.zeros((240, 160), np.uint8))
    assert brought_back(frames, wanting, points, [CAMERA] * len(frames))[0] == wanting


@pytest.mark.parametrize("ordered", [True, False], ids=["film", "photographs"])
def test_a_film_is_asked_for_strays_and_photographs_are_not(
    film, ordered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, true, points = film
    wrong = {frame: turned(pose, 12) if frame in ASIDE else pose for frame, pose in true.items()}
    lens = [CAMERA.fx, CAMERA.cx, CAMERA.cy, CAMERA.k1]

    def run(work: Path, advance) -> None:
        camera = ["SIMPLE_RADIAL", CAMERA.width, CAMERA.height, lens]
        (work / "result.json").write_text(json.dumps({**result_of(wrong), "camera": camera}))
        np.savez(work / "points.npz", **points)

    monkeypatch.setattr(reconstruct, "run_worker", run)
    model = reconstruct.reconstruct(frames, None, "frame", False, lambda done, total: None, ordered)
    worst = max(degrees(model.poses[frame], true[frame]) for frame in ASIDE)
    assert worst < 0.1 if ordered else worst > 10


def test_a_film_that_is_cut_is_left_as_it_is(film) -> None:
    """The camera did stand elsewhere, and saw what other frames see; nothing of it is found where the frames beside it point."""
    frames, true, points = film
    real = {frame: turned(pose, 150) if frame in ASIDE else pose for frame, pose in true.items()}
    for frame in ASIDE:
        draw(frames[frame], points_on_a_sphere(300), real[frame])
    points["views"][np.isin(points["views"][:, 1], ASIDE), 0] = 0
    assert stray_ways(real, points["views"]) == [range(10, 13)]
    known, kept = brought_back(frames, real, points, [CAMERA] * len(frames))
    assert known is real and kept is points


def test_where_the_camera_jumps_away_and_back_and_nothing_can_be_followed_there_is_no_pose(film) -> None:
    frames, true, points = film
    wrong = {frame: turned(pose, 150) if frame in ASIDE else pose for frame, pose in true.items()}
    for frame in ASIDE:
        cv2.imwrite(str(frames[frame]), np.zeros((240, 160), np.uint8))
    known, kept = brought_back(frames, wrong, points, [CAMERA] * len(frames))
    assert sorted(known) == sorted(set(true) - set(ASIDE))
    assert not np.isin(ASIDE, kept["views"][:, 1]).any()


def test_a_steady_turn_a_pause_and_a_film_of_two_parts_have_no_strays(film) -> None:
    _, true, _ = film
    views = np.array([[point, frame, 9.0, 9.0] for frame in true for point in range(20)])
    assert not stray_ways(true, views)
    assert not stray_ways({frame: true[min(frame, 8)] for frame in true}, views)
    assert not stray_ways({frame: turned(pose, 40) if frame > 11 else pose for frame, pose in true.items()}, views)
    assert not stray_ways({frame: turned(pose, 40) if 3 < frame < 20 else pose for frame, pose in true.items()}, views)
    assert not stray_ways(dict(list(true.items())[:1]), views)
    assert stray_ways(true, views[~np.isin(views[:, 1], ASIDE)]) == [range(10, 13)]


def test_where_somebody_moves_the_object_its_points_end_and_those_around_it_go_on() -> None:
    """Forty points lie on the object and as many beside it; from the thirteenth frame on the object shows others."""
    frames, on_object, turn = list(range(COUNT)), np.arange(120) < 80, dict(enumerate(ring(COUNT)))
    own = np.array([[point + 40 * (frame >= 12), frame, 9.0, 9.0] for frame in frames for point in range(40)])
    around = np.array([[point, frame, 9.0, 9.0] for frame in frames for point in range(80, 120)])
    views = np.concatenate([own, around])
    assert moved(turn, views, on_object) == [12]
    nothing = np.zeros((120, 3)), np.zeros((120, 3), np.uint8)
    film = SparseModel(CAMERA, ring(COUNT), np.ones(COUNT, bool), *nothing, views, 0.4, 5)
    for ordered in (True, False):
        said = _of_moves(replace(film, ordered=ordered), on_object, Naming(range(COUNT)))
        assert "from frame 12 on the object lies otherwise" in said[0]
    assert not _of_moves(replace(film, explained=0.3), on_object, Naming(range(COUNT)))
    cut = np.concatenate([own, around[(around[:, 1] < 12) == (around[:, 0] < 100)]])
    assert not moved(turn, cut, on_object)  # All is new there, as where a film is cut.
    stays = np.array([[point + 40 * (frame == 12), frame, 9.0, 9.0] for frame in frames for point in range(40)])
    assert not moved(turn, np.concatenate([stays, around]), on_object)  # One frame alone shows others.
    few = own[own[:, 0] % 40 < 20]
    assert not moved(turn, np.concatenate([few, around]), on_object)
    assert not moved(turn, np.concatenate([own[own[:, 1] < 12], around]), on_object)
    further = {frame: turned(pose, 40) if frame >= 12 else pose for frame, pose in turn.items()}
    assert not moved(further, views, on_object)  # An object that stays where it is shows another side there, too.
