"""Mattes are in the order that the numbers in their names count; what is no matte is passed over."""

from __future__ import annotations

import pytest

from nerfsem_method.media.matte_names import frames_text, list_mattes


@pytest.mark.parametrize(
    "names",
    [
        "mask_1 mask_2 mask_10 mask_11 mask_100",
        "1_mask 2_mask 10_mask",
        "001 2 03 10 0011",
        "clip2_frame9_mask clip2_frame10_mask clip3_frame1_mask",
        "-2 -1 0 1 10",
        "m_-10 m_-9 m_0 m_1",
        "frame-1 frame-2 frame-10",
        "2024-11-14 2024-11-15 2024-12-01",
        "Mask_1 mask_2 MASK_3",
        "f1000 f1001 f999999999999999999999",
        "a b c1 c2 c10",
    ],
)
def test_numbers_are_compared_as_numbers(names, tmp_path):
    wanted = names.split()
    for name in sorted(wanted, reverse=True):
        (tmp_path / f"{name}.png").touch()
    assert [path.stem for path in list_mattes(tmp_path)] == wanted


def test_hidden_files_and_other_files_are_passed_over(tmp_path):
    for name in ("1.png", "2.PNG", "._1.png", ".DS_Store", "Thumbs.db", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "old.png").mkdir()
    assert [path.name for path in list_mattes(tmp_path)] == ["1.png", "2.PNG"]


@pytest.mark.parametrize(("numbers", "text"), [([3], "frame 3"), ([0, 1, 2, 7, 9, 10], "frames 0-2, 7, 9-10")])
def test_frames_are_named_in_runs(numbers, text):
    assert frames_text(numbers) == text
