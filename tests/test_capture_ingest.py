"""The scene folder: what is in it, when it is used again, and what is said when it cannot be made.

COLMAP is replaced by the clip's true cameras here; test_capture_sample.py runs the real one.
"""

from __future__ import annotations

import html
import json
import shutil
import subprocess
import time
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from nerfsem_method.capture import ingest as ingest_module
from nerfsem_method.capture import stages
from nerfsem_method.capture.cameras import normalise, poses
from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.ingest import ingest
from nerfsem_method.capture.mattes import classical
from nerfsem_method.capture.mattes.given import copy_mattes
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.capture.report import page as report_page
from nerfsem_method.capture.report.figures import read_report
from nerfsem_method.errors import CaptureError
from nerfsem_method.files import partial_of
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.scene.scene import Scene

FRAMES = 60
SCALE = "54:96"


class TrueCameras:
    """Stands in for COLMAP: the sample clip's cameras, frame 7 unregistered, and one point in the vase's middle."""

    def __init__(self, data: Path) -> None:
        self.truth = json.loads((data / "vase_cameras.json").read_text())
        self.calls: list[list[Path]] = []
        self.failure: BaseException | None = None

    def __call__(self, frames: list[Path], mattes: list[Path] | None, region: str, advance: object) -> SparseModel:
        self.calls.append(frames)
        if self.failure:
            raise self.failure
        truth = self.truth
        camera = Intrinsics(*(truth[name] for name in ("width", "height", "fx", "fy", "cx", "cy")))
        cam_from_world = np.array(truth["cam_from_world"])[: len(frames)]
        centre = np.array([truth["relic_center"]])
        registered = np.arange(len(frames)) != 7
        views = [[0, i, *camera.project(centre[0], pose)[0]] for i, pose in enumerate(cam_from_world)]
        colours = np.array([[200, 90, 40]], np.uint8)
        return SparseModel(camera, cam_from_world, registered, centre, colours, np.array(views), 0.5, 3)


@pytest.fixture
def colmap(vase_video: Path, monkeypatch: pytest.MonkeyPatch) -> TrueCameras:
    cameras = TrueCameras(vase_video.parent)
    monkeypatch.setattr(poses, "solve", cameras)
    return cameras


@pytest.fixture
def video(vase_video: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(vase_video, tmp_path / "relic.mp4"))


@pytest.fixture
def options(vase_mattes: Path) -> CaptureOptions:
    return CaptureOptions(mattes=vase_mattes, scale=SCALE)


