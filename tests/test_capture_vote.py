"""Mattes that fail in single frames are set right by the other views; all others stay as they are, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from true_scene import true_scene

from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.mattes import vote
from nerfsem_method.capture.mattes.given import load_mattes
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.scene.scene import Scene

COUNT, WIDTH, HEIGHT = 20, 180, 320
EMPTY, FULL, LEFT_LOST, FOOT_LOST, NEIGHBOUR = 3, 14, 6, 17, 8
DAMAGED = np.isin(np.arange(COUNT), (EMPTY, FULL, LEFT_LOST, FOOT_LOST, NEIGHBOUR))
"""Of these frames a network draws wrong mattes, each in another way."""


@pytest.fixture(scope="module", autouse=True)
def coarse() -> Iterator[None]:
    """Fewer voxels take a quarter of the time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(vote, "FINE", 80)
        yield


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Scene:
    """Every third frame of the sample clip, smaller, has its true matte and camera here."""
    return true_scene(tmp_path_factory.mktemp("clip") / "vase.nerfsem", every=3, width=WIDTH, height=HEIGHT)


@pytest.fixture(scope="module")
def truth(clip) -> np.ndarray:
    return load_mattes(clip.root / "mattes")


@pytest.fixture(scope="module")
def drawn(truth) -> np.ndarray:
    """A network might draw these mattes: a quarter of them go wrong in different ways."""
    import cv2

    mattes = truth.copy()
    mattes[EMPTY] = 0
    mattes[FULL] = 255
    mattes[LEFT_LOST, :, : WIDTH // 2] = 0
    mattes[FOOT_LOST, 200:] = 0
    cv2.circle(mattes[NEIGHBOUR], (143, 160), 27, (255,), -1)
    return mattes


def model_of(clip: Scene, **changes) -> SparseModel:
    """Return the true cameras without any points, but for the changes."""
    registered = np.ones(len(clip.frames), bool)
    nothing = (np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros((0, 4)))
    return replace(SparseModel(clip.camera, clip.poses, registered, *nothing, 0.4, 5), **changes)


def set_right(clip: Scene, drawn: np.ndarray, model: SparseModel, target: Path) -> np.ndarray:
    """Return the mattes after the vote, whose progress is looked at on the way."""
    target.mkdir(exist_ok=True)
    told = []
    vote.set_right(pictures(clip), drawn, model, target, lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] and told == sorted(told) and told[0][0] < told[0][1]
    return load_mattes(target)


def pictures(clip: Scene) -> list[Path]:
    """Return the files of the frames."""
    return sorted((clip.root / "frames").glob("*.png"))


def overlap(ours: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return the intersection over union [N] of two sets of mattes."""
    ours, true = ours > 127, true > 127
    return (ours & true).sum((1, 2)) / (ours | true).sum((1, 2))


def unequal(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return which frames differ in any pixel."""
    return (ours != theirs).any((1, 2))


@pytest.fixture(scope="module")
def result(clip, drawn, tmp_path_factory) -> np.ndarray:
    return set_right(clip, drawn, model_of(clip), tmp_path_factory.mktemp("result"))


def test_frames_that_failed_are_drawn_anew_and_no_others(result, drawn) -> None:
    np.testing.assert_array_equal(unequal(result, drawn), DAMAGED)


def test_they_are_what_they_should_have_been(result, drawn, truth) -> None:
    assert overlap(drawn, truth)[DAMAGED].max() < 0.95
    assert overlap(result, truth)[DAMAGED].min() > 0.95


def test_within_a_frame_only_what_is_wrong_is_touched(result, drawn) -> None:
    np.testing.assert_array_equal(result[NEIGHBOUR, :, :80], drawn[NEIGHBOUR, :, :80])
    np.testing.assert_array_equal(result[FOOT_LOST, :180], drawn[FOOT_LOST, :180])


def test_frames_without_a_camera_of_their_own_neither_vote_nor_change(clip, drawn, truth, tmp_path) -> None:
    """Every fifth frame, an empty one among them, looks elsewhere and shows a neighbour: no other frame takes notice."""
    lost = np.arange(len(drawn)) % 5 == EMPTY
    poses, shown = clip.poses.copy(), drawn.copy()
    poses[lost], shown[lost] = poses[0], np.roll(truth[lost], WIDTH // 3, 2)
    ours = set_right(clip, shown, model_of(clip, poses=poses, registered=~lost), tmp_path)
    np.testing.assert_array_equal(unequal(ours, shown), DAMAGED & ~lost)
    assert overlap(ours, truth)[DAMAGED & ~lost].min() > 0.95


def test_what_the_frame_cuts_off_is_nobodys_failure(clip, drawn, truth, tmp_path) -> None:
    """The lower third of the frames is cut away, and with it foot and belly."""
    import cv2

    upper = 2 * HEIGHT // 3
    (tmp_path / "frames").mkdir()
    for path in pictures(clip):
        cv2.imwrite(str(tmp_path / "frames" / path.name), cv2.imread(str(path))[:upper])
    camera = clip.camera
    cut = replace(clip, root=tmp_path)
    whole = Intrinsics(camera.width, upper, camera.fx, camera.fy, camera.cx, camera.cy)
    ours = set_right(cut, drawn[:, :upper], model_of(clip, camera=whole), tmp_path / "mattes")
    wrong = unequal(drawn[:, :upper], truth[:, :upper])
    np.testing.assert_array_equal(unequal(ours, drawn[:, :upper]), wrong)
    assert overlap(ours, truth[:, :upper])[wrong].min() > 0.95


def test_inexact_cameras_spoil_no_good_matte(clip, truth, tmp_path) -> None:
    turns = np.random.default_rng(0).normal(0, np.radians(0.6), (len(truth), 3))
    poses = Rotation.from_rotvec(turns).as_matrix() @ clip.poses
    assert not unequal(set_right(clip, truth, model_of(clip, poses=poses), tmp_path), truth).any()
