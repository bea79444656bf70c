"""`nerfsem capture` says in one line what is wrong, before any structure from motion, and sums up at the end."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from nerfsem_method.capture import ingest
from nerfsem_method.capture.cameras import poses
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.capture.report.figures import Report
from nerfsem_method.cli import main
from nerfsem_method.cli.capture import Capture


@pytest.fixture(autouse=True)
def no_cameras(monkeypatch):
    monkeypatch.setattr(poses, "solve", lambda *_: pytest.fail("structure from motion was run"))


@pytest.fixture
def short_clip(tmp_path) -> Path:
    path = tmp_path / "short.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=15)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for level in (0, 100, 200):
            picture = np.full((64, 64, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def refused(capture: Capture, capsys) -> str:
    """Return the one line that the command prints when it refuses."""
    assert main.run(capture) == 2
    output = capsys.readouterr()
    assert output.err.count("\n") == 1 and output.err.startswith("nerfsem: error: ")
    return output.err


def test_a_missing_video(tmp_path, capsys):
    assert "nowhere.mp4" in refused(Capture(tmp_path / "nowhere.mp4", tmp_path / "scene"), capsys)
    assert not (tmp_path / "scene").exists()


def test_an_empty_folder_is_no_clip(tmp_path, capsys):
    assert "holds no photographs" in refused(Capture(tmp_path, tmp_path / "scene"), capsys)


def test_a_text_is_no_video(tmp_path, capsys):
    (tmp_path / "text.mp4").write_text("not a video")
    assert "not a video" in refused(Capture(tmp_path / "text.mp4", tmp_path / "scene"), capsys)


def test_three_frames_are_too_few(short_clip, tmp_path, capsys):
    assert "3-frame clip" in refused(Capture(short_clip, tmp_path / "scene"), capsys)


@pytest.mark.parametrize(
    ("box", "complaint"),
    [
        ("10,10,5", "give x,y,w,h"),
        ("0,0,5000,10", "does not lie in"),
        ("0,0,20,20@60", "--object-box names 60, which is none of the frames taken, from frame 0 to frame 59"),
    ],
)
def test_a_box_that_is_none(vase_video, tmp_path, capsys, box, complaint):
    options = CaptureOptions(scale="36:64", object_box=box)
    assert complaint in refused(Capture(vase_video, tmp_path / "scene", options), capsys)


def test_hints_for_another_segmenter(vase_video, vase_mattes, tmp_path, capsys):
    hints = CaptureOptions(vase_mattes, keep_support=True), CaptureOptions(vase_mattes, object_box="0,0,20,20")
    for options in hints:
        assert "--segmenter classical" in refused(Capture(vase_video, tmp_path / "scene", options), capsys)


def test_mattes_and_who_should_make_them(vase_video, vase_mattes, tmp_path, capsys):
    for options in (CaptureOptions(vase_mattes, "birefnet"), CaptureOptions(vase_mattes, segmenter_weights=tmp_path / "weights")):
        assert "exclude each other" in refused(Capture(vase_video, tmp_path / "scene", options), capsys)


def test_a_bad_scale(vase_video, tmp_path, capsys):
    options = CaptureOptions(scale="270x480")
    assert "--scale 270x480" in refused(Capture(vase_video, tmp_path / "scene", options), capsys)


def test_mattes_must_be_as_many_as_frames(vase_video, vase_mattes, tmp_path, capsys):
    few = tmp_path / "mattes"
    few.mkdir()
    for path in sorted(vase_mattes.glob("*.png"))[:7]:
        shutil.copy(path, few)
    message = refused(Capture(vase_video, tmp_path / "scene", CaptureOptions(mattes=few, scale="36:64")), capsys)
    assert "7 mattes" in message and "60 frames" in message


def test_mattes_must_exist(vase_video, tmp_path, capsys):
    options = CaptureOptions(mattes=tmp_path / "none", scale="36:64")
    assert "no folder of mattes" in refused(Capture(vase_video, tmp_path / "scene", options), capsys)


def test_the_scene_folder_must_be_writable(vase_video, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert "cannot be written" in refused(Capture(vase_video, tmp_path / "file" / "scene"), capsys)


def test_somebody_elses_folder_is_left_alone(vase_video, tmp_path, capsys):
    (tmp_path / "letter.txt").write_text("dear")
    assert "holds other files" in refused(Capture(vase_video, tmp_path), capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_capture_is_summed_up(vase_copy, monkeypatch, capsys):
    coverage = [0.1] + [0.12] * 10 + [0.15]
    report = Report(12, [4], "frame", 3, 0.42, 280.5, 900, 355.0, coverage, [0.5] * 12, ["frame 4 is interpolated"])
    report.save(vase_copy.root)
    monkeypatch.setattr(ingest, "ingest", lambda *_: vase_copy)
    Capture(Path("vase.mp4"), vase_copy.root).run()
    text = capsys.readouterr().out
    for fact in (
        str(vase_copy.root),
        "11 registered, 1 interpolated",
        "0.42 pixels",
        "280.5",
        "12.0 %",
        "355 of 360",
        "warning",
        "report.html",
    ):
        assert fact in text


def test_flags_have_no_prefix(vase_video, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(Capture, "run", lambda self: seen.append(self))
    flags = ["--mattes", "m", "--segmenter", "birefnet", "--segmenter-weights", "w", "--scale", "1:2"]
    flags += ["--keep-support", "--object-box", "1,2,3,4@5", "--sfm-region", "object"]
    monkeypatch.setattr(sys, "argv", ["nerfsem", "capture", str(vase_video), str(tmp_path), *flags])
    with pytest.raises(SystemExit) as stopped:
        main.main()
    assert stopped.value.code == 0
    options = CaptureOptions(Path("m"), "birefnet", Path("w"), "1:2", True, "1,2,3,4@5", "object")
    assert seen == [Capture(vase_video, tmp_path, options)]
