"""Every sound frame of a clip is written once, at the size asked for, with what was found out about it."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from make_clips import pattern
from PIL import Image

from nerfsem_method.capture.clip.frames import extract, parse_scale, read_findings
from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.door import open_clip


def decode(video: Path, target: Path, size: tuple[int, int] | None = None) -> list[Path]:
    """Write the frames of a clip into a new folder."""
    clip = open_clip(video)
    target.mkdir()
    return extract(clip, target, size or (clip.width, clip.height), lambda done, total: None)


def test_the_sample_clip_gives_its_sixty_frames(vase_video: Path, tmp_path: Path) -> None:
    clip = open_clip(vase_video)
    assert (clip.width, clip.height, clip.rate, clip.announced) == (270, 480, Fraction(15), 60)
    frames = decode(vase_video, tmp_path / "frames", (54, 96))
    assert [path.name for path in frames] == [f"{i:06d}.png" for i in range(60)]
    assert Image.open(frames[0]).size == (54, 96)


def test_files_hold_the_very_pixels(tmp_path: Path) -> None:
    video = pattern(tmp_path / "a.mp4", 9)
    for path, frame in zip(decode(video, tmp_path / "frames"), open_clip(video).frames(), strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(path)), frame.rgb)


def test_progress_counts_frames(tmp_path: Path) -> None:
    video = pattern(tmp_path / "a.mp4", 12)
    told: list[tuple[int, int]] = []
    (tmp_path / "frames").mkdir()
    extract(open_clip(video), tmp_path / "frames", (64, 48), lambda done, total: told.append((done, total)))
    assert told[0] == (1, 12) and told[-1] == (12, 12)


def test_findings_lie_beside_the_frames(tmp_path: Path) -> None:
    uneven = "setpts='if(lt(N,6),N,N*4)/(10*TB)'"
    video = pattern(tmp_path / "vfr.mkv", 9, "-vf", uneven, "-fps_mode", "vfr")
    decode(video, tmp_path / "frames")
    found = read_findings(tmp_path / "frames")
    assert (found.numbers, found.total, found.damaged) == (list(range(9)), 9, {})
    np.testing.assert_allclose(found.times, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 2.4, 2.8, 3.2], atol=2e-3)


def test_a_picture_without_alpha_among_cut_outs_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    cut_out = np.full((48, 64, 4), 200, np.uint8)
    cut_out[:, :20, 3] = 0
    for number in range(10):
        Image.fromarray(cut_out[..., :3] if number in (3, 7) else cut_out).save(folder / f"{number}.png")
    decode(folder, tmp_path / "frames")
    (said,) = read_findings(tmp_path / "frames").remarks
    assert said.startswith("3.png, 7.png have no alpha channel") and not (tmp_path / "frames" / "alpha").exists()


def opaque_but(folder: Path, corner: int, alpha: int) -> Path:
    """Return a folder of pictures that are opaque but for a corner of so many pixels each way."""
    folder.mkdir()
    for number in range(10):
        picture = np.full((48, 64, 4), 255, np.uint8)
        picture[..., :3] = 10 * number
        picture[:corner, :corner, 3] = alpha
        Image.fromarray(picture).save(folder / f"{number}.png")
    return folder


def test_alpha_that_leaves_out_next_to_nothing_is_not_heeded(tmp_path: Path) -> None:
    """Erasers leave single pixels of 254, screenshots of a window have round corners."""
    for name, corner, alpha, said in (("eraser", 1, 254, 0), ("window", 4, 0, 1), ("object", 40, 0, 0)):
        decode(opaque_but(tmp_path / name, corner, alpha), tmp_path / f"{name}-frames")
        assert (tmp_path / f"{name}-frames" / "alpha").exists() == (name == "object")
        remarks = read_findings(tmp_path / f"{name}-frames").remarks
        assert len(remarks) == said and all("leaves out next to nothing" in remark for remark in remarks)


def test_odd_sizes_and_awkward_paths_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "100 % relic's"
    folder.mkdir()
    video = pattern(tmp_path / "a.mkv", 8, "-vf", "scale=65:49", "-pix_fmt", "yuv444p").rename(folder / "clip %03d.mkv")
    frames = decode(video, folder / "frames %d")
    assert len(frames) == 8
    assert Image.open(frames[0]).size == (65, 49)


def test_a_long_clip_is_never_in_the_memory_as_a_whole(tmp_path: Path) -> None:
    video = pattern(tmp_path / "a.mp4", 60, "-preset", "ultrafast", size="640x480")
    tracemalloc.start()
    try:
        assert len(decode(video, tmp_path / "frames")) == 60
        assert tracemalloc.get_traced_memory()[1] < 20 * 640 * 480 * 3
    finally:
        tracemalloc.stop()


def test_a_full_disk_is_no_silent_loss(tmp_path: Path) -> None:
    video = pattern(tmp_path / "a.mp4", 9)
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "000004.png").mkdir()  # no file can be written there
    with pytest.raises(OSError):
        extract(open_clip(video), tmp_path / "frames", (64, 48), lambda done, total: None)


def test_a_short_clip_says_how_short_and_what_made_it_so(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="short.mp4 is a 3-frame clip; at least 8 frames around the object are needed$"):
        decode(pattern(tmp_path / "short.mp4", 3), tmp_path / "frames")
    with pytest.raises(CaptureError, match="long.mp4 is a 2-frame clip.*; leave --every 6 out, or take a smaller number"):
        extract(open_clip(pattern(tmp_path / "long.mp4", 12), 6), tmp_path / "frames", (64, 48), lambda done, total: None)


def test_a_damaged_video_is_not_a_traceback(tmp_path: Path) -> None:
    video = pattern(tmp_path / "a.mp4", 30)
    data = video.read_bytes()
    video.write_bytes(data[: len(data) // 2])
    with pytest.raises(CaptureError, match="its index is missing"):
        decode(video, tmp_path / "frames")


@pytest.mark.parametrize("scale", ["270", "270x480", "0:480", "-1:480", "a:b"])
def test_a_wrong_scale_is_explained(scale: str) -> None:
    with pytest.raises(CaptureError, match="W:H"):
        parse_scale(scale, (540, 960))


def test_a_scale_is_width_then_height() -> None:
    assert parse_scale("270:480", (540, 960)) == (270, 480)
    assert parse_scale("101:179", (540, 960)) == (101, 179)


def test_a_scale_that_squashes_is_refused() -> None:
    with pytest.raises(CaptureError, match="--scale 480:270 would squash pictures of 270x480; give their shape, as in 270:480"):
        parse_scale("480:270", (270, 480))
