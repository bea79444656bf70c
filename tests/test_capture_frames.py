"""Every frame is decoded once, upright, at the size asked for; and something is said about files that do not decode."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from nerfsem_method.capture.clip.frames import extract, parse_scale, probe
from nerfsem_method.errors import CaptureError


def ffmpeg(*arguments: str | Path) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def pattern(path: Path, frames: int, *options: str | Path) -> Path:
    """Write a clip of 64x48 in which every frame differs."""
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10", "-frames:v", str(frames), "-pix_fmt", "yuv420p", *options, path)
    return path


def decode(video: Path, target: Path, size: tuple[int, int] | None = None) -> list[Path]:
    """Write the frames of a video into a new folder."""
    facts = probe(video)
    target.mkdir()
    return extract(video, facts, target, size or (facts.width, facts.height), lambda done, total: None)


def test_the_sample_clip_gives_its_sixty_frames(vase_video: Path, tmp_path: Path) -> None:
    facts = probe(vase_video)
    assert (facts.width, facts.height, facts.rate, facts.announced) == (270, 480, Fraction(15), 60)
    frames = decode(vase_video, tmp_path / "frames", (54, 96))
    assert [path.name for path in frames] == [f"{i:06d}.png" for i in range(60)]
    assert Image.open(frames[0]).size == (54, 96)


def test_progress_counts_frames(tmp_path: Path) -> None:
    video = pattern(tmp_path / "a.mp4", 12)
    told: list[tuple[int, int]] = []
    (tmp_path / "frames").mkdir()
    extract(video, probe(video), tmp_path / "frames", (64, 48), lambda done, total: told.append((done, total)))
    assert told[-1] == (12, 12)


def test_uneven_timestamps_neither_double_nor_drop_frames(tmp_path: Path) -> None:
    uneven = "setpts='if(lt(N,6),N,N*4)/(10*TB)'"
    video = pattern(tmp_path / "vfr.mkv", 12, "-vf", uneven, "-fps_mode", "vfr")
    assert len(decode(video, tmp_path / "frames")) == 12


def test_rotation_is_applied(tmp_path: Path) -> None:
    plain = pattern(tmp_path / "plain.mp4", 8)
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", "90", "-i", plain, "-c", "copy", turned)
    assert (probe(turned).width, probe(turned).height) == (48, 64)
    upright = np.asarray(Image.open(decode(turned, tmp_path / "turned")[0]), int)
    original = np.asarray(Image.open(decode(plain, tmp_path / "plain")[0]), int)
    assert np.abs(upright - np.rot90(original)).mean() < 2


def test_odd_sizes_and_awkward_paths_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "100 % relic's"
    folder.mkdir()
    video = pattern(folder / "clip %03d.mp4", 8, "-vf", "scale=65:49", "-pix_fmt", "yuv444p")
    frames = decode(video, folder / "frames")
    assert len(frames) == 8
    assert Image.open(frames[0]).size == (65, 49)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"nothing\.mp4 does not exist"):
        probe(tmp_path / "nothing.mp4")
    with pytest.raises(CaptureError, match="is not a file"):
        probe(tmp_path)


def test_a_text_file_is_not_a_video(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("a vase\n" * 100)
    with pytest.raises(CaptureError, match="is not a video"):
        probe(tmp_path / "notes.mp4")


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", tmp_path / "sound.wav")
    with pytest.raises(CaptureError, match="no video stream"):
        probe(tmp_path / "sound.wav")


def test_a_short_clip_says_how_short(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="3-frame clip"):
        decode(pattern(tmp_path / "short.mp4", 3), tmp_path / "frames")


def test_high_dynamic_range_is_refused_by_name(tmp_path: Path) -> None:
    video = pattern(tmp_path / "hdr.mp4", 8, "-vf", "setparams=color_trc=arib-std-b67")
    with pytest.raises(CaptureError, match="HLG"):
        probe(video)


def test_a_damaged_video_is_not_a_traceback(tmp_path: Path) -> None:
    video = pattern(tmp_path / "a.mp4", 30)
    data = video.read_bytes()
    video.write_bytes(data[: len(data) // 2])
    with pytest.raises(CaptureError):
        decode(video, tmp_path / "frames")


@pytest.mark.parametrize("scale", ["270", "270x480", "0:480", "-1:480", "a:b"])
def test_a_wrong_scale_is_explained(scale: str) -> None:
    with pytest.raises(CaptureError, match="W:H"):
        parse_scale(scale)


def test_a_scale_is_width_then_height() -> None:
    assert parse_scale("270:480") == (270, 480)
