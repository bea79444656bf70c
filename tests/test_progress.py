"""Long work tells how far it is where output is no terminal, too, says beforehand how long it takes, and keeps a log."""

from __future__ import annotations

import io
import threading
from fractions import Fraction
from pathlib import Path

import pytest

from nerfsem_method import log, progress
from nerfsem_method.capture import ingest as ingest_module
from nerfsem_method.capture.clip import frames as frame_files
from nerfsem_method.capture.estimate import LONG, announcement
from nerfsem_method.capture.ingest import ingest
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.errors import NerfsemError
from nerfsem_method.media.clip.photographs import PhotographClip
from nerfsem_method.progress import clock, progress_bar, track


class Listener(io.StringIO):
    """A stream that is no terminal hears lines, and lets others wait for the first one."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.Event()

    def write(self, text: str) -> int:
        """Hear a text."""
        self.heard.set()
        return super().write(text)


def test_a_stage_without_a_terminal_is_heard_of_while_it_works(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS", 0.01)
    stream = Listener()
    with progress_bar("cameras (COLMAP)", stream) as advance:
        advance(1, 4, "a fact")
        assert stream.heard.wait(30)
    first, last = stream.getvalue().splitlines()[:: len(stream.getvalue().splitlines()) - 1]
    assert first.startswith("cameras (COLMAP)") and " elapsed" in first
    assert "100 %" in last and "a fact" in last


def test_a_stage_that_fails_does_not_claim_to_be_done():
    stream = io.StringIO()
    with pytest.raises(NerfsemError), progress_bar("mattes", stream) as advance:
        advance(3, 4)
        raise NerfsemError("no object")
    assert stream.getvalue() == ""


class Gone(io.StringIO):
    """A listener has gone."""

    def write(self, text: str) -> int:
        """Refuse a text."""
        raise BrokenPipeError(32, "Broken pipe")


def test_items_are_counted_and_a_listener_that_has_gone_is_no_error():
    stream = io.StringIO()
    assert list(track("abc", "decoding", 3, stream)) == ["a", "b", "c"]
    assert stream.getvalue().splitlines() == ["decoding                 100 %  0:00 elapsed"]
    assert list(track("abc", "decoding", 3, Gone())) == ["a", "b", "c"]


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (42, "0:42"), (725, "12:05"), (3723, "1:02:03")])
def test_times_are_written_as_clocks_show_them(seconds, text):
    assert clock(seconds) == text


# long clips -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("frames", "every"), [(301, 2), (900, 3), (3000, 10)])
def test_a_long_clip_is_told_with_its_frames_its_time_and_what_to_do(frames, every):
    line = announcement(frames, (3840, 2160))
    assert line is not None and line.startswith(f"{frames} frames of 3840 x 2160: roughly ")
    assert "minutes" in line and "GB of disk" in line and f"--every {every} takes one in {every}" in line
    assert announcement(-(-frames // every), (1920, 1080)) is None


def test_a_clip_of_large_frames_is_told_with_a_size_that_does():
    line = announcement(24, (5472, 3648))
    assert line is not None and line.startswith("24 frames of 5472 x 3648: roughly 4 minutes ")
    assert "--scale 1225:816 " in line and "--every" not in line
    assert announcement(24, (1225, 816)) is None


def test_a_clip_of_usual_length_is_not():
    assert announcement(LONG, (1920, 1080)) is None


def test_what_is_to_do_counts_the_frames_that_are_left_out_already():
    line = announcement(450, (1920, 1080), every=2)
    assert line is not None and line.startswith("450 frames of") and "--every 4 takes one in 4" in line


def test_it_is_told_before_the_first_frame(tmp_path, monkeypatch, capsys):
    video = tmp_path / "long.mp4"
    video.write_bytes(b"film")

    def extract(*_: object) -> list[Path]:
        assert "3000 frames of 68 x 120" in capsys.readouterr().out
        raise NerfsemError("so far, so good")

    clip = PhotographClip(video, 1, 68, 120, Fraction(30), 3000, (video,), sizes=((68, 120),), notes=(), focal_lengths=())
    monkeypatch.setattr(ingest_module, "open_clip", lambda path, every: clip)
    monkeypatch.setattr(frame_files, "extract", extract)
    with pytest.raises(NerfsemError, match="so far, so good"):
        ingest(video, CaptureOptions())


# the log --------------------------------------------------------------------------------------------------------------


def test_a_log_holds_the_command_the_versions_stages_and_how_it_ended(tmp_path):
    with log.kept_in(tmp_path) as path, progress_bar("frames", io.StringIO()):
        assert log.see() == f"; see {path}"
    with pytest.raises(NerfsemError), log.kept_in(tmp_path):
        raise NerfsemError("no\nobject")
    told = path.read_text().splitlines()
    ends = [line.partition("  ")[2] for line in told]
    assert ends[0].startswith("begins: ") and "numpy" in ends[1] and ends[2] == "frames: begins"
    assert ends[3].startswith("frames: done in") and ends[4] == "ends well"
    assert ends[-1] == "ends: no object"  # a second command goes on in the same log
    assert log.see() == ""


def test_a_log_that_cannot_be_written_is_no_reason_to_stop(tmp_path):
    (tmp_path / log.NAME).mkdir()
    with log.kept_in(tmp_path):
        log.LOG.info("the work goes on")
