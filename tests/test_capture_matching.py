"""Frames have features, and pairs of frames a geometry, in a database of COLMAP's."""

from __future__ import annotations

import itertools
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("pycolmap")

import pycolmap

from nerfsem_method.capture.colmap import job as colmap_job
from nerfsem_method.capture.colmap import matching, pairs
from nerfsem_method.capture.colmap.job import Job
from nerfsem_method.capture.colmap.matching import FEW_FEATURES, MAX_ERROR, Matcher, extract, two_view_geometry

FOCAL, WIDTH, HEIGHT = 900.0, 800, 600
CAMERA = pycolmap.Camera(camera_id=1, model="SIMPLE_RADIAL", width=WIDTH, height=HEIGHT, params=[FOCAL, WIDTH / 2, HEIGHT / 2, 0])
Kind = pycolmap.TwoViewGeometryConfiguration


def seen(points: np.ndarray, angle: float, shift: float) -> np.ndarray:
    """Return where a camera that has turned by an angle in degrees, and moved aside, sees points [P, 3]: pixels [P, 2]."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    local = (points - [shift, 0, 0]) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T
    return (FOCAL * local[:, :2] / local[:, 2:] + (WIDTH / 2, HEIGHT / 2)).astype(np.float32)


def scene(depth: float) -> np.ndarray:
    """Return points [200, 3] around ten units before the first camera, within so much depth."""
    rng = np.random.default_rng(3)
    return rng.uniform((-3, -2, 10 - depth), (3, 2, 10 + depth), (200, 3))


@pytest.mark.parametrize(
    ("depth", "shift", "kind"),
    [(4.0, 1.5, Kind.UNCALIBRATED), (0.0, 1.5, Kind.PLANAR_OR_PANORAMIC), (4.0, 0.0, Kind.PLANAR_OR_PANORAMIC)],
    ids=["deep", "flat", "turned alone"],
)
@pytest.mark.parametrize("hasty", [True, False])
def test_a_pair_has_the_geometry_that_explains_its_matches(depth: float, shift: float, kind: Kind, hasty: bool) -> None:
    points, rng = scene(depth), np.random.default_rng(4)
    first, second = seen(points, 0, 0), seen(points, 4, shift)
    wrong = rng.permutation(60)
    second[:60] = second[wrong] + 40
    matches = np.stack([np.arange(200), np.arange(200)], 1).astype(np.uint32)
    found = two_view_geometry((CAMERA, CAMERA), first, second, matches, hasty)
    assert found is not None and found.config == kind
    kept = found.inlier_matches[:, 0]
    assert set(range(60, 200)) <= set(kept.tolist()) and (kept < 60).sum() < 20
    again = two_view_geometry((CAMERA, CAMERA), first, second, matches, hasty)
    assert again is not None and np.array_equal(again.inlier_matches, found.inlier_matches)
    if kind == Kind.UNCALIBRATED:
        ones, epipolar = np.ones((200, 1)), np.asarray(found.F)
        lines = np.hstack([first, ones]) @ epipolar.T
        away = (lines * np.hstack([second, ones])).sum(1) / np.hypot(lines[:, 0], lines[:, 1])
        assert np.abs(away[60:]).max() < MAX_ERROR and np.array_equal(np.asarray(again.F), epipolar)


@pytest.mark.parametrize("hasty", [True, False])
def test_a_handful_of_matches_and_matches_of_nothing_have_none(hasty: bool) -> None:
    first, rng = seen(scene(4.0), 0, 0), np.random.default_rng(5)
    matches = np.stack([np.arange(200), np.arange(200)], 1).astype(np.uint32)
    one, nothing = (CAMERA, CAMERA), rng.uniform(0, 600, (200, 2)).astype(np.float32)
    assert two_view_geometry(one, first, seen(scene(4.0), 4, 1.5), matches[:14], hasty) is None
    assert two_view_geometry(one, first, first, matches[:0], hasty) is None
    assert two_view_geometry(one, first, nothing, matches[:20], hasty) is None


def job(folder: Path, names: list[str]) -> Job:
    return Job(str(folder), str(folder), names, WIDTH, None, False, False, str(folder))


def picture(path: Path, blots: int, seed: int) -> None:
    """Draw a picture with so many dark blots of three to six pixels."""
    rng = np.random.default_rng(seed)
    canvas = np.full((150, WIDTH), 200, np.uint8)
    for x, y, size in rng.integers((10, 10, 3), (WIDTH - 10, 140, 7), (blots, 3)):
        cv2.circle(canvas, (int(x), int(y)), int(size) // 2, (int(rng.integers(20, 120)),), -1)
    assert cv2.imwrite(str(path), canvas)


@pytest.mark.parametrize(("blots", "long_side", "doubled"), [(800, 640, False), (60, 640, True), (800, 480, True)])
def test_frames_are_doubled_that_are_small_or_show_little(blots: int, long_side: int, doubled: bool, tmp_path: Path) -> None:
    names = [f"{frame}.png" for frame in range(7)]
    for frame, name in enumerate(names):
        picture(tmp_path / name, blots, frame)
    extract(replace(job(tmp_path, names), long_side=long_side), tmp_path / "database.db")
    finest = []
    with pycolmap.Database.open(str(tmp_path / "database.db")) as database:
        assert sorted(image.name for image in database.read_all_images()) == names
        for image in database.read_all_images():
            keypoints = np.asarray(database.read_keypoints(image.image_id))
            assert len(keypoints) and (len(keypoints) >= FEW_FEATURES or doubled)
            finest.append(np.hypot(keypoints[:, 2], keypoints[:, 3]).min())
    assert (max(finest) < 1.6) == doubled  # SIFT's smallest scale is 1.6 pixels, and half of it in the doubled picture


@pytest.mark.parametrize(("dense", "many", "sparing"), [(True, True, True), (False, True, False), (True, False, False)])
def test_dense_frames_of_many_features_have_one_orientation_each(
    dense: bool, many: bool, sparing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those frames that were looked at for their number of features keep two."""
    names = [f"{frame}.png" for frame in range(9)]
    for name in names:
        picture(tmp_path / name, 800, 0)
    monkeypatch.setattr(colmap_job, "DENSE", 9 if dense else 10)
    monkeypatch.setattr(matching, "MANY_FEATURES", FEW_FEATURES if many else 10**6)
    extract(job(tmp_path, names), tmp_path / "database.db")
    with pycolmap.Database.open(str(tmp_path / "database.db")) as database:
        places = [np.asarray(database.read_keypoints(image.image_id))[:, :2] for image in database.read_all_images()]
    again = [len(there) - len(np.unique(there, axis=0)) for there in places]
    assert all(again[::2]) and all(bool(more) != sparing for more in again[1::2])


