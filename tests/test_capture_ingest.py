"""These tests say what is in a scene folder, when it is used again, and what is said when it cannot be made.

The clip's true cameras stand in for COLMAP here; test_capture_sample.py runs the real one.
"""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from true_cameras import FRAMES, TrueCameras, shorter_clip

from nerfsem_method.capture import assembly, stages
from nerfsem_method.capture.cameras import normalise, poses
from nerfsem_method.capture.clip import frames as frame_files
from nerfsem_method.capture.ingest import ingest
from nerfsem_method.capture.mattes import classical, cluster, given
from nerfsem_method.capture.mattes.given import copy_mattes
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.capture.report.figures import read_report
from nerfsem_method.errors import CaptureError
from nerfsem_method.evaluation.references import Clip, load_references
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.media.naming import Naming
from nerfsem_method.scene.camera import camera_centres
from nerfsem_method.scene.scene import Scene

SCALE = "54:96"


@pytest.fixture(scope="module")
def clip_and_mattes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return shorter_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def clip(clip_and_mattes: tuple[Path, Path]) -> Path:
    return clip_and_mattes[0]


@pytest.fixture(scope="module")
def mattes(clip_and_mattes: tuple[Path, Path]) -> Path:
    return clip_and_mattes[1]


@pytest.fixture
def colmap(monkeypatch: pytest.MonkeyPatch) -> TrueCameras:
    cameras = TrueCameras()
    monkeypatch.setattr(poses, "solve", cameras)
    return cameras


@pytest.fixture
def video(clip: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(clip, tmp_path / "relic.mp4"))


@pytest.fixture(scope="module")
def options(mattes: Path) -> CaptureOptions:
    return CaptureOptions(mattes=mattes, scale=SCALE)


@pytest.fixture(scope="module")
def captured(clip: Path, options: CaptureOptions) -> Iterator[Scene]:
    """This capture lies beside the clip for tests that do not write."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(poses, "solve", TrueCameras())
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
    made = {"scene.json", "frames", "mattes", "cameras", "points.ply", "report.json", "report.html", "capture.json"}
    assert names == made | {"nerfsem.log"}
    for folder in ("frames", "mattes"):
        pictures = sorted((root / folder).glob("*.png"))
        assert [path.name for path in pictures] == [f"{i:06d}.png" for i in range(FRAMES)]
        assert {Image.open(path).size for path in pictures} == {(54, 96)}
    assert (captured.video.name, captured.video.width, captured.video.height) == ("relic.mp4", 54, 96)
    assert (captured.video.frames, captured.video.rate) == (FRAMES, Fraction(15))
    assert captured.camera.width == 54 and abs(captured.camera.fx - 112.0) < 0.01  # a fifth of the true 560 pixels
    assert [frame.source for frame in captured.frames].count("interpolated") == 1
    assert Scene.load(root).frames[7].source == "interpolated"


def test_a_photograph_that_lies_is_turned_with_its_matte(
    clip: Path, mattes: Path, colmap: TrueCameras, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turned to the right by hand, it is the frame of before again, and an evaluation takes it so, too."""
    folder, ready = tmp_path / "photographs", tmp_path / "mattes"
    folder.mkdir()
    shutil.copytree(mattes, ready)
    for index, frame in enumerate(open_clip(clip).frames()):
        Image.fromarray(np.rot90(frame.rgb, -1) if index == 3 else frame.rgb).save(folder / f"{index:02d}.png")
    third = sorted(ready.iterdir())[3]
    Image.open(third).rotate(-90, expand=True).save(third)
    shots, turned = folder, []
    monkeypatch.setattr(assembly, "way_up", lambda model: turned.append([*model.turned]) or cluster.way_up(model))
    scene = ingest(shots, CaptureOptions(mattes=ready, scale=SCALE))
    straight = ingest(clip, CaptureOptions(mattes=mattes, scale=SCALE), tmp_path / "straight.nerfsem")
    for index in (3, 4):
        for folder in ("frames", "mattes"):
            one, other = (np.asarray(Image.open(root / folder / f"{index:06d}.png"), int) for root in (scene.root, straight.root))
            assert one.shape == other.shape and np.abs(one - other).mean() < 1
    assert any("lie where the others are upright" in warning for warning in read_report(scene.root).warnings)
    assert turned == [[3], []]  # Which way is up is told by how photographs were taken.
    taken = load_references(Clip(shots, ready), scene.video, tmp_path).mattes
    shown = np.asarray(Image.open(scene.root / "mattes" / "000003.png"), int)
    assert np.abs(taken[3].astype(int) - shown).mean() < 1


