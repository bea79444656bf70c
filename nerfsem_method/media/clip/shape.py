"""This module knows how a player shows coded pictures: cropped, with square pixels and upright."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

STRETCH = 8
"""Pixels are not more oblong than this; a header that says so is wrong and is not followed."""


@dataclass(frozen=True)
class Crop:
    """A crop says how many pixels the container cuts off at each edge."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    @property
    def filters(self) -> list[str]:
        """Return ffmpeg's filter for it."""
        if self == Crop():
            return []
        size = f"w=iw-{self.left}-{self.right}:h=ih-{self.top}-{self.bottom}"
        return [f"crop={size}:x={self.left}:y={self.top}:exact=1"]


@dataclass(frozen=True)
class Shape:
    """A shape is how coded pictures become upright ones of `width` x `height` square pixels.

    `stored` is their width and height after `filters`, ffmpeg's, which crop and turn but do not scale.
    """

    width: int
    height: int
    stored: tuple[int, int]
    filters: tuple[str, ...]


def shape_of(coded: tuple[int, int], aspect: Fraction | None, matrix: bytes | None, crop: Crop) -> Shape:
    """Return the shape of pictures of `coded` (width, height), whose pixels are `aspect` times as wide as high.

    The height stays and the width is stretched, as most players do. `matrix` is the display matrix of ISO/IEC 14496-12 as
    ffmpeg keeps it.
    """
    width, height = coded[0] - crop.left - crop.right, coded[1] - crop.top - crop.bottom
    oblong = aspect if aspect and Fraction(1, STRETCH) <= aspect <= STRETCH else 1
    turns = turn_filters(matrix)
    stored, shown = (width, height), (max(1, round(width * oblong)), height)
    if any(turn.startswith("transpose") for turn in turns):
        stored, shown = (height, width), (shown[1], shown[0])
    return Shape(shown[0], shown[1], stored, (*crop.filters, *turns))


def turn_filters(matrix: bytes | None) -> list[str]:
    """Return ffmpeg's filters that turn and mirror pictures as a display matrix says, to the nearest quarter of a turn."""
    if matrix is None or len(matrix) < 36:
        return []
    a, b, _, c, d, *_ = struct.unpack("<9i", matrix[:36])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return ["hflip"] * (a < 0) + ["vflip"] * (d < 0)
    directions = {(True, False): "clock", (False, True): "cclock", (True, True): "cclock_flip", (False, False): "clock_flip"}
    return [f"transpose={directions[b > 0, c > 0]}"]


def display_matrix(frame: Any) -> bytes | None:
    """Return the display matrix of a decoded frame, None where it has none."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    return None if matrix is None else bytes(matrix)


def crop_of(description: str) -> Crop:
    """Return the container's crop from ffmpeg's description of a stream."""
    found = re.search(r"Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)", description)
    if not found:
        return Crop()
    left, right, top, bottom = map(int, found.groups())
    return Crop(top, bottom, left, right)