def test_frames_are_listed_as_colmap_lists_them(tmp_path: Path) -> None:
    names = [f"{frame}.png" for frame in range(7)]
    for frame, name in enumerate(names):
        picture(tmp_path / name, 800, frame)
    extract(job(tmp_path, names), tmp_path / "ours.db")
    pycolmap.Database.open(str(tmp_path / "theirs.db")).close()
    options = pycolmap.ImageReaderOptions()
    options.camera_model = "SIMPLE_RADIAL"
    pycolmap.import_images(str(tmp_path / "theirs.db"), str(tmp_path), pycolmap.CameraMode.SINGLE, names, options)
    with sqlite3.connect(tmp_path / "ours.db") as ours, sqlite3.connect(tmp_path / "theirs.db") as theirs:
        for table in ("cameras", "rigs", "frames", "frame_data", "images"):
            held = ours.execute(f"SELECT * FROM {table}").fetchall()
            assert held and held == theirs.execute(f"SELECT * FROM {table}").fetchall()


def drawn_matcher(folder: Path) -> Matcher:
    """Return the matcher of three frames that see the same points."""
    points, rng, path = scene(4.0), np.random.default_rng(6), folder / "database.db"
    descriptors = rng.integers(0, 256, (len(points), 128), np.uint8)
    asked = job(folder, ["0.png", "1.png", "2.png"])
    with pycolmap.Database.open(str(path)) as database:
        number = database.write_camera(CAMERA)
        for frame, name in enumerate(asked.names):
            image = database.write_image(pycolmap.Image(name=name, camera_id=number))
            shapes = np.tile(np.array([1, 0, 0, 1], np.float32), (len(points), 1))
            pixels = seen(points, 4 * frame, 1.5 * frame) + rng.normal(0, 0.2, (len(points), 2))
            database.write_keypoints(image, np.hstack([pixels, shapes]))
            database.write_descriptors(image, pycolmap.FeatureDescriptors(pycolmap.FeatureExtractorType.SIFT, descriptors))
    return Matcher(asked, path)


