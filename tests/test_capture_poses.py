"""These tests lead from COLMAP's result to a pose for every frame, and to what is said when there is none."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from sphere_views import ring

from nerfsem_method.capture.cameras import poses, reconstruct
from nerfsem_method.capture.cameras.reconstruct import checked_model, write_masks
from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.clip import motion
from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.capture.clip.keyframes import Keyframes
from nerfsem_method.capture.colmap.job import Job
from nerfsem_method.errors import CaptureError
from nerfsem_method.scene.camera import Intrinsics, look_at_point

DIAGONAL = 550.0
"""The frames of these results are 270 pixels wide and 480 high."""
NO_POINTS = {"positions": np.zeros((1, 3)), "colours": np.zeros((1, 3), np.uint8), "views": np.zeros((0, 4))}


def result_of(known: dict[int, np.ndarray], motion: float | None = 80.0) -> dict:
    """Return what COLMAP's process writes."""
    camera = ["SIMPLE_RADIAL", 270, 480, [560.0, 135.0, 240.0, 0.0]]
    rows = {str(i): pose.tolist() for i, pose in known.items()}
    lens = {"stretches": [], "lenses": [], "focal_evidence": 0.1, "squeeze": 1.0, "fisheye": 0.0, "burnt_in": []}
    fit = {"camera": camera, "explained": 0.8, "apart": 0.0, "reprojection_error": 0.4}
    return {"motion": motion, "closures": 0, "poses": rows, **fit, **lens}


def checked(known: dict[int, np.ndarray], count: int, motion: float | None = 80.0) -> SparseModel:
    """Return the model of `count` frames of which these have a pose."""
    return checked_model(count, result_of(known, motion), known, NO_POINTS, DIAGONAL, "frame")


def test_cameras_that_explain_next_to_nothing_are_refused() -> None:
    known = dict(enumerate(ring(8)))
    for share, refused in ((0.18, True), (0.4, False)):
        with pytest.raises(CaptureError, match="only 18% of what frames") if refused else nullcontext():
            checked_model(8, {**result_of(known), "explained": share}, known, NO_POINTS, DIAGONAL, "frame")


def test_the_cameras_of_a_ring_look_at_its_middle() -> None:
    assert np.abs(look_at_point(ring())).max() < 1e-9


def test_a_few_wrong_poses_do_not_move_what_all_look_at():
    poses = ring()
    poses[[2, 9, 10], :, 3] += [[30.0, 5.0, 0.0], [0.0, -40.0, 3.0], [500.0, 200.0, -9.0]]
    assert np.abs(look_at_point(poses)).max() < 0.05


def test_the_source_of_each_pose_is_told() -> None:
    true = ring(20)
    model = checked({i: true[i] for i in range(20) if i != 5}, 20)
    assert model.registered.tolist() == [i != 5 for i in range(20)]
    assert model.poses.shape == (20, 3, 4)


def test_too_few_registered_frames_are_an_error_with_numbers() -> None:
    true = ring(20)
    with pytest.raises(CaptureError, match="only 11 of 20 frames"):
        checked({i: true[i] for i in (*range(6), *range(15, 20))}, 20)
    with pytest.raises(CaptureError, match="only 7 of 20 frames"):
        checked({i: true[i] for i in range(7)}, 20)


def test_frames_that_hang_together_alone_are_said_to() -> None:
    known = {i: pose for i, pose in enumerate(ring(20)) if i < 7}
    with pytest.raises(CaptureError, match="only 7 of 20 frames; as to the others, they have much in common.* mirrored pictures"):
        checked_model(20, {**result_of(known), "apart": 0.9}, known, NO_POINTS, DIAGONAL, "frame")


def test_what_a_clip_shows_before_and_after_the_turn_is_left_out() -> None:
    true = ring(20)
    model = checked({i: true[i] for i in range(6, 16)}, 20)
    assert model.posed.tolist() == [6 <= i < 16 for i in range(20)]


def test_no_model_at_all_is_an_error_with_a_remedy() -> None:
    with pytest.raises(CaptureError, match="no camera was found.*printed paper"):
        checked({}, 20, motion=None)


