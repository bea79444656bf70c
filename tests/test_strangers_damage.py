"""H.265 whose data are damaged is noticed by its pictures, because its decoder says nothing; sound pictures never are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from make_clips import ffmpeg, pictures

from nerfsem_method.media.clip.blocks import BROKEN, Blocks
from nerfsem_method.media.clip.clip import Findings
from nerfsem_method.media.clip.door import open_clip

H265 = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-threads", "1", "-movflags", "+faststart")


def film(source: Path, target: Path, *options: str, crf: int = 20, keyint: int = 6) -> Path:
    """Write twelve frames of a clip as H.265 and return the new file."""
    how = ("-crf", str(crf), "-x265-params", f"keyint={keyint}:log-level=none:pools=1:frame-threads=1")
    ffmpeg("-i", source, "-frames:v", "12", *options, *H265, *how, target)
    return target


def damaged(film: Path, target: Path, share: float) -> Path:
    """Write a file of which forty bytes, at this share of its length, are others."""
    data = bytearray(film.read_bytes())
    start = int(share * len(data))
    data[start : start + 40] = np.random.default_rng(1).integers(0, 256, 40, np.uint8).tobytes()
    target.write_bytes(data)
    return target


def read(clip: Path) -> tuple[list[np.ndarray], Findings]:
    """Return a clip's frames and what was found out about it."""
    findings = Findings()
    return [frame.rgb for frame in open_clip(clip).frames(None, findings)], findings


@pytest.mark.parametrize("share", [0.35, 0.6])
def test_broken_pictures_of_h265_are_left_out_and_named(share: float, vase_video: Path, tmp_path: Path) -> None:
    sound = film(vase_video, tmp_path / "sound.mp4")
    whole = pictures(sound)
    kept, findings = read(damaged(sound, tmp_path / "damaged.mp4", share))
    assert BROKEN in findings.damaged.values() and any("damaged and left out" in remark for remark in findings.remarks)
    for number, picture in zip(findings.numbers, kept, strict=True):
        off = np.abs(picture.astype(int) - whole[number]).mean(2)[:, :264].reshape(60, 8, 33, 8).mean((1, 3))
        assert (off > 15).mean() < 0.08


SOUND = {
    "coarse": ((), 45),
    "in black bars": (("-vf", "pad=400:640:64:80"), 30),
    "enlarged": (("-vf", "scale=34:60:flags=area,scale=272:480:flags=neighbor"), 20),
    "faded in": (("-vf", "fade=in:0:10"), 38),
}


@pytest.mark.parametrize("kind", SOUND)
def test_sound_h265_is_whole(kind: str, vase_video: Path, tmp_path: Path) -> None:
    options, crf = SOUND[kind]
    kept, findings = read(film(vase_video, tmp_path / "sound.mp4", *options, crf=crf))
    assert len(kept) == 12 and not findings.damaged and not findings.remarks


def test_a_broken_picture_is_seen_beside_its_sound_key_frame() -> None:
    from av import VideoFrame

    rng = np.random.default_rng(0)
    smooth = np.repeat(np.linspace(40, 200, 128), 96).reshape(128, 96) + rng.normal(0, 3, (128, 96))
    broken = smooth + np.kron(rng.integers(-60, 60, (16, 12)) * (rng.random((16, 12)) < 0.2), np.ones((8, 8)))
    blocks = Blocks()
    shown = (VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), "gray") for picture in (smooth, broken))
    assert [blocks.complaint(frame) for frame in shown] == ["", BROKEN]