@pytest.mark.parametrize("dense", [True, False])
def test_a_dense_clip_is_verified_in_haste(dense: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colmap_job, "DENSE", 3 if dense else 4)
    matcher = drawn_matcher(tmp_path)
    matcher.match([(0, 1)], "pairs")
    matches = np.stack([np.arange(200), np.arange(200)], 1).astype(np.uint32)
    expected = two_view_geometry((CAMERA, CAMERA), matcher.keypoints[0], matcher.keypoints[1], matches, dense)
    other = two_view_geometry((CAMERA, CAMERA), matcher.keypoints[0], matcher.keypoints[1], matches, not dense)
    with pycolmap.Database.open(str(matcher.path)) as database:
        found = database.read_two_view_geometry(*matcher.ids[:2])
    assert expected is not None and other is not None
    assert np.allclose(np.asarray(found.F), np.asarray(expected.F)) and not np.allclose(np.asarray(found.F), np.asarray(other.F))


def test_a_pair_whose_geometry_was_dropped_has_it_again_when_it_is_chosen_again(tmp_path: Path) -> None:
    matcher = drawn_matcher(tmp_path)
    matcher.match([(0, 1), (1, 2)], "pairs")

    def known() -> list[bool]:
        with pycolmap.Database.open(str(matcher.path)) as database:
            return [database.exists_two_view_geometry(*matcher.ids[a : a + 2]) for a in (0, 1)]

    assert known() == [True, True]
    with pycolmap.Database.open(str(matcher.path)) as database:
        for first, second in ((0, 1), (1, 2)):
            database.delete_two_view_geometry(matcher.ids[first], matcher.ids[second])
    matcher.match([(1, 2)], "closures")
    assert known() == [False, True]
    matcher.forget()
    assert known() == [False, False]
    matcher.match([(0, 1)], "pairs")
    assert known() == [True, False]


def test_what_an_earlier_matcher_has_compared_is_known_in_another_order_and_by_other_cameras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what a camera changes is found anew: the geometry of two frames that one camera took."""
    first, verified = drawn_matcher(tmp_path), []
    first.match([(0, 1), (0, 2), (1, 2)], "pairs")

    def verify(*given: Any) -> pycolmap.TwoViewGeometry | None:
        verified.append(tuple(camera.camera_id for camera in given[0]))
        return two_view_geometry(*given)

    def held() -> list[np.ndarray]:
        with pycolmap.Database.open(str(first.path)) as database:
            return [database.read_two_view_geometry(a, b).inlier_matches for a, b in itertools.combinations(first.ids, 2)]

    before = held()
    monkeypatch.setattr(pairs, "mutual_matches", lambda *given: pytest.fail("it was compared again"))
    monkeypatch.setattr(matching, "two_view_geometry", verify)
    order = replace(first.job, names=[first.job.names[frame] for frame in (0, 2, 1)])
    again = Matcher(order, first.path, first)
    again.forget()
    again.match([(0, 1), (0, 2)], "pairs")
    other = Matcher(first.job, first.path, again)
    other.forget()
    other.cameras[0] = pycolmap.Camera(CAMERA.todict())
    other.cameras[0].camera_id = 7
    assert verified == []
    other.match([(0, 1), (0, 2), (1, 2)], "pairs")
    assert verified == [(7, 1), (7, 1)] and len(held()[0]) == len(before[0]) and np.array_equal(held()[2], before[2])


LETTERS, PLAIN = 20, 60
"""So many features of a frame are burnt in, and so many are the scene's."""