def test_a_tripod_is_recognised_by_the_pixels_that_stand_still() -> None:
    with pytest.raises(CaptureError, match="hardly moves"):
        checked({}, 20, motion=0.3)


def test_a_tripod_is_recognised_by_the_cameras_that_stand_together() -> None:
    together = ring(400)[:5]
    with pytest.raises(CaptureError, match="hardly moves"):
        checked(dict(enumerate(together)), 5)


def test_a_few_cameras_that_stand_together_are_few_and_no_tripod() -> None:
    with pytest.raises(CaptureError, match="only 5 of 20 frames"):
        checked(dict(enumerate(ring(400)[:5])), 20)


def test_points_on_the_object_are_those_that_its_mattes_show() -> None:
    mattes = np.zeros((2, 48, 27), np.uint8)
    mattes[:, 20:30, 10:20] = 255
    views = np.array([[0, 0, 150, 250], [0, 1, 150, 250], [1, 0, 150, 250], [1, 1, 5, 5], [2, 0, 5, 5]], float)
    camera = Intrinsics(270, 480, 560, 560, 135, 240)
    model = SparseModel(camera, ring(2), np.ones(2, bool), np.zeros((3, 3)), np.zeros((3, 3)), views, 0.4, 0)
    assert model.points_on(mattes).tolist() == [True, False, False]


def test_a_model_survives_its_folder(tmp_path: Path) -> None:
    model = checked(dict(enumerate(ring(12))), 12)
    model.save(tmp_path)
    again = SparseModel.load(tmp_path)
    assert again.camera == model.camera
    assert np.array_equal(again.poses, model.poses)
    assert (again.reprojection_error, again.closures) == (0.4, 0)


