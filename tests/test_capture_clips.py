"""Clips of all kinds go through capture and evaluation: frames, mattes and names follow the source.

The clip's true cameras stand in for COLMAP here, and units are metres: what the hull makes of them is no matter of the source.
"""

from __future__ import annotations

import os
import re
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from make_clips import ffmpeg
from PIL import Image
from true_cameras import FRAMES, TrueCameras, shorter_clip

from nerfsem_method.capture.cameras import normalise, poses
from nerfsem_method.capture.clip import frames as frame_files
from nerfsem_method.capture.ingest import ingest
from nerfsem_method.capture.mattes import classical
from nerfsem_method.capture.mattes.given import load_mattes
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.capture.report import facts
from nerfsem_method.capture.report.figures import read_report
from nerfsem_method.cli.evaluate import Evaluate
from nerfsem_method.errors import BundleError, CaptureError
from nerfsem_method.evaluation.references import Clip, load_references
from nerfsem_method.media.clip.clip import Findings
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.plugin.dataparser import ObjectVideoDataParserConfig
from nerfsem_method.scene.scene import Scene, Video


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of relic.mp4, its mattes in true/, and the same frames as photographs in shots/."""
    folder = tmp_path_factory.mktemp("clip")
    video, _ = shorter_clip(folder, size="54:96")
    (folder / "shots").mkdir()
    for frame in open_clip(video).frames():
        Image.fromarray(frame.rgb).save(folder / "shots" / f"IMG_{frame.number + 1}.png")
    return folder


@pytest.fixture(autouse=True)
def colmap(monkeypatch: pytest.MonkeyPatch) -> TrueCameras:
    cameras = TrueCameras()
    monkeypatch.setattr(poses, "solve", cameras)
    monkeypatch.setattr(normalise, "unit_box", lambda *_, **__: normalise.Similarity(1.0, np.eye(3), np.zeros(3)))
    return cameras


def frames_of(root: Path) -> np.ndarray:
    """Return a scene's frames [N, H, W, 3]."""
    return np.stack([np.asarray(Image.open(path)) for path in sorted((root / "frames").glob("*.png"))])


def test_photographs_give_the_scene_of_their_video(source: Path, tmp_path: Path, colmap: TrueCameras) -> None:
    options = CaptureOptions(mattes=source / "true")
    filmed = ingest(source / "relic.mp4", options, tmp_path / "filmed")
    shot = ingest(source / "shots", options, tmp_path / "shot")
    matched = ingest(source / "shots/IMG_*.png", options, tmp_path / "matched")
    assert (shot.video.name, shot.video.rate, shot.video.frames) == ("shots", Fraction(5), FRAMES)
    assert shot.video.sha256 == matched.video.sha256 != filmed.video.sha256
    np.testing.assert_array_equal(frames_of(shot.root), frames_of(filmed.root))
    np.testing.assert_array_equal(frames_of(shot.root), frames_of(matched.root))
    assert colmap.ordered == [True, False, False]  # names of photographs may say nothing


def test_the_focal_lengths_that_photographs_name_are_those_of_their_frames(
    source: Path, tmp_path: Path, colmap: TrueCameras
) -> None:
    shots = tmp_path / "shots"
    shots.mkdir()
    for number in range(1, FRAMES + 1):
        exif = Image.Exif()
        exif.get_ifd(0x8769).update({0xA405: {4: 52, 5: 13}.get(number, 26)})
        Image.open(source / "shots" / f"IMG_{number}.png").save(shots / f"IMG_{number}.jpg", exif=exif)
    ingest(shots, CaptureOptions(mattes=source / "true", every=2), tmp_path / "scene")
    assert colmap.zooms == [{2: 0.5}]


def test_a_scene_lies_beside_its_photographs(source: Path, tmp_path: Path) -> None:
    shots = shutil.copytree(source / "shots", tmp_path / "my.shots")
    parser = ObjectVideoDataParserConfig(data=shots, capture=CaptureOptions(mattes=source / "true")).setup()
    parser.get_dataparser_outputs("train")
    assert (tmp_path / "my.shots.nerfsem" / "scene.json").is_file()
    again = ObjectVideoDataParserConfig(data=tmp_path / "my.shots.nerfsem").setup()
    assert len(again.get_dataparser_outputs("train").image_filenames) == FRAMES