def stamps(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_the_folder_holds_what_it_promises(video, options, colmap) -> None:
    scene = ingest(video, options)
    assert scene.root == video.with_name("relic.nerfsem")
    names = {path.name for path in scene.root.iterdir()}
    assert names == {"scene.json", "frames", "mattes", "cameras", "points.ply", "report.json", "report.html", "capture.json"}
    for folder in ("frames", "mattes"):
        pictures = sorted((scene.root / folder).iterdir())
        assert [path.name for path in pictures] == [f"{i:06d}.png" for i in range(FRAMES)]
        assert {Image.open(path).size for path in pictures} == {(54, 96)}
    assert (scene.video.name, scene.video.width, scene.video.height) == ("relic.mp4", 54, 96)
    assert (scene.video.frames, scene.video.rate) == (FRAMES, Fraction(15))
    assert scene.camera.width == 54 and abs(scene.camera.fx - 112.0) < 0.01  # the true 560 pixels, a fifth the size
    assert [frame.source for frame in scene.frames].count("interpolated") == 1
    assert Scene.load(scene.root).frames[7].source == "interpolated"


def test_the_vase_fills_the_unit_cube(video, options, colmap) -> None:
    scene = ingest(video, options)
    metres = 1 / np.linalg.norm(np.diff(true_and_new_centres(colmap, scene), axis=1)).item()
    assert 0.55 < metres < 0.85  # the vase is 0.62 m tall
    report = read_report(scene.root)
    assert (report.frames, report.registered, report.loop_closures) == (FRAMES, FRAMES - 1, 3)
    assert len(report.coverage) == FRAMES and 0.17 < min(report.coverage) < max(report.coverage) < 0.31
    assert report.turn_degrees > 350
    assert any("frame 7; it is interpolated" in warning for warning in report.warnings)
    assert report.warnings[0] in html.unescape((scene.root / "report.html").read_text()).replace("No camera", "no camera")
    assert b"element vertex 1\n" in (scene.root / "points.ply").read_bytes()


def true_and_new_centres(colmap: TrueCameras, scene: Scene) -> np.ndarray:
    """Two cameras a metre apart in the truth, in the scene's units: [1, 2, 3]."""
    truth = poses.camera_centres(np.array(colmap.truth["cam_from_world"]))
    new = poses.camera_centres(scene.poses)
    length = np.linalg.norm(truth[20] - truth[0])
    return np.stack([new[0], new[0] + (new[20] - new[0]) / length])[None]


def test_a_second_call_changes_nothing_and_is_quick(video, options, colmap) -> None:
    first = ingest(video, options)
    before = stamps(first.root)
    start = time.monotonic()
    second = ingest(video, options)
    assert time.monotonic() - start < 1
    assert stamps(first.root) == before
    assert len(colmap.calls) == 1
    assert np.array_equal(first.poses, second.poses)


def test_a_deleted_scene_file_costs_no_stage(video, options, colmap) -> None:
    scene = ingest(video, options)
    before = stamps(scene.root)
    (scene.root / "scene.json").unlink()
    again = ingest(video, options)
    changed = {name for name, stamp in stamps(scene.root).items() if before.get(name) != stamp}
    assert changed == {"scene.json", "capture.json", "points.ply", "report.json", "report.html"}
    assert np.array_equal(again.poses, scene.poses)


def test_an_interrupted_capture_goes_on_where_it_stopped(video, options, colmap) -> None:
    colmap.failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        ingest(video, options)
    root = video.with_name("relic.nerfsem")
    assert not (root / "scene.json").exists() and not (root / "cameras").exists()
    half_written = partial_of(root / "cameras") / "model.npz"
    half_written.parent.mkdir(exist_ok=True)
    half_written.write_bytes(b"half")
    before = stamps(root / "frames")
    colmap.failure = None
    ingest(video, options)
    assert stamps(root / "frames") == before
    assert not half_written.parent.exists()


class Killed(BaseException):
    """Nothing is cleaned up after a SIGKILL."""


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_capture_killed_at_any_moment_and_run_again_gives_the_same(video, vase_mattes, colmap, monkeypatch, tmp_path) -> None:
    """Killed before the first, second, ... change to the scene folder, until there is none left to be killed before."""
    monkeypatch.setattr(normalise, "ROUNDS", (12,))
    monkeypatch.setattr(stages, "progress_bar", lambda label: nullcontext(lambda done, total: None))
    monkeypatch.setattr(ingest_module, "progress_bar", lambda label: nullcontext(lambda done, total: None))
    monkeypatch.setattr(report_page, "SHEET_FRAMES", 1)
    short, mattes = tmp_path / "short.mp4", tmp_path / "mattes"
    cut = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(video), "-c", "copy", "-frames:v", "10", str(short)]
    subprocess.run(cut, check=True, stdin=subprocess.DEVNULL)
    mattes.mkdir()
    for path in sorted(vase_mattes.iterdir())[:10]:
        shutil.copy(path, mattes)
    video, options = short, CaptureOptions(mattes=mattes, scale="27:48")
    whole = contents(ingest(video, options, tmp_path / "whole").root)
    changes = {
        "rename": Path,
        "replace": Path,
        "unlink": Path,
        "mkdir": Path,
        "write_text": Path,
        "write_bytes": Path,
        "rmtree": shutil,
    }
    left = [0]

    def deadly(change):
        def instead(*args, **kwargs):
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return change(*args, **kwargs)

        return instead

    for moment in range(1, 200):
        root = tmp_path / f"killed{moment}"
        left[0] = moment
        with monkeypatch.context() as patched:
            for name, owner in changes.items():
                patched.setattr(owner, name, deadly(getattr(owner, name)))
            try:
                ingest(video, options, root)
                break
            except Killed:
                pass
        assert contents(ingest(video, options, root).root) == whole, f"killed before change {moment}"
        shutil.rmtree(root)
    assert 10 < moment < 199