@pytest.mark.parametrize("ordered", [True, False])
def test_a_dying_colmap_leaves_its_last_words(ordered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last words tell whether it has heard that frames lie in their order, too."""
    package = tmp_path / "nerfsem_method" / "capture" / "colmap"
    package.mkdir(parents=True)
    for folder in (package, package.parent, package.parent.parent):
        (folder / "__init__.py").write_text("")
    words = "import json, os, sys; heard = json.load(open(sys.argv[1]))['ordered']; "
    words += "print('out of memory', heard, file=sys.stderr, flush=True); os.abort()"
    (package / "worker.py").write_text(words)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CaptureError, match=f"COLMAP stopped with exit code .*out of memory {ordered}"):
        poses.solve(frames(tmp_path), None, "frame", lambda done, total: None, ordered)


EVEN, ALL = [*range(0, 20, 2), 19], list(range(20))


@pytest.mark.parametrize(
    ("answers", "runs", "registered"),
    [
        ([(EVEN, 0.9)], 1, ALL),
        ([(EVEN[:-1], 0.9)], 1, range(19)),  # A twentieth may be a title.
        ([(EVEN[:6], 0.9), (ALL, 0.9)], 2, ALL),
        ([(EVEN, 0.3), (ALL[:19], 0.9)], 2, range(19)),
        ([(EVEN[:8], 0.9), (ALL, 0.3)], 2, range(15)),
        ([(EVEN[:8], 0.9), (ALL[:9], 0.9)], 2, range(15)),
        ([(EVEN[:8], 0.9), ([*ALL[:5], *ALL[17:]], 0.9)], 2, range(15)),
        ([([0, 2], 0.9), (ALL, 0.9)], 2, ALL),
        ([(EVEN[:8], 0.9), None], 2, range(15)),
        ([None, (ALL, 0.9)], 2, ALL),
    ],
    ids=["between", "nearly all", "more", "doubtful", "more and doubtful", "fewer", "gap", "refused", "died", "died first"],
)
def test_where_frames_are_missing_more_keyframes_are_tried(
    answers: list, runs: int, registered: Sequence[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The try with the most frames of those that agree with themselves is kept, and progress does not go back.

    An answer is frames with a pose, and the share of matches that they explain; None is a process that dies.
    """
    true, told, asked = ring(20), [], []

    def run(work: Path, advance: Advance) -> None:
        job = json.loads((work / "job.json").read_text())
        asked.append([int(Path(name).stem) for name in job["names"]])
        assert job["drawn"] and not job["object_alone"]
        answer = answers[len(asked) - 1]
        if answer is None:
            raise CaptureError("COLMAP stopped with exit code -9: no message")
        result = result_of({asked[-1].index(frame): true[frame] for frame in answer[0]})
        (work / "result.json").write_text(json.dumps({**result, "explained": answer[1]}))
        np.savez(work / "points.npz", **{**NO_POINTS, "views": np.array([[0.0, 0.0, 9.0, 9.0]])})
        for share in (0, 50, 100):
            advance(share, 100)

    def between(paths, known, camera, tracks, advance):
        return {i: true[i] for i in range(min(known), max(known)) if i not in known}, np.zeros((0, 4)), {}

    monkeypatch.setattr(reconstruct, "keyframes", lambda paths, ordered, alone: Keyframes([EVEN, ALL], drawn=True))
    monkeypatch.setattr(reconstruct, "run_worker", run)
    monkeypatch.setattr(reconstruct, "pose_between", between)
    paths = [tmp_path / f"{i:06d}.png" for i in ALL]
    for path in paths:
        Image.new("L", (27, 48)).save(path)
    found = reconstruct.reconstruct(paths, None, "frame", False, lambda done, total: told.append(done))
    assert np.flatnonzero(found.registered).tolist() == list(registered)
    assert asked == [EVEN, ALL][:runs] and told == sorted(told)


def test_photographs_by_several_lenses_are_all_keyframes_and_none_is_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which lens took a photograph that COLMAP has not seen, or not found a pose for, is not known."""
    true, asked = ring(200), []
    every, both = [*range(0, 200, 2)], [*range(200)]

    def run(work: Path, advance: Advance) -> None:
        asked.append(len(json.loads((work / "job.json").read_text())["names"]))
        known = {index: true[frame] for index, frame in enumerate(both if asked[1:] else every) if frame != 50}
        lenses = [[7, 0.5], [20, 2.0]]
        (work / "result.json").write_text(json.dumps({**result_of(known), "lenses": lenses}))
        np.savez(work / "points.npz", **{**NO_POINTS, "views": np.array([[0.0, 0.0, 9.0, 9.0]])})

    monkeypatch.setattr(reconstruct, "keyframes", lambda paths, ordered, alone: Keyframes([every, both]))
    monkeypatch.setattr(reconstruct, "run_worker", run)
    monkeypatch.setattr(reconstruct, "pose_between", lambda *given: pytest.fail("a photograph was tracked with the usual lens"))
    paths = [tmp_path / f"{i:06d}.png" for i in both]
    for path in paths:
        Image.new("L", (27, 48)).save(path)
    found = reconstruct.reconstruct(paths, None, "frame", False, lambda done, total: None, ordered=False)
    assert asked == [100, 200] and found.lenses == [(7, 0.5), (20, 2.0)]
    assert found.posed.tolist() == found.registered.tolist() == [frame != 50 for frame in both]
    assert found.cameras.camera_of(7).fx == 280 and found.cameras.camera_of(8) == found.camera


def test_between_two_keyframes_the_focal_length_changes_evenly_or_at_a_cut_is_that_which_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true, keys, seen = ring(9), [0, 4, 8], {}

    def run(work: Path, advance: Advance) -> None:
        known = {index: true[frame] for index, frame in enumerate(keys)}
        (work / "result.json").write_text(json.dumps({**result_of(known), "lenses": [[1, 1.2], [2, 2.4]]}))
        np.savez(work / "points.npz", **{**NO_POINTS, "views": np.array([[0.0, 0.0, 9.0, 9.0]])})

    def between(paths, known, cameras, tracks, advance):
        seen.update(enumerate([camera.fx for camera in some] for some in cameras))
        return {frame: true[frame] for frame in range(9) if frame not in known}, np.zeros((0, 4)), {5: 0, 6: 1, 7: 0}

    monkeypatch.setattr(reconstruct, "keyframes", lambda paths, ordered, alone: Keyframes([keys]))
    monkeypatch.setattr(reconstruct, "run_worker", run)
    monkeypatch.setattr(reconstruct, "pose_between", between)
    paths = [tmp_path / f"{i:06d}.png" for i in range(9)]
    for path in paths:
        Image.new("L", (27, 48)).save(path)
    found = reconstruct.reconstruct(paths, None, "frame", False, lambda done, total: None)
    evenly = [[1.2 ** (frame / 4)] for frame in range(5)]
    cut = [[1.2, 2.4], [1.2, 2.4], [2.4, 1.2], [2.4]]  # Which is likelier comes first.
    for frame, zooms in enumerate([*evenly, *cut]):
        np.testing.assert_allclose([length / seen[0][0] for length in seen[frame]], zooms)
    np.testing.assert_allclose(found.cameras.factors, [*(even for (even,) in evenly), 1.2, 2.4, 2.4, 2.4])
    assert found.registered.all()


def test_keyframes_say_what_their_focal_length_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, said = frames(tmp_path), []

    def run(work: Path, advance: Advance) -> None:
        job = Job.read(work / "job.json")
        said.append({job.names.index(name): zoom for name, zoom in job.zooms.items() if name in job.names})
        (work / "result.json").write_text(json.dumps(result_of({}, motion=0.01)))

    monkeypatch.setattr(reconstruct, "keyframes", lambda paths, ordered, alone: Keyframes([[0, 2, 4, 6]]))
    monkeypatch.setattr(reconstruct, "run_worker", run)
    with pytest.raises(CaptureError, match="hardly moves"):
        poses.solve(pictures, None, "frame", lambda done, total: None, False, {2: 0.5, 3: 2.0})
    assert said == [{1: 0.5}]


def test_where_no_try_is_of_use_the_first_ones_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reasons = iter(("cameras were found for only 3 of 8 frames", "COLMAP stopped with exit code -9: no message"))

    def run(work: Path, advance: Advance) -> None:
        raise CaptureError(next(reasons))

    monkeypatch.setattr(reconstruct, "keyframes", lambda paths, ordered, alone: Keyframes([[0, 7], list(range(8))]))
    monkeypatch.setattr(reconstruct, "run_worker", run)
    with pytest.raises(CaptureError, match="only 3 of 8"):
        reconstruct.reconstruct(frames(tmp_path), None, "frame", False, lambda done, total: None)


def test_a_camera_that_stands_still_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(work: Path, advance: Advance) -> None:
        (work / "result.json").write_text(json.dumps(result_of({}, motion=0.01)))

    tries: Any = [[0, 7], [*range(8)], None]
    monkeypatch.setattr(reconstruct, "keyframes", lambda paths, ordered, alone: Keyframes(tries))
    monkeypatch.setattr(reconstruct, "run_worker", run)
    with pytest.raises(CaptureError, match="hardly moves"):
        reconstruct.reconstruct(frames(tmp_path), None, "frame", False, lambda done, total: None)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Stand in for COLMAP: fail on whole frames, and keep what was asked for: region, and whether the background is still."""
    seen: list[tuple[str, bool]] = []

    def solved(pictures, mattes, region, still_background, advance, ordered, zooms=None):
        seen.append((region, still_background))
        if mattes is None:
            raise CaptureError("cameras were found for only 3 of 8 frames")
        return "model"

    monkeypatch.setattr(poses, "reconstruct", solved)
    return seen


def solve(pictures: list[Path], mattes: list[Path] | None, region: poses.Region = "auto") -> SparseModel:
    """Solve the cameras of pictures."""
    return poses.solve(pictures, mattes, region, lambda done, total: None)


def test_a_result_on_the_object_replaces_a_failure_on_the_whole_frame(tmp_path, tried) -> None:
    pictures = frames(tmp_path)
    assert solve(pictures, pictures) == "model"
    assert tried == [("frame", False), ("object", False)]
    with pytest.raises(CaptureError, match="only 3 of 8"):
        solve(pictures, None)
    with pytest.raises(CaptureError, match="only 3 of 8"):
        solve(pictures, pictures, "frame")


def test_what_pictures_and_what_features_show_to_be_burnt_in_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bar, watermark, known = (0.0, 0.0, 1.0, 0.1), (0.4, 0.5, 0.6, 0.55), dict(enumerate(ring(8)))
    model = checked_model(8, {**result_of(known), "burnt_in": [watermark]}, known, NO_POINTS, DIAGONAL, "frame")
    monkeypatch.setattr(poses, "reconstruct", lambda *_: model)
    monkeypatch.setattr(poses.motion.Motion, "overlays", lambda seen: [bar])
    assert solve(frames(tmp_path), None).overlays == [bar, watermark]


def test_an_object_that_turns_before_a_still_background_is_taken_alone(tmp_path, tried) -> None:
    pictures = turning(tmp_path, background=np.random.default_rng(0).integers(0, 255, (96, 64)))
    assert solve(pictures, None) == "model"
    assert tried == [("object", True)]


def test_what_turns_and_fills_a_rectangle_is_taken_alone_if_that_is_said(tmp_path: Path, tried: list) -> None:
    """It changes as the film in a recording of a screen does."""
    pictures = turning(tmp_path, background=np.random.default_rng(0).integers(0, 255, (96, 64)), foot=0)
    assert motion.look(pictures).window is not None and solve(pictures, None, "object") == "model"
    assert tried == [("object", True)]


def test_a_3d_film_is_refused_before_any_work(tmp_path: Path, tried: list) -> None:
    wall = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (180, 900), np.uint8), (0, 0), 1.5)
    for i in range(8):
        left, right = (wall[:, 40 * i + aside : 40 * i + aside + 160] for aside in (0, 8))
        Image.fromarray(np.hstack([left, right])).save(tmp_path / f"{i:06d}.png")
    for ordered, remedy in ((True, "ffmpeg -i CLIP -vf crop=iw/2:ih:0:0 NEW$"), (False, "keep that of one$")):
        with pytest.raises(CaptureError, match=f"one for each eye, side by side.*{remedy}"):
            poses.solve(sorted(tmp_path.glob("*.png")), None, "auto", lambda done, total: None, ordered)
    assert tried == []


