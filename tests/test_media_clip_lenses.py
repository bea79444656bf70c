"""Photographs say what their lens was, and a clip of them says where that changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from PIL import Image

from nerfsem_method.media.clip.clip import Findings
from nerfsem_method.media.clip.door import open_clip

EXIF, FOCAL_LENGTH, IN_35_MM, MAKE = 0x8769, 0x920A, 0xA405, 0x010F


def shots(folder: Path, tags: Sequence[Mapping[int, float]]) -> Path:
    """Write a photograph for each set of EXIF tags."""
    for index, said in enumerate(tags):
        exif = Image.Exif()
        exif.get_ifd(EXIF).update(said)
        Image.new("RGB", (32, 24), (9 * index,) * 3).save(folder / f"{index}.jpg", exif=exif)
    return folder


def remarks(path: Path) -> list[str]:
    found = Findings()
    list(open_clip(path).frames(findings=found))
    return found.remarks


@pytest.mark.parametrize("tag", [FOCAL_LENGTH, IN_35_MM])
def test_another_focal_length_is_named(tag: int, tmp_path: Path) -> None:
    (said,) = remarks(shots(tmp_path, [{tag: 24}] * 6 + [{tag: 35}, {}, {tag: 50}]))
    assert said.startswith("2 of 9 photographs were taken with another focal length than 24 mm, from 24 to 50 mm (6.jpg, 8.jpg)")


def test_photographs_say_how_many_times_the_usual_focal_length_theirs_is(tmp_path: Path) -> None:
    clip = open_clip(shots(tmp_path, [{IN_35_MM: 26}] * 4 + [{IN_35_MM: 13}, {}, {IN_35_MM: 52}, {IN_35_MM: 26.2}]))
    assert clip.zooms == {4: 0.5, 6: 2.0}


def test_a_length_and_one_for_35_mm_say_nothing_of_each_other(tmp_path: Path) -> None:
    clip = open_clip(shots(tmp_path, [{IN_35_MM: 26, FOCAL_LENGTH: 4.25}] * 4 + [{FOCAL_LENGTH: 4.25}]))
    assert clip.zooms == {}


def test_lengths_of_two_cameras_say_nothing_of_each_other(tmp_path: Path) -> None:
    shots(tmp_path, [{FOCAL_LENGTH: 26}] * 4 + [{FOCAL_LENGTH: 4.2}] * 3)
    for index in range(7):
        path = tmp_path / f"{index}.jpg"
        with Image.open(path) as image:
            exif = image.getexif()
            exif[MAKE] = "Canon" if index < 4 else "Apple"
            image.save(path, exif=exif)
    assert open_clip(tmp_path).zooms == {} and remarks(tmp_path) == []


def test_the_length_in_35_mm_counts_before_the_other(tmp_path: Path) -> None:
    assert remarks(shots(tmp_path, [{IN_35_MM: 26, FOCAL_LENGTH: 4.2}] * 4 + [{IN_35_MM: 26, FOCAL_LENGTH: 6.0}] * 4)) == []


@pytest.mark.parametrize("lengths", [[4.25, 4.2, 4.25, 4.25], [0, 24, 24, 24], []])
def test_roundings_and_silence_are_no_zoom(lengths: list[float], tmp_path: Path) -> None:
    tags = [{FOCAL_LENGTH: length} for length in lengths] or [{}] * 4
    assert remarks(shots(tmp_path, tags)) == []