@pytest.fixture
def other_mattes(vase_mattes: Path, tmp_path: Path) -> Path:
    other = shutil.copytree(vase_mattes, tmp_path / "other")
    Image.open(other / "000000.png").point(lambda value: value // 2).save(other / "000000.png")
    return other


def test_cameras_seen_in_the_object_alone_follow_its_mattes(video, colmap, vase_mattes, other_mattes) -> None:
    for mattes in (vase_mattes, vase_mattes, other_mattes):
        ingest(video, CaptureOptions(mattes=mattes, scale=SCALE, sfm_region="object"))
    assert len(colmap.calls) == 2


def test_other_mattes_keep_the_cameras(video, options, colmap, other_mattes) -> None:
    scene = ingest(video, options)
    again = ingest(video, CaptureOptions(mattes=other_mattes, scale=SCALE))
    assert len(colmap.calls) == 1
    first = np.asarray(Image.open(scene.root / "mattes" / "000000.png"))
    assert first.max() < 130
    assert len(again.frames) == FRAMES


def test_hints_reach_the_segmenter_and_other_hints_keep_the_cameras(video, colmap, vase_mattes, monkeypatch) -> None:
    told = []

    def segment(frames, model, target, advance, **hints) -> None:
        told.append(hints)
        copy_mattes(vase_mattes, target, len(frames), (54, 96), advance)

    monkeypatch.setattr(classical, "segment", segment)
    ingest(video, CaptureOptions(scale=SCALE))
    ingest(video, CaptureOptions(scale=SCALE, keep_support=True))
    ingest(video, CaptureOptions(scale=SCALE, object_box="0,0,10,10@3"))
    assert [hints["keep_support"] for hints in told] == [False, True, False]
    assert told[0]["box"] is None and told[2]["box"].frame == 3
    assert len(colmap.calls) == 1


def test_another_size_keeps_the_cameras_which_see_the_full_size(video, options, colmap) -> None:
    ingest(video, options)
    scene = ingest(video, CaptureOptions(mattes=options.mattes, scale="27:48"))
    assert len(colmap.calls) == 1
    assert scene.camera.width == 27
    assert Image.open(scene.root / "frames" / "000000.png").size == (27, 48)


def test_another_video_in_the_same_place_is_captured_anew(video, options, colmap) -> None:
    ingest(video, options)
    video.write_bytes(video.read_bytes() + bytes(8))  # an empty trailing box: the same frames, another file
    ingest(video, options)
    assert len(colmap.calls) == 2


def test_wrong_mattes_are_refused_before_cameras_are_sought(video, colmap, vase_mattes, tmp_path) -> None:
    fewer = shutil.copytree(vase_mattes, tmp_path / "fewer")
    (fewer / "000031.png").unlink()
    with pytest.raises(CaptureError, match="59 mattes.*60 frames"):
        ingest(video, CaptureOptions(mattes=fewer, scale=SCALE))
    assert colmap.calls == []


def test_empty_mattes_mean_that_there_is_no_object(video, colmap, tmp_path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for index in range(FRAMES):
        Image.new("L", (54, 96)).save(empty / f"{index:03d}.png")
    with pytest.raises(CaptureError, match="no object found"):
        ingest(video, CaptureOptions(mattes=empty, scale=SCALE))
    assert not (video.with_name("relic.nerfsem") / "mattes").exists()


def test_a_folder_with_other_files_is_left_alone(video, options, colmap, tmp_path) -> None:
    mine = tmp_path / "holiday"
    (mine / "frames").mkdir(parents=True)
    (mine / "frames" / "beach.png").write_bytes(b"precious")
    with pytest.raises(CaptureError, match="other files.*--scene-dir"):
        ingest(video, options, mine)
    assert (mine / "frames" / "beach.png").read_bytes() == b"precious"
    assert [path.name for path in mine.iterdir()] == ["frames"]


def test_a_place_that_cannot_be_written_is_named(video, options, colmap) -> None:
    with pytest.raises(CaptureError, match="cannot be written.*--scene-dir"):
        ingest(video, options, video / "inside-a-file")


def test_a_missing_video_leaves_no_folder(options, colmap, tmp_path) -> None:
    with pytest.raises(CaptureError, match="does not exist"):
        ingest(tmp_path / "nothing.mp4", options)
    assert list(tmp_path.iterdir()) == []
