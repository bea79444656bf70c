"""These tests say what is in a scene folder, when it is used again, and what is said when it cannot be made.

The clip's true cameras stand in for COLMAP here; test_capture_sample.py runs the real one.
"""

from __future__ import annotations

import html
import json
import shutil
import subprocess
from collections.abc import Iterator
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
from nerfsem_method.capture.clip import frames as frame_files
from nerfsem_method.capture.ingest import ingest
from nerfsem_method.capture.mattes import classical, given
from nerfsem_method.capture.mattes.given import copy_mattes
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.capture.report import page as report_page
from nerfsem_method.capture.report.figures import read_report
from nerfsem_method.errors import CaptureError
from nerfsem_method.files import partial_of
from nerfsem_method.scene.camera import Intrinsics, camera_centres
from nerfsem_method.scene.scene import Scene

EVERY, FRAMES = 4, 15
"""The clip here is every fourth frame of the sample clip."""
SCALE = "54:96"


class TrueCameras:
    """This stands in for COLMAP: the clip's true cameras, frame 7 unregistered, and one point in the vase's middle."""

    def __init__(self, data: Path) -> None:
        self.truth = json.loads((data / "vase_cameras.json").read_text())
        self.cam_from_world = np.array(self.truth["cam_from_world"])[::EVERY]
        self.calls: list[list[Path]] = []
        self.failure: BaseException | None = None

    def __call__(self, frames: list[Path], mattes: list[Path] | None, region: str, advance: object) -> SparseModel:
        self.calls.append(frames)
        if self.failure:
            raise self.failure
        truth = self.truth
        camera = Intrinsics(*(truth[name] for name in ("width", "height", "fx", "fy", "cx", "cy")))
        cam_from_world = self.cam_from_world[: len(frames)]
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