def test_what_a_solution_says_of_its_lens_and_mattes_of_what_moves_is_told(
    clip: Path, mattes: Path, colmap: TrueCameras, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fisheye is straightened at the clip's own size; who gives mattes or a hint knows what moves better than the picture."""

    def draw(frames: list[Path], model: object, target: Path, *_: object, **hints: object) -> None:
        for path, matte in zip(frames, sorted(mattes.iterdir()), strict=True):
            Image.open(matte).convert("L").resize((54, 96)).save(target / path.name)

    def told(*, by_hand: bool, **found: Any) -> str:
        monkeypatch.setattr(poses, "solve", lambda *asked: replace(colmap(*asked), **found))
        options = CaptureOptions(mattes=mattes if by_hand else None, scale=SCALE)
        return " ".join(read_report(ingest(clip, options, tmp_path / f"{len(list(tmp_path.iterdir()))}").root).warnings)

    monkeypatch.setattr(assembly, "missed_share", lambda frames, mattes: 0.5)
    monkeypatch.setattr(classical, "segment", draw)
    assert "a fisheye" not in told(by_hand=True)
    assert re.search(r"seems to be a fisheye.*:w=270:h=480 NEW", told(by_hand=True, fisheye=200.0))
    alone = {"region": "object", "explained": 0.9}
    said = [told(by_hand=False, **alone), told(by_hand=True, **alone), told(by_hand=False, **{**alone, "explained": 0.4})]
    assert ["never show 50% of where things move" in words for words in said] == [True, False, False]


def test_the_vase_fills_the_unit_cube(captured) -> None:
    true, new = camera_centres(TrueCameras().cam_from_world), camera_centres(captured.poses)
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
    assert changed == {"scene.json", "capture.json", "points.ply", "report.json", "report.html", "nerfsem.log"}
    assert np.array_equal(again.poses, scene.poses)


@pytest.fixture
def other_mattes(mattes: Path, tmp_path: Path) -> Path:
    other = shutil.copytree(mattes, tmp_path / "other")
    Image.open(other / "000000.png").point([value // 2 for value in range(256)]).save(other / "000000.png")
    return other


def test_cameras_seen_in_the_object_alone_follow_its_mattes(video, colmap, mattes, other_mattes) -> None:
    for chosen in (mattes, mattes, other_mattes):
        ingest(video, CaptureOptions(mattes=chosen, scale=SCALE, sfm_region="object"))
    assert len(colmap.calls) == 2


def test_other_mattes_keep_the_cameras(scene, video, colmap, other_mattes) -> None:
    (scene.root / "agreed/1").mkdir(parents=True)
    (scene.root / "agreed/1/000000.png").touch()  # what a training made of the mattes before
    again = ingest(video, CaptureOptions(mattes=other_mattes, scale=SCALE))
    assert colmap.calls == []
    first = np.asarray(Image.open(scene.root / "mattes" / "000000.png"))
    assert first.max() < 130
    assert len(again.frames) == FRAMES
    assert again.matte_path(0) == scene.root / "mattes" / "000000.png"


def test_hints_reach_the_segmenter_and_other_hints_keep_the_cameras(video, colmap, mattes, monkeypatch) -> None:
    told = []

    def segment(frames, model, target, advance, **hints) -> None:
        told.append(hints)
        copy_mattes(mattes, target, Naming(range(len(frames))), (54, 96), advance)

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


def test_frames_that_colmap_alone_sees_are_told_of_as_they_are_made(video, options, colmap, monkeypatch) -> None:
    """Without that, nothing moves for minutes where a clip is large; what COLMAP then says follows on."""
    told: dict[str, list[float]] = {}

    @contextmanager
    def listen(label: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: told.setdefault(label, []).append(done / total)

    def solve(frames, mattes, region, advance, ordered, zooms):
        for done in range(11):
            advance(done, 10)
        return colmap(frames, mattes, region, advance, ordered, zooms)

    monkeypatch.setattr(stages, "progress_bar", listen)
    monkeypatch.setattr(poses, "solve", solve)
    ingest(video, options)
    shares = told["cameras (COLMAP)"]
    assert len(shares) > FRAMES + 10 and shares == sorted(shares)
    assert shares[0] < 0.05 and 0.1 < shares[FRAMES - 1] < 0.2 and shares[-1] == 1


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
    with pytest.raises(CaptureError, match="black all over"):
        ingest(video, CaptureOptions(mattes=empty, scale=SCALE))
    assert not (video.with_name("relic.nerfsem") / "mattes").exists()


def test_a_folder_with_other_files_is_left_alone(video, options, colmap, tmp_path) -> None:
    mine = tmp_path / "holiday"
    (mine / "frames").mkdir(parents=True)
    (mine / "frames" / "beach.png").write_bytes(b"precious")
    with pytest.raises(CaptureError, match="other files.*another scene folder"):
        ingest(video, options, mine)
    assert (mine / "frames" / "beach.png").read_bytes() == b"precious"
    assert [path.name for path in mine.iterdir()] == ["frames"]


def test_a_place_that_cannot_be_written_is_named(video, options, colmap) -> None:
    with pytest.raises(CaptureError, match="cannot be written.*another scene folder"):
        ingest(video, options, video / "inside-a-file")


def test_a_missing_video_leaves_no_folder(options, colmap, tmp_path) -> None:
    with pytest.raises(CaptureError, match="does not exist"):
        ingest(tmp_path / "nothing.mp4", options)
    assert list(tmp_path.iterdir()) == []