def test_the_object_alone_needs_to_be_known(tmp_path, tried) -> None:
    with pytest.raises(CaptureError, match="--sfm-region object.*--mattes"):
        solve(frames(tmp_path), None, "object")
    assert tried == []


def test_a_clip_in_which_nothing_moves_is_refused_before_any_work(tmp_path, tried) -> None:
    pattern = np.random.default_rng(0).integers(0, 255, (96, 64)).astype(np.uint8)
    pictures = [tmp_path / f"{i:06d}.png" for i in range(8)]
    for path in pictures:
        Image.fromarray(pattern).save(path)
    with pytest.raises(CaptureError, match="hardly moves"):
        solve(pictures, None)
    assert tried == []


def test_masks_are_named_as_colmap_reads_them(tmp_path: Path) -> None:
    pictures = frames(tmp_path)
    matte = np.zeros((24, 16), np.uint8)
    matte[8:16, 4:12] = 255
    folder = write_masks(pictures, [matte] * len(pictures), tmp_path / "masks")
    assert sorted(path.name for path in folder.iterdir()) == [f"{i:06d}.png.png" for i in range(len(pictures))]
    mask = np.asarray(Image.open(folder / "000000.png.png"))
    assert mask.shape == (48, 32) and mask[16, 8] == 255 and mask[0, 0] == 0


def frames(folder: Path) -> list[Path]:
    """Write eight grey pictures, in which nothing can be recognised."""
    paths = [folder / f"{i:06d}.png" for i in range(8)]
    for path in paths:
        Image.new("RGB", (32, 48), (90, 90, 90)).save(path)
    return paths


def turning(folder: Path, background: np.ndarray, foot: int = 8) -> list[Path]:
    """Write pictures of a pattern that moves sideways in the middle of a still background [96, 64], on a narrower foot."""
    rng = np.random.default_rng(1)
    pattern = rng.integers(0, 255, (48, 200)).astype(np.uint8)
    paths = [folder / f"{i:06d}.png" for i in range(16)]
    for i, path in enumerate(paths):
        picture = background.astype(np.uint8)
        picture[24 : 72 - foot, 16:48] = pattern[foot:, 5 * i : 5 * i + 32]
        picture[72 - foot : 72, 24:40] = pattern[:foot, 5 * i : 5 * i + 16]
        Image.fromarray(picture).save(path)
    return paths