@pytest.mark.parametrize("all_mattes", [True, False])
def test_every_other_frame_has_its_own_matte(all_mattes: bool, source: Path, tmp_path: Path) -> None:
    mattes = source / "true"
    if not all_mattes:
        mattes = tmp_path / "half"
        mattes.mkdir()
        for path in sorted((source / "true").iterdir())[::2]:
            shutil.copy(path, mattes)
    whole = ingest(source / "relic.mp4", CaptureOptions(mattes=source / "true"), tmp_path / "whole")
    half = ingest(source / "relic.mp4", CaptureOptions(mattes=mattes, every=2), tmp_path / "scene")
    assert (half.video.frames, half.video.rate) == (8, Fraction(15, 2))
    np.testing.assert_array_equal(frames_of(half.root), frames_of(whole.root)[::2])
    np.testing.assert_array_equal(load_mattes(half.root / "mattes"), load_mattes(whole.root / "mattes")[::2])


def test_another_every_is_another_capture(source: Path, tmp_path: Path, colmap: TrueCameras) -> None:
    for every in (1, 2, 2, 1):
        ingest(source / "relic.mp4", CaptureOptions(mattes=source / "true", every=every), tmp_path / "scene")
    assert [len(frames) for frames in colmap.calls] == [15, 8, 15]


def with_alpha(source: Path, target: Path, inverted: bool = False) -> Path:
    """Write the clip with its mattes as alpha channel, or what is around them."""
    mattes = sorted((source / "true").iterdir())
    for number, frame in enumerate(open_clip(source / "relic.mp4").frames()):
        alpha = np.asarray(Image.open(mattes[number]).convert("L").resize((54, 96), Image.Resampling.BOX))
        alpha = 255 - alpha if inverted else alpha
        Image.fromarray(np.dstack([frame.rgb, alpha])).save(target.parent / f"{number:02d}.png")
    ffmpeg("-framerate", 15, "-i", target.parent / "%02d.png", "-c:v", "png", "-pix_fmt", "rgba", target)
    return target


