"""Frames go to files and come back."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from nerfsem_method.errors import OutputError
from nerfsem_method.media.annexb import H264, lean_stream, nal_units
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.media.video import write_png_folder, write_video


def frames(count: int, height: int = 48, width: int = 32) -> list[np.ndarray]:
    y, x = np.mgrid[:height, :width]
    return [np.stack([x * 4 + 3 * i, y * 3, np.full_like(x, 128)], -1).astype(np.uint8) for i in range(count)]


def test_an_mp4_is_visually_lossless_and_complete(tmp_path):
    target = tmp_path / "new folder" / "out.mp4"
    assert write_video(target, frames(5), Fraction(30000, 1001)) == 5
    back = [frame.rgb for frame in open_clip(target).frames()]
    assert len(back) == 5
    assert np.abs(np.array(back).astype(int) - np.array(frames(5))).mean() < 4
    assert [entry.name for entry in target.parent.iterdir()] == ["out.mp4"]


def test_odd_sizes_gain_a_repeated_edge(tmp_path):
    write_video(tmp_path / "odd.mp4", frames(2, 31, 17), Fraction(10))
    clip = open_clip(tmp_path / "odd.mp4")
    assert (clip.width, clip.height) == (18, 32)


def test_a_failing_source_leaves_the_old_file_and_no_rubbish(tmp_path):
    target = tmp_path / "out.mp4"
    write_video(target, frames(3), Fraction(30))
    precious = target.read_bytes()

    def failing():
        yield from frames(2)
        raise RuntimeError("rendering failed")

    with pytest.raises(RuntimeError, match="rendering failed"):
        write_video(target, failing(), Fraction(30))
    assert target.read_bytes() == precious
    assert list(tmp_path.iterdir()) == [target]


def test_png_folders_are_exact_and_replace_their_like(tmp_path):
    folder = tmp_path / "out"
    write_png_folder(folder, frames(4))
    rgba = [np.dstack([frame, frame[..., 0]]) for frame in frames(2)]
    assert write_png_folder(folder, rgba, start=7) == 2
    assert sorted(entry.name for entry in folder.iterdir()) == ["000007.png", "000008.png"]
    np.testing.assert_array_equal(np.asarray(Image.open(folder / "000008.png")), rgba[1])


def test_outputs_that_cannot_be_written_are_named_before_any_work(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    def never():
        raise AssertionError("a frame was asked for")
        yield

    for path in (tmp_path / "mine", tmp_path / "file"):
        with pytest.raises(OutputError):
            write_png_folder(path, never())
    with pytest.raises(OutputError):
        write_video(tmp_path / "file" / "out.mp4", never(), Fraction(30))
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_a_lean_stream_has_no_sei_and_each_header_once():
    sps, pps, sei, slice_ = b"\x67abc", b"\x68d", b"\x06info", b"\x65data"
    stream = b"".join(b"\x00\x00\x00\x01" + unit for unit in (sps, pps, sei, slice_, sps, pps, slice_))
    assert nal_units(lean_stream(stream, H264)) == [sps, pps, slice_, slice_]
