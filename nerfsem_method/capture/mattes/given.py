"""This module takes ready-made mattes over and keeps folders of mattes: one 8-bit soft matte for each frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.errors import CaptureError
from nerfsem_method.media.matte_names import check_number, list_mattes
from nerfsem_method.media.mattes import given_mattes
from nerfsem_method.media.pictures import read_picture, write_picture

ASPECT_TOLERANCE = 0.02
"""A matte's aspect may differ from the frame's by this share, because sizes are rounded."""
MIN_COVERAGE = 0.002
"""A matte that covers a smaller share of its frame shows no object."""


def copy_mattes(folder: Path, target: Path, count: int, size: tuple[int, int], advance: Advance) -> list[str]:
    """Write ready-made mattes to `target`/000000.png ... at `size` (width, height), and return remarks about them.

    Raises CaptureError on a wrong number of mattes, a wrong aspect, an unreadable file, or what is no matte of one object.
    """
    import cv2

    remarks = check_number(folder, list_mattes(folder), count)
    given = given_mattes(folder, lambda done: advance(done, 2 * count))
    for index, source in enumerate(given.files):
        matte = given.read(index)
        height, width = matte.shape
        if _differs(width, height, size):
            turned = "" if _differs(height, width, size) else "; turn it by 90 degrees"
            raise CaptureError(f"{source.name} is {width}x{height}: not the shape of the {size[0]}x{size[1]} frames{turned}")
        if (width, height) != size:
            matte = cv2.resize(matte, size, interpolation=cv2.INTER_AREA if width > size[0] else cv2.INTER_LINEAR)
        write_matte(target, index, matte)
        advance(count + index + 1, 2 * count)
    return [*remarks, *given.remarks]


def _differs(width: int, height: int, size: tuple[int, int]) -> bool:
    return abs(width * size[1] - height * size[0]) > ASPECT_TOLERANCE * height * size[0]


def write_matte(target: Path, index: int, matte: np.ndarray) -> None:
    """Write one matte [H, W] uint8 as `target`/<index>.png."""
    write_picture(target / f"{index:06d}.png", matte)


def load_mattes(folder: Path) -> np.ndarray:
    """Return all mattes of a folder, [N, H, W] uint8."""
    return np.stack([read_picture(path, grey=True) for path in sorted(folder.glob("*.png"))])


def check_coverage(mattes: np.ndarray) -> np.ndarray:
    """Return the share of each frame that its matte covers [N]. Raises CaptureError if most frames show no object."""
    coverage = mattes.mean((1, 2)) / 255
    if np.median(coverage) < MIN_COVERAGE:
        raise CaptureError(
            f"no object found: the mattes cover {100 * np.median(coverage):.2f} % of the median frame; film the object "
            "larger, choose another --segmenter or give --mattes DIR"
        )
    return coverage