def test_a_video_with_alpha_brings_its_mattes(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clip").mkdir()
    video = with_alpha(source, tmp_path / "clip" / "relic.mov")
    monkeypatch.setattr(classical, "segment", lambda *_, **__: pytest.fail("somebody drew mattes"))
    with monkeypatch.context() as patch:  # What lies around the object is of its colour, so that no line is drawn around it.
        patch.setattr(facts, "faint_share", lambda *_: pytest.fail("its outline was doubted"))
        scene = ingest(video, CaptureOptions(), tmp_path / "scene")
    given = ingest(source / "relic.mp4", CaptureOptions(mattes=source / "true"), tmp_path / "given")
    mine, theirs = (load_mattes(root / "mattes").astype(int) for root in (scene.root, given.root))
    assert np.abs(mine - theirs).max() <= 2
    before = (scene.root / "scene.json").stat().st_mtime_ns
    assert ingest(video, CaptureOptions(), tmp_path / "scene").video == scene.video
    assert (scene.root / "scene.json").stat().st_mtime_ns == before


def test_an_alpha_channel_that_is_the_wrong_way_round_is_refused_by_the_name_of_the_clip(source: Path, tmp_path: Path) -> None:
    """Who turns over the mattes that the scene folder holds has frames in which the object is of one colour."""
    (tmp_path / "clip").mkdir()
    video = with_alpha(source, tmp_path / "clip" / "relic.mov", inverted=True)
    with pytest.raises(CaptureError, match=f"in {video}, an alpha channel or masks, is white around something black") as refused:
        ingest(video, CaptureOptions(), tmp_path / "scene")
    given = tmp_path / "given"
    given.mkdir()
    for path in sorted((source / "true").iterdir()):
        Image.fromarray(255 - np.asarray(Image.open(path).convert("L"))).save(given / path.name)
    with pytest.raises(CaptureError, match=f"mattes in {given} are white around something black"):
        ingest(source / "relic.mp4", CaptureOptions(mattes=given), tmp_path / "other scene")
    found = re.search(r"by: (ffmpeg .*?) NEW.mov", str(refused.value))
    assert found is not None
    _, _, _, *options = found[1].split()
    ffmpeg("-i", video, *options, tmp_path / "NEW.mov")
    frames = open_clip(tmp_path / "NEW.mov").frames()
    assert all(frame.alpha is not None and frame.alpha[0, 0] < 5 < 250 < frame.alpha[50, 27] for frame in frames)


def test_the_mattes_of_an_alpha_channel_are_not_sought_by_name(source: Path, tmp_path: Path) -> None:
    """These cut-outs are called as extracted frames are, but each as another one."""
    (tmp_path / "clip").mkdir()
    with_alpha(source, tmp_path / "clip" / "relic.mov")
    for number in range(FRAMES):
        folder = tmp_path / "shots" / ("a" if number < FRAMES // 2 else "b")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "clip" / f"{number:02d}.png", folder / f"{(number - FRAMES // 2) % FRAMES:06d}.png")
    scene = ingest(tmp_path / "shots" / "*" / "*", CaptureOptions(), tmp_path / "scene")
    given = ingest(source / "relic.mp4", CaptureOptions(mattes=source / "true"), tmp_path / "given")
    mine, theirs = (load_mattes(root / "mattes").astype(int) for root in (scene.root, given.root))
    assert np.abs(mine - theirs).max() <= 2


def test_hints_are_refused_for_a_clip_that_brings_its_mattes(source: Path, tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    video = with_alpha(source, tmp_path / "clip" / "relic.mov")
    for _ in range(2):  # before and after its frames are known
        with pytest.raises(CaptureError, match="brings its mattes along"):
            ingest(video, CaptureOptions(keep_support=True), tmp_path / "scene")
    ingest(video, CaptureOptions(), tmp_path / "scene")
    with pytest.raises(CaptureError, match="brings its mattes along"):
        ingest(video, CaptureOptions(keep_support=True), tmp_path / "scene")


def test_a_clip_without_alpha_inherits_no_mattes(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clip").mkdir()
    ingest(with_alpha(source, tmp_path / "clip" / "relic.mov"), CaptureOptions(), tmp_path / "scene")
    drawn = []

    def segment(frames: list[Path], model: object, target: Path, *_: object, **__: object) -> None:
        drawn.extend(frames)
        for index, path in enumerate(sorted((source / "true").iterdir())):
            Image.open(path).convert("L").resize((54, 96)).save(target / f"{index:06d}.png")

    monkeypatch.setattr(classical, "segment", segment)
    ingest(source / "relic.mp4", CaptureOptions(keep_support=True), tmp_path / "scene")
    assert len(drawn) == FRAMES


def test_given_mattes_come_before_those_of_the_alpha_channel(source: Path, tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    video = with_alpha(source, tmp_path / "clip" / "relic.mov")
    others = tmp_path / "others"
    others.mkdir()
    for path in (source / "true").iterdir():
        Image.open(path).convert("L").rotate(180).save(others / path.name)
    scene = ingest(video, CaptureOptions(mattes=others), tmp_path / "scene")
    given = ingest(source / "relic.mp4", CaptureOptions(mattes=others), tmp_path / "given")
    np.testing.assert_array_equal(load_mattes(scene.root / "mattes"), load_mattes(given.root / "mattes"))


def test_damaged_frames_are_left_out_with_their_mattes_and_named(source: Path, tmp_path: Path) -> None:
    shots = shutil.copytree(source / "shots", tmp_path / "shots")
    data = (shots / "IMG_4.png").read_bytes()
    (shots / "IMG_4.png").write_bytes(data[: len(data) // 2])
    options = CaptureOptions(mattes=source / "true")
    scene = ingest(shots, options, tmp_path / "scene")
    whole = ingest(source / "shots", options, tmp_path / "whole")
    kept = [number for number in range(FRAMES) if number != 3]
    np.testing.assert_array_equal(frames_of(scene.root), frames_of(whole.root)[kept])
    np.testing.assert_array_equal(load_mattes(scene.root / "mattes"), load_mattes(whole.root / "mattes")[kept])
    warnings = read_report(scene.root).warnings
    assert any("IMG_4.png is left out: damaged" in warning for warning in warnings)
    assert not any("skip" in warning for warning in warnings)
    references = load_references(Clip(shots, source / "true"), scene.video, tmp_path)
    np.testing.assert_array_equal(references.frames, frames_of(scene.root))


def test_capture_and_evaluation_find_a_photographs_matte_by_its_name(source: Path, tmp_path: Path) -> None:
    """A damaged photograph has a matte, too, and so has one that is not there."""
    shots, mattes = shutil.copytree(source / "shots", tmp_path / "shots"), tmp_path / "mattes"
    (shots / "IMG_4.png").write_bytes(b"")
    mattes.mkdir()
    Image.new("L", (54, 96)).save(mattes / "IMG_0.png")
    for number, path in enumerate(sorted((source / "true").iterdir()), 1):
        shutil.copy(path, mattes / f"IMG_{number}.png")
    scene = ingest(shots, CaptureOptions(mattes=mattes), tmp_path / "scene")
    whole = ingest(source / "shots", CaptureOptions(mattes=source / "true"), tmp_path / "whole")
    own = load_mattes(whole.root / "mattes")[[number for number in range(FRAMES) if number != 3]]
    np.testing.assert_array_equal(load_mattes(scene.root / "mattes"), own)
    np.testing.assert_allclose(load_references(Clip(shots, mattes), scene.video, tmp_path).mattes, own, atol=1)


def test_a_clip_that_is_nearly_all_damaged_says_why_it_is_short(shared: Path, tmp_path: Path) -> None:
    corrupt = shared / "cases/damaged/corrupt.mp4"
    if not corrupt.is_file():
        pytest.skip("no small clips of strangers (shared/cases/)")
    with pytest.raises(CaptureError, match="2-frame clip.*frames 2-18 of the video are damaged and left out"):
        ingest(corrupt, CaptureOptions(), tmp_path / "scene")


def test_evaluation_reads_the_frames_that_capture_read(source: Path, tmp_path: Path) -> None:
    """Of the stream that is the video, every second frame, at the bundle's size."""
    Image.new("RGB", (640, 480), "red").save(tmp_path / "cover.jpg")
    covered = tmp_path / "covered.mp4"
    ffmpeg("-i", tmp_path / "cover.jpg", "-i", source / "relic.mp4", "-map", 0, "-map", 1, "-c", "copy",
           "-disposition:v:0", "attached_pic", covered)  # fmt: skip
    clip, found = open_clip(covered, every=2), Findings()
    (tmp_path / "frames").mkdir()
    files = frame_files.extract(clip, tmp_path / "frames", (54, 96), lambda done, total: None)
    references = load_references(Clip(covered, source / "true"), Video("", 54, 96, len(files), clip.rate, ""), tmp_path)
    np.testing.assert_array_equal(references.frames, [np.asarray(Image.open(path)) for path in files])
    list(clip.frames(findings=found))
    for number, matte in zip(found.numbers, references.mattes, strict=True):
        truth = Image.open(sorted((source / "true").iterdir())[number]).convert("L").resize((54, 96), Image.Resampling.BOX)
        np.testing.assert_array_equal(matte, np.asarray(truth))


ODD_NAMES = [
    os.fsdecode(name)
    for name in (b"caf\xe9", b"\xff\xfe", b"2024-11-14T22:57:44", b"100 %d", b"-dash", b"--every", b"x" * 249, b"\xe9" * 249)
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_clip_of_any_name(name: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    video = Path(f"{name}.mp4")
    shutil.copy(source / "relic.mp4", video)
    scene = ingest(video, CaptureOptions(mattes=source / "true"))
    assert scene.video.name.endswith(".mp4") and scene.root.resolve().parent == tmp_path
    assert len(scene.video.name.encode()) <= len(os.fsencode(name)) + 4  # it names the run's folder, too
    before = (scene.root / "scene.json").stat().st_mtime_ns
    assert ingest(video, CaptureOptions(mattes=source / "true")).root == scene.root
    assert (scene.root / "scene.json").stat().st_mtime_ns == before
    with pytest.raises(BundleError):  # so the scene beside the clip was found
        Evaluate(video, (video,), Path("report"), peers=()).run()


@pytest.mark.parametrize("name", ODD_NAMES)
def test_photographs_and_scene_of_any_name(name: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shots = shutil.copytree(source / "shots", Path(name))
    scene = ingest(shots, CaptureOptions(mattes=source / "true"), Path(f"{name}.scene"))
    assert Scene.load(scene.root).video == scene.video and scene.video.frames == FRAMES
    parser = ObjectVideoDataParserConfig(data=scene.root).setup()
    assert len(parser.get_dataparser_outputs("train").image_filenames) == FRAMES


def test_photographs_and_their_mattes_are_in_one_order(source: Path, tmp_path: Path) -> None:
    shots, mattes = tmp_path / "shots", tmp_path / "mattes"
    shots.mkdir()
    mattes.mkdir()
    for index, path in enumerate(sorted((source / "true").iterdir())):
        shutil.copy(source / "shots" / f"IMG_{index + 1}.png", shots / f"turn_{index - 7}.png")
        shutil.copy(path, mattes / f"turn_{index - 7}.png")
    scene = ingest(shots, CaptureOptions(mattes=mattes), tmp_path / "scene")
    whole = ingest(source / "shots", CaptureOptions(mattes=source / "true"), tmp_path / "whole")
    np.testing.assert_array_equal(frames_of(scene.root), frames_of(whole.root))
    np.testing.assert_array_equal(load_mattes(scene.root / "mattes"), load_mattes(whole.root / "mattes"))


def test_evaluation_says_what_is_no_clip(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no file fits it"):
        Evaluate(tmp_path / "*.png", (tmp_path / "a.nsem",), tmp_path / "out", peers=()).run()