def watermarked(folder: Path, count: int, moves: bool = True) -> Matcher:
    """Return a matcher of frames whose scene moves by 10 pixels a frame; each shows the letters and half of what the next does.

    A feature in a hundred matches another one by chance.
    """
    rng = np.random.default_rng(0)
    scene, letters = rng.integers(0, 256, (count * PLAIN, 128), np.uint8), rng.integers(0, 256, (LETTERS, 128), np.uint8)
    at, words = rng.uniform(20, 300, (len(scene), 2)), rng.uniform((20, 200), (220, 240), (LETTERS, 2))
    matcher = object.__new__(Matcher)
    matcher.job, matcher.ids, matcher._matched, matcher._verified = job(folder, []), list(range(1, count + 1)), {}, {}
    matcher.cameras, matcher._burnt, matcher._geometries = [CAMERA] * count, np.zeros((0, 0), bool), {}
    shown = [np.arange(frame * PLAIN // 2, frame * PLAIN // 2 + PLAIN) for frame in range(count)]
    matcher.keypoints = [
        np.concatenate([words + rng.normal(0, 0.1, words.shape), at[rows] + 10.0 * frame * moves])
        for frame, rows in enumerate(shown)
    ]
    matcher.descriptors = [np.concatenate([letters, scene[rows]]) for rows in shown]
    return matcher


def taken(matcher: Matcher, pair: tuple[int, int]) -> np.ndarray:
    """Return the matches of a pair that may be of the scene, as rows of its first frame's features."""
    matcher._compare(pair)
    matcher._burnt = matcher._burnt_in()
    return matcher._verify(pair)[0][:, 0]


def test_what_is_burnt_in_ties_no_frames_together(tmp_path: Path) -> None:
    """A translucent watermark stands still within a pixel or two, also in frames that share nothing else with each other."""
    matcher = watermarked(tmp_path, 20)
    far = (0, 15)
    assert set(taken(matcher, far)) >= set(range(LETTERS)) and matcher._verify(far)[1]  # Nothing is known of it yet.
    for frame in range(19):
        taken(matcher, (frame, frame + 1))
    assert len(taken(matcher, far)) < 3 and matcher._verify(far)[1] is None
    ((left, top, right, bottom),) = matcher.burnt_in()
    words = matcher.keypoints[0][:LETTERS] / (WIDTH, HEIGHT)
    assert np.allclose(((left, top), (right, bottom)), (words.min(0), words.max(0)), atol=0.02)
    burnt = matcher._burnt
    matcher._burnt = np.zeros_like(burnt)
    matcher._burnt[20:23, 30:33] = True
    assert not matcher.burnt_in()  # So small a thing lies where the camera looks.
    matcher._burnt = burnt
    matcher.keypoints[5][:LETTERS] += 1.0  # What shines through moves the letters a little.
    near = taken(matcher, (5, 6))
    assert PLAIN // 2 <= len(near) < PLAIN // 2 + 3 and near.min() >= LETTERS


def test_what_stands_still_in_a_pause_or_a_few_times_is_the_scene(tmp_path: Path) -> None:
    paused = watermarked(tmp_path, 20, moves=False)
    for frame in range(19):
        assert len(taken(paused, (frame, frame + 1))) >= LETTERS + PLAIN // 2
    few = watermarked(tmp_path, 8)
    for frame in range(7):
        taken(few, (frame, frame + 1))
    assert not few.burnt_in() and len(taken(few, (0, 7))) >= LETTERS


def test_what_hardly_moves_near_the_axis_of_a_turn_is_the_scene(tmp_path: Path) -> None:
    """Of what is on an object that a camera circles evenly some stands still at the axis, and some moves a little beside it."""
    matcher = watermarked(tmp_path, 20)
    for frame in range(20):
        matcher.keypoints[frame][LETTERS // 2 : LETTERS] = matcher.keypoints[0][: LETTERS // 2] + 3.0 * (frame % 2)
    for frame in range(19):
        taken(matcher, (frame, frame + 1))
    assert not matcher.burnt_in()
