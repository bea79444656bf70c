"""This module knows how coded pictures are shown: cropped, with square pixels and upright, and which are no picture of a lens."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

_EYES = ("side by side", "top and bottom", "checkerboard", "interleaved lines", "interleaved columns")
"""So ffmpeg describes frames that hold a picture for each eye; films that show both eyes in turn are none."""
_EYES_BY_NUMBER = {1: _EYES[0], 2: _EYES[1], 4: _EYES[2], 5: _EYES[0], 6: _EYES[3], 7: _EYES[4]}
"""So ffmpeg numbers them."""
_HALF = {"side by side": "crop=iw/2:ih:0:0", "top and bottom": "crop=iw:ih/2:0:0"}
"""These filters keep the picture of one eye."""
_UNTAGGED = "sidedata=delete:type=STEREO3D"
"""Without this one the picture of one eye would still be marked as two."""
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


def side_data(frame: Any, kind: str) -> bytes | None:
    """Return a decoded frame's side data of a kind, None where it has none."""
    data = frame.side_data.get(kind)
    return None if data is None else bytes(data)


def crop_of(description: str) -> Crop:
    """Return the container's crop from ffmpeg's description of a stream."""
    found = re.search(r"Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)", description)
    if not found:
        return Crop()
    left, right, top, bottom = map(int, found.groups())
    return Crop(top, bottom, left, right)


def eyes_of(side_data: bytes | None, description: str) -> str:
    """Return how the pictures for both eyes lie in a frame, by its side data or its stream's description; "" if it is one."""
    kind = struct.unpack("<i", side_data[:4])[0] if side_data and len(side_data) >= 4 else 0
    said = [eyes for eyes in _EYES if f"Stereo 3D: {eyes}" in _described_side_data(description)]
    return _EYES_BY_NUMBER.get(kind, said[0] if said else "")


def one_eye(eyes: str) -> str:
    """Return ffmpeg's filter that keeps one of two pictures that lie in a frame so, "" where there is none."""
    return f"{_HALF[eyes]},{_UNTAGGED}" if eyes in _HALF else ""


def projection_around(description: str) -> str:
    """Return the projection that wraps all around the camera, by ffmpeg's description of a stream; "" for a lens's picture."""
    found = re.search(r"^ +spherical(?: mapping)?: ([a-z -]+)", _described_side_data(description), re.IGNORECASE | re.MULTILINE)
    return "" if found is None or found[1].startswith("rectilinear") else found[1].strip()


def _described_side_data(description: str) -> str:
    """Return what ffmpeg's description of a stream says of side data; before that stand titles, which may say anything."""
    return description.partition("\n    Side data:\n")[2]
