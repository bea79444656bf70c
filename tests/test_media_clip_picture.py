"""A photograph is what its bytes say, whatever its name; it is damaged where pixels are missing, and only there."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.media.clip.picture import read_picture

SIZE = (64, 48)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
"""A HEIC file begins with this."""


def jpeg(**options) -> bytes:
    """Return a JPEG file, in which no two blocks are alike."""
    few = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    picture = Image.fromarray(few).resize(SIZE, Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return file.getvalue()


KINDS = {
    "plain": {},
    "fine": {"quality": 97, "subsampling": 0},
    "progressive": {"progressive": True},
    "with restarts": {"restart_marker_rows": 1},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_that_lacks_its_end_marker_alone_is_sound(missing: int, kind: str, tmp_path: Path) -> None:
    whole = jpeg(**KINDS[kind])
    (tmp_path / "a.jpg").write_bytes(whole[:-missing])
    found = read_picture(tmp_path / "a.jpg")
    assert not found.damage
    assert np.array_equal(found.rgb, np.asarray(Image.open(io.BytesIO(whole))))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [4, 8, 20, 100, 500])
def test_a_jpeg_that_lacks_pixels_is_damaged(missing: int, kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(**KINDS[kind])[:-missing])
    assert read_picture(tmp_path / "a.jpg").damage


def test_a_jpeg_without_its_end_still_lies_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    (tmp_path / "a.jpg").write_bytes(jpeg(exif=exif)[:-2])
    assert read_picture(tmp_path / "a.jpg").rgb.shape == (SIZE[0], SIZE[1], 3)


@pytest.mark.parametrize(("name", "words"), [("IMG_1.HEIC", "IMG_1.HEIC is"), ("a.jpg", r"a.jpg \(in spite of its name\) is")])
def test_a_heic_photograph_without_the_library_is_refused_with_the_remedy(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / name).write_bytes(HEIC)
    with pytest.raises(CaptureError, match=f"{words} a HEIC photograph.*pip install pillow-heif") as refused:
        open_clip(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["IMG_1.HEIC", "IMG_1.jpg"])
def test_a_heic_photograph_is_read_where_the_library_is(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def register() -> None:
        made: Any = lambda file, named: Image.new("RGB", SIZE, (70, 70, 70))  # noqa: E731
        Image.register_open("HEIF", made, lambda start: start[4:8] == b"ftyp")

    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(register_heif_opener=register))
    (tmp_path / name).write_bytes(HEIC)
    assert [frame.rgb.mean() for frame in open_clip(tmp_path).frames()] == [70]


@pytest.mark.parametrize("kind", ["JPEG", "AVIF"])
def test_what_is_no_heic_in_spite_of_its_name_needs_no_library(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    Image.new("RGB", SIZE, (70, 70, 70)).save(tmp_path / "a.heic", kind)
    (frame,) = open_clip(tmp_path).frames()
    assert abs(frame.rgb.mean() - 70) < 3
