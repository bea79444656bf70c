"""These tests say which ready-made mattes are accepted, and what is said about the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nerfsem_method.capture.mattes.given import check_coverage, copy_mattes, load_mattes
from nerfsem_method.errors import CaptureError
from nerfsem_method.media.naming import Naming

SIZE = (40, 60)


def disc(width: int, height: int) -> np.ndarray:
    """Return a matte of an ellipse in the middle of the frame."""
    rows, columns = np.mgrid[:height, :width]
    return np.where((columns / width - 0.5) ** 2 + (rows / height - 0.5) ** 2 < 0.09, 255, 0).astype(np.uint8)


def folder_of(path: Path, count: int, size: tuple[int, int] = SIZE, mode: str = "L", suffix: str = "png") -> Path:
    """Write a folder of mattes."""
    path.mkdir()
    for index in range(count):
        matte = Image.fromarray(disc(*size))
        if mode == "RGBA":
            picture = Image.new("RGBA", size, (10, 200, 30, 0))
            picture.putalpha(matte)
            matte = picture
        matte.save(path / f"m{index}.{suffix}")
    return path


def copied(source: Path, tmp_path: Path, count: int) -> np.ndarray:
    """Return the mattes of a folder as a capture takes them over."""
    target = tmp_path / "target"
    target.mkdir()
    copy_mattes(source, target, Naming(range(count)), SIZE, lambda done, total: None)
    return load_mattes(target)


def test_mattes_of_the_right_size_are_kept_as_they_are(tmp_path: Path) -> None:
    mattes = copied(folder_of(tmp_path / "m", 3), tmp_path, 3)
    assert mattes.shape == (3, 60, 40)
    assert np.array_equal(mattes[2], disc(*SIZE))


def test_mattes_of_another_scale_are_resized(tmp_path: Path) -> None:
    mattes = copied(folder_of(tmp_path / "m", 2, (80, 120)), tmp_path, 2)
    assert mattes.shape == (2, 60, 40)
    assert np.abs(mattes[0].astype(int) - disc(*SIZE)).mean() < 5
    assert ((mattes > 0) & (mattes < 255)).any()  # the edge is soft


def test_alpha_is_the_matte_where_there_is_one(tmp_path: Path) -> None:
    mattes = copied(folder_of(tmp_path / "m", 1, mode="RGBA"), tmp_path, 1)
    assert np.array_equal(mattes[0], disc(*SIZE))


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    deep = np.zeros((60, 40), np.uint16)
    deep[20:40] = 65535
    Image.fromarray(deep).save(tmp_path / "m" / "0.png")
    assert (copied(tmp_path / "m", tmp_path, 1) == deep // 257).all()


@pytest.mark.parametrize("count", [2, 4])
def test_a_wrong_number_says_both_numbers(tmp_path: Path, count: int) -> None:
    with pytest.raises(CaptureError, match=f"{count} mattes.*3 frames"):
        copied(folder_of(tmp_path / "m", count), tmp_path, 3)


def test_another_shape_says_both_shapes(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="60x40.*40x60"):
        copied(folder_of(tmp_path / "m", 2, (60, 40)), tmp_path, 2)


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    folder_of(tmp_path / "m", 2)
    (tmp_path / "m" / "m1.png").write_bytes(b"not a picture")
    with pytest.raises(CaptureError, match=r"m1\.png"):
        copied(tmp_path / "m", tmp_path, 2)


def test_an_empty_or_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no folder"):
        copied(tmp_path / "nowhere", tmp_path, 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "target").rmdir()
    with pytest.raises(CaptureError, match="no images"):
        copied(tmp_path / "empty", tmp_path, 1)


def test_no_object_is_an_error_and_few_empty_frames_are_not() -> None:
    mattes = np.zeros((10, 60, 40), np.uint8)
    with pytest.raises(CaptureError, match="no object found"):
        check_coverage(mattes)
    mattes[2:, 20:40, 10:30] = 255
    assert check_coverage(mattes)[5] == pytest.approx(400 / 2400)
