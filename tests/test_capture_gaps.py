"""These tests say which missing poses are guessed, and what becomes of frames that have none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from sphere_views import ring
from true_cameras import TrueCameras, shorter_clip

from nerfsem_method.capture.cameras import normalise, poses
from nerfsem_method.capture.cameras.gaps import fill_gaps, guessing_error
from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.ingest import ingest
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.capture.report import page as report_page
from nerfsem_method.capture.report.figures import read_report
from nerfsem_method.codec.gaps import pack_gaps, unpack_gaps
from nerfsem_method.errors import CaptureError, CorruptBundle
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.scene.camera import Intrinsics, camera_centres
from nerfsem_method.scene.scene import Scene

CAMERA = Intrinsics(270, 480, 560, 560, 135, 240)


def known(count: int, *missing: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    true = ring(count)
    return true, {i: pose for i, pose in enumerate(true) if i not in missing}


def test_known_poses_are_kept_and_short_gaps_lie_on_the_way() -> None:
    true, some = known(360, 7, 8, 40)
    filled = fill_gaps(some, 360, CAMERA)
    assert all(np.array_equal(filled[i], pose) for i, pose in some.items())
    step = np.linalg.norm(np.diff(camera_centres(true), axis=0), axis=1).mean()
    assert np.linalg.norm(camera_centres(filled) - camera_centres(true), axis=1).max() < 0.1 * step


def test_nothing_is_invented_beyond_the_ends_and_across_wide_gaps() -> None:
    _, some = known(360, 0, 1, 100, *range(200, 260), 359)
    filled = fill_gaps(some, 360, CAMERA)
    unposed = np.flatnonzero(np.isnan(filled).any((1, 2))).tolist()
    assert unposed == [0, 1, *range(200, 260), 359]


def test_a_shaking_camera_is_not_guessed() -> None:
    """What one frame does says little of the next: the very gap that is filled in a steady clip stays open."""
    true, some = known(360, 40)
    rng = np.random.default_rng(0)
    shaken = {i: np.column_stack([pose[:, :3], pose[:, 3] + 0.05 * rng.normal(size=3)]) for i, pose in some.items()}
    steady, error = guessing_error(some, 2, CAMERA), guessing_error(shaken, 2, CAMERA)
    assert steady is not None and error is not None and steady < 0.5 < 5 < error
    assert np.isnan(fill_gaps(shaken, 360, CAMERA)[40]).all()


@pytest.mark.parametrize("numbers", [(), (0,), (3, 4, 5, 9), tuple(range(400)), (131071,)])
def test_the_frames_left_out_survive_a_bundle(numbers: tuple[int, ...]) -> None:
    assert unpack_gaps(pack_gaps(numbers)) == numbers


def test_a_section_that_asks_for_the_impossible_is_refused() -> None:
    with pytest.raises(CorruptBundle, match="gaps"):
        unpack_gaps(pack_gaps((1 << 40,)))


class Unposed(TrueCameras):
    """This solves the shorter clip but for some frames."""

    def __init__(self, *lost: int) -> None:
        super().__init__()
        self.lost = list(lost)

    def __call__(self, *args: object) -> SparseModel:
        model = super().__call__(*args)  # type: ignore[arg-type]
        model.poses[self.lost] = np.nan
        model.registered[self.lost] = False
        return SparseModel(**{**vars(model), "views": model.views[~np.isin(model.views[:, 1], self.lost)]})


def capture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *lost: int, allow: bool = False, photographs: bool = False
) -> Scene:
    monkeypatch.setattr(normalise, "ROUNDS", (12,))
    monkeypatch.setattr(report_page, "SHEET_FRAMES", 1)
    monkeypatch.setattr(poses, "solve", Unposed(*lost))
    if not (tmp_path / "relic.mp4").exists():
        shorter_clip(tmp_path, 15, "54:96")
    clip = tmp_path / "relic.mp4"
    if photographs:
        clip = tmp_path / "shots"
        clip.mkdir()
        for frame in open_clip(tmp_path / "relic.mp4").frames():
            cv2.imwrite(str(clip / f"IMG_{400 + frame.number:04d}.PNG"), frame.rgb[..., ::-1])
    return ingest(clip, CaptureOptions(mattes=tmp_path / "true", allow_gaps=allow))


def test_frames_without_a_pose_are_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = capture(tmp_path, monkeypatch, 14)
    assert (scene.video.frames, len(scene.frames), scene.video.left_out) == (14, 14, (14,))
    assert Scene.load(scene.root).video == scene.video
    assert [Path(frame.image).stem for frame in scene.frames] == [f"{i:06d}" for i in range(14)]
    report = read_report(scene.root)
    assert report.unposed == [14] and "no camera was found for frame 14" in report.warnings[0]
    assert np.isfinite(scene.poses).all()


def test_more_than_a_tenth_is_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):  # The answer is the same when the folder is found again.
        told = r"3 of the clip's 15 frames have no camera .*\(frames 0, 13-14; see .*cut off the frames without .*--allow-gaps"
        with pytest.raises(CaptureError, match=told):
            capture(tmp_path, monkeypatch, 0, 13, 14)
    scene = capture(tmp_path, monkeypatch, 0, 13, 14, allow=True)
    assert scene.video.left_out == (0, 13, 14)
    assert Path(scene.frames[0].image).stem == Path(scene.frames[0].matte).stem == "000001"


def test_photographs_without_a_camera_are_asked_about_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = r"\(IMG_0400.PNG, IMG_0412.PNG to IMG_0414.PNG; see .*take more photographs from places between .* leave these out, or"
    with pytest.raises(CaptureError, match=told):
        capture(tmp_path, monkeypatch, 0, 12, 13, 14, photographs=True)
    report = read_report(tmp_path / "shots.nerfsem")
    assert "no camera was found for IMG_0400.PNG, IMG_0412.PNG to IMG_0414.PNG: left out" in report.warnings[0]
    assert report.unposed == [0, 12, 13, 14] and report.naming.of_rows([0]) == "IMG_0401.PNG"