def ffmpeg(*arguments: str | Path) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def clip(vase_video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "relic.mp4"
    ffmpeg("-i", vase_video, "-vf", f"select=not(mod(n\\,{EVERY})),setpts=N/(15*TB)", "-r", "15", path)
    return path


@pytest.fixture(scope="module")
def mattes(vase_mattes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mattes")
    for path in sorted(vase_mattes.iterdir())[::EVERY]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture
def video(clip: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(clip, tmp_path / "relic.mp4"))


@pytest.fixture(scope="module")
def options(mattes: Path) -> CaptureOptions:
    return CaptureOptions(mattes=mattes, scale=SCALE)


@pytest.fixture(scope="module")
def captured(clip: Path, options: CaptureOptions, vase_video: Path) -> Iterator[Scene]:
    """This capture lies beside the clip for tests that do not write."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(poses, "solve", TrueCameras(vase_video.parent))
        yield ingest(clip, options)


@pytest.fixture
def scene(captured: Scene, video: Path, colmap: TrueCameras) -> Scene:
    """This copy of the capture lies beside a copy of the clip, for a test that writes."""
    return Scene.load(shutil.copytree(captured.root, video.with_suffix(".nerfsem")))


def stamps(root: Path) -> dict[str, int]:
    """Return when each file of a folder was written."""
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_the_folder_holds_what_it_promises(captured, clip) -> None:
    root = captured.root
    assert root == clip.with_name("relic.nerfsem")
    names = {path.name for path in root.iterdir()}
    assert names == {"scene.json", "frames", "mattes", "cameras", "points.ply", "report.json", "report.html", "capture.json"}
    for folder in ("frames", "mattes"):
        pictures = sorted((root / folder).iterdir())
        assert [path.name for path in pictures] == [f"{i:06d}.png" for i in range(FRAMES)]
        assert {Image.open(path).size for path in pictures} == {(54, 96)}
    assert (captured.video.name, captured.video.width, captured.video.height) == ("relic.mp4", 54, 96)
    assert (captured.video.frames, captured.video.rate) == (FRAMES, Fraction(15))
    assert captured.camera.width == 54 and abs(captured.camera.fx - 112.0) < 0.01  # a fifth of the true 560 pixels
    assert [frame.source for frame in captured.frames].count("interpolated") == 1
    assert Scene.load(root).frames[7].source == "interpolated"


def test_the_vase_fills_the_unit_cube(captured, vase_video) -> None:
    true, new = camera_centres(TrueCameras(vase_video.parent).cam_from_world), camera_centres(captured.poses)
    metres = np.linalg.norm(true[4] - true[0]) / np.linalg.norm(new[4] - new[0])  # so long is an edge of the cube
    assert 0.55 < metres < 0.85  # the vase is 0.62 m tall
    report = read_report(captured.root)
    assert (report.frames, report.registered, report.loop_closures) == (FRAMES, FRAMES - 1, 3)
    assert len(report.coverage) == FRAMES and 0.17 < min(report.coverage) < max(report.coverage) < 0.31
    assert report.turn_degrees > 325  # the unregistered frame leaves a gap of 24 degrees
    assert any("frame 7; it is interpolated" in warning for warning in report.warnings)
    page = (captured.root / "report.html").read_text()
    assert report.warnings[0] in html.unescape(page).replace("No camera", "no camera")
    assert b"element vertex 1\n" in (captured.root / "points.ply").read_bytes()


def test_a_second_call_changes_nothing_and_runs_no_stage(scene, video, options, monkeypatch) -> None:
    def ran(*_: object) -> None:
        pytest.fail("a stage ran again")

    for module, stage in ((frame_files, "extract"), (given, "copy_mattes"), (poses, "solve"), (normalise, "unit_box")):
        monkeypatch.setattr(module, stage, ran)
    before = stamps(scene.root)
    second = ingest(video, options)
    assert stamps(scene.root) == before
    assert np.array_equal(scene.poses, second.poses)


def test_a_deleted_scene_file_costs_no_stage(scene, video, options) -> None:
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
    """This ends a capture as SIGKILL does, after which nothing is cleaned up."""


def contents(root: Path) -> dict[str, bytes]:
    """Return what is in each file of a folder."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def short(clip: Path, mattes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, CaptureOptions]:
    """This clip is as short as a clip may be, small, and captured coarsely."""
    monkeypatch.setattr(normalise, "ROUNDS", (12,))
    monkeypatch.setattr(stages, "progress_bar", lambda label: nullcontext(lambda done, total: None))
    monkeypatch.setattr(ingest_module, "progress_bar", lambda label: nullcontext(lambda done, total: None))
    monkeypatch.setattr(report_page, "SHEET_FRAMES", 1)
    count, video, few = frame_files.MIN_FRAMES, tmp_path / "short.mp4", tmp_path / "mattes"
    ffmpeg("-i", clip, "-frames:v", count, "-vf", "scale=36:64", video)
    few.mkdir()
    for path in sorted(mattes.iterdir())[:count]:
        shutil.copy(path, few)
    return video, CaptureOptions(mattes=few)


def test_a_capture_killed_at_any_moment_and_run_again_gives_the_same(short, colmap, monkeypatch, tmp_path) -> None:
    """The capture is killed before the first, second, ... change to its folder, until there is none left to be killed before."""
    video, options = short
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
def other_mattes(mattes: Path, tmp_path: Path) -> Path:
    other = shutil.copytree(mattes, tmp_path / "other")
    Image.open(other / "000000.png").point(lambda value: value // 2).save(other / "000000.png")
    return other


def test_cameras_seen_in_the_object_alone_follow_its_mattes(video, colmap, mattes, other_mattes) -> None:
    for chosen in (mattes, mattes, other_mattes):
        ingest(video, CaptureOptions(mattes=chosen, scale=SCALE, sfm_region="object"))
    assert len(colmap.calls) == 2


def test_other_mattes_keep_the_cameras(scene, video, colmap, other_mattes) -> None:
    again = ingest(video, CaptureOptions(mattes=other_mattes, scale=SCALE))
    assert colmap.calls == []
    first = np.asarray(Image.open(scene.root / "mattes" / "000000.png"))
    assert first.max() < 130
    assert len(again.frames) == FRAMES


def test_hints_reach_the_segmenter_and_other_hints_keep_the_cameras(video, colmap, mattes, monkeypatch) -> None:
    told = []

    def segment(frames, model, target, advance, **hints) -> None:
        told.append(hints)
        copy_mattes(mattes, target, len(frames), (54, 96), advance)

    monkeypatch.setattr(classical, "segment", segment)
    ingest(video, CaptureOptions(scale=SCALE))
    ingest(video, CaptureOptions(scale=SCALE, keep_support=True))
    ingest(video, CaptureOptions(scale=SCALE, object_box="0,0,10,10@3"))
    assert [hints["keep_support"] for hints in told] == [False, True, False]
    assert told[0]["box"] is None and told[2]["box"].frame == 3
    assert len(colmap.calls) == 1


def test_another_size_keeps_the_cameras_which_see_the_full_size(scene, video, mattes, colmap) -> None:
    smaller = ingest(video, CaptureOptions(mattes=mattes, scale="27:48"))
    assert colmap.calls == []
    assert smaller.camera.width == 27
    assert Image.open(scene.root / "frames" / "000000.png").size == (27, 48)


def test_another_video_in_the_same_place_is_captured_anew(scene, video, options, colmap) -> None:
    video.write_bytes(video.read_bytes() + bytes(8))  # an empty box at its end makes it another file with the same frames
    ingest(video, options)
    assert len(colmap.calls) == 1


def test_wrong_mattes_are_refused_before_cameras_are_sought(video, colmap, mattes, tmp_path) -> None:
    fewer = shutil.copytree(mattes, tmp_path / "fewer")
    (fewer / "000028.png").unlink()
    with pytest.raises(CaptureError, match="14 mattes.*15 frames"):
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
