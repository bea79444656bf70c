"""A film that was put together of parts is told of by what parts them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from nerfsem_method.capture.clip.parts import of_bars, of_mirrors
from nerfsem_method.media.naming import Naming

COUNT = 24
ABOVE, AROUND = (12, 0, 0, 0), (9, 9, 8, 8)


def picture(index: int) -> np.ndarray:
    """Return a picture [60, 80] of a room that moves from frame to frame."""
    room = np.random.default_rng(0).integers(60, 230, (6, 16)).astype(np.uint8)
    return cv2.resize(room, (160, 60), interpolation=cv2.INTER_CUBIC)[:, index : index + 80]


def framed(index: int, top: int, bottom: int, left: int, right: int) -> np.ndarray:
    """Return a picture that was made smaller for bars so deep around it."""
    small = cv2.resize(picture(index), (80 - left - right, 60 - top - bottom), interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(small, top, bottom, left, right, cv2.BORDER_CONSTANT, value=3)


def film(folder: Path, pictures: list[np.ndarray]) -> list[Path]:
    for index, each in enumerate(pictures):
        (folder / f"{index:06d}.png").write_bytes(cv2.imencode(".png", each)[1].tobytes())
    return sorted(folder.glob("*.png"))


@pytest.mark.parametrize("bars", [(8, 8, 0, 0), (0, 0, 9, 9), AROUND])
def test_bars_that_some_frames_have_are_told_with_the_command_that_cuts(bars, tmp_path):
    frames = film(tmp_path, [framed(i, *bars) if i >= 14 else picture(i) for i in range(COUNT)])
    told = of_bars(frames, Naming(range(100, 100 + COUNT)))
    assert told.startswith("frames 114-123 lie between black bars and the others do not")
    assert told.endswith("ffmpeg -i CLIP -vf trim=start_frame=100:end_frame=114,setpts=PTS-STARTPTS NEW")
    assert "those of one kind" in of_bars(frames, Naming(range(COUNT), [f"{number}.jpg" for number in range(COUNT)]))


def on_black(index: int, width: int) -> np.ndarray:
    """Return an object of this width before black."""
    return cv2.copyMakeBorder(picture(index)[10:50, :width], 10, 10, (80 - width) // 2, (80 - width) // 2, cv2.BORDER_CONSTANT)


def silhouette(index: int) -> np.ndarray:
    """Return a round object on a turntable before black."""
    rows, columns = np.mgrid[:60, :80]
    return picture(index) * np.uint8(((rows - 30) / 22) ** 2 + ((columns - 40) / 18) ** 2 < 1)


def title(index: int) -> np.ndarray:
    return cv2.putText(np.zeros((60, 80), np.uint8), "HHEEH", (15, 35), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255)


@pytest.mark.parametrize(
    "pictures",
    [
        [picture(i) for i in range(COUNT)],
        [framed(i, 8, 8, 0, 0) for i in range(COUNT)],
        [on_black(i, 80 - 2 * abs(i - 12)) for i in range(COUNT)],
        [picture(i) * np.uint8(i > 3) for i in range(COUNT)],
        [framed(i, *ABOVE) if i < 12 else picture(i) for i in range(COUNT)],
        [framed(i, 6 + i % 3 * 3, 6 + i % 3 * 3, 0, 0) if i < 12 else picture(i) for i in range(COUNT)],
        [silhouette(i) if i > 3 else picture(i) for i in range(COUNT)],
        [silhouette(i) if i > 3 else np.maximum(silhouette(i), np.uint8(255 - 60 * i)) for i in range(COUNT)],
        [title(i) if i < 6 else picture(i) for i in range(COUNT)],
    ],
    ids=[
        "none", "throughout", "a dark ground", "a fade", "one side alone", "several depths", "room light before a turntable",
        "a fade from white", "a title",
    ],
)
def test_what_is_no_change_of_bars_is_not_told(pictures, tmp_path):
    assert of_bars(film(tmp_path, pictures), Naming(range(COUNT))) == ""


def view(index: int) -> np.ndarray:
    """Return a picture [160, 200] with many corners, which moves by two pixels from frame to frame."""
    wall = np.random.default_rng(1).integers(30, 220, (20, 90)).astype(np.uint8)
    return cv2.resize(wall, (720, 160), interpolation=cv2.INTER_NEAREST)[:, 2 * index : 2 * index + 200]


@pytest.mark.parametrize(("first", "last"), [(14, 23), (0, 9), (8, 15)])
@pytest.mark.parametrize("late", [0, 1])
def test_a_part_that_is_mirrored_is_told_with_the_command_that_flips(first, last, late, tmp_path):
    """A frame beside the others may have got a camera that is wrong."""
    inside = (np.arange(COUNT) >= first) & (np.arange(COUNT) <= last)
    frames = film(tmp_path, [view(i)[:, ::-1] if inside[i] else view(i) for i in range(COUNT)])
    posed = ~inside
    posed[first] = late and first
    told = of_mirrors(frames, posed, range(COUNT))
    begin = first + 1 if late and first else first
    assert told.endswith(f"ffmpeg -i CLIP -vf \"hflip=enable='between(n,{begin},{last})'\" NEW")


def test_what_is_not_mirrored_is_not_told(tmp_path):
    pictures = [view(i) if i < 12 else view(10 * i) for i in range(COUNT)]
    assert of_mirrors(film(tmp_path, pictures), np.arange(COUNT) < 12, range(COUNT)) == ""
