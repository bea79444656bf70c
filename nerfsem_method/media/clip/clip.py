"""A clip gives its facts when it is opened, and its frames, one at a time, as often as they are asked for.

Frames are what a player shows: upright, with square pixels, RGB. Whoever reads a clip reads it here, so that capture and
evaluation see the same pixels.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from nerfsem_method.errors import CaptureError

MIN_FRAMES = 8
"""Fewer frames than this do not go around an object."""
SMALLEST_SIDE = 16
"""Pictures with a shorter side are icons; no codec and no feature detector works on them."""
LARGEST_PICTURE = 1 << 27
"""The largest cameras have fewer pixels; what claims more is damaged, or does not fit into the memory."""


@dataclass(frozen=True)
class Lens:
    """These facts are what a photograph says of the lens that took it; `focal_35mm` and `focal_mm` are in millimetres."""

    focal_35mm: float | None = None
    focal_mm: float | None = None
    camera: str = ""
    lens: str = ""


@dataclass(frozen=True)
class ClipFrame:
    """A clip's frame is a picture [H, W, 3] uint8, RGB, with where it comes from.

    Attributes:
        index: Frames are numbered from 0, after thinning.
        source: The frame has this number in its video, or its photograph this name.
        alpha: This is the picture's own matte [H, W] uint8; None where the clip has no alpha channel.
        lens: These are the photograph's facts of its lens; None for a video.
    """

    index: int
    source: str
    rgb: np.ndarray
    alpha: np.ndarray | None = None
    lens: Lens | None = None


@dataclass
class Findings:
    """Findings are what reading a clip to its end brings to light; they are complete when the last frame has been read.

    Attributes:
        damaged: The frames of these indices are damaged, for these reasons; they keep their numbers.
        remarks: These sentences, without a full stop, tell a user what else was found.
    """

    damaged: dict[int, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Clip(ABC):
    """A clip is a video or photographs of one object, `width` x `height` pixels as shown, `rate` frames a second.

    Attributes:
        path: The clip was asked for by this path.
        every: Of the source's frames only each of this number is taken, from the first one on.
        announced: The source promises so many frames, which may be wrong; 0 where it promises nothing.
        alpha: The pictures have an alpha channel, whatever it holds.
        left_out: These files belong to the source but give no frame, for these reasons.
    """

    path: Path
    every: int
    width: int
    height: int
    rate: Fraction
    announced: int
    alpha: bool
    left_out: dict[str, str]

    @property
    @abstractmethod
    def sha256(self) -> str:
        """Return the SHA-256 of the file, or of all photographs with their names."""

    @abstractmethod
    def frames(self, size: tuple[int, int] | None = None, findings: Findings | None = None) -> Iterator[ClipFrame]:
        """Yield the frames at `size` (width, height), by default their own, and fill `findings` on the way.

        Raises CaptureError where the source cannot be read as what it seemed to be when it was opened.
        """

    @property
    def name(self) -> str:
        """Return the clip's name as text: the file's, or the folder's for photographs."""
        return name_of(self.path)

    @property
    def stem(self) -> str:
        """Return the clip's name without a file's ending."""
        return stem_of(self.path)

    @property
    def scene_folder(self) -> Path:
        """Return where a capture of this clip lies if nobody says otherwise: beside it."""
        return scene_folder_of(self.path)


def is_pattern(path: Path) -> bool:
    """Return whether a path stands for several files: it has wildcards or a number's form, and no file has that very name."""
    try:
        if os.path.lexists(path):
            return False
    except ValueError:
        return False
    return any(sign in str(path) for sign in "*?[") or "%" in path.name


def name_of(path: Path) -> str:
    """Return the name of the clip at `path` as text that can be written anywhere."""
    return _text(_named(path).name)


def stem_of(path: Path) -> str:
    """Return the name of the clip at `path` without a file's ending; a folder's dots are part of its name."""
    named = _named(path)
    folder = named.is_dir() and named.suffix != ".nerfsem"
    return _text(named.name if folder else named.stem)


def scene_folder_of(path: Path) -> Path:
    """Return the default scene folder of the clip at `path`."""
    return _named(path).parent / f"{stem_of(path)}.nerfsem"


def _named(path: Path) -> Path:
    """Return the file or folder after which a clip is called."""
    if is_pattern(path):
        parts = path.parts
        fixed = next((i for i, part in enumerate(parts) if any(sign in part for sign in "*?[")), len(parts) - 1)
        path = Path(*parts[: min(fixed, len(parts) - 1)])
    return path if path.name not in ("", "..") else path.resolve()


def _text(name: str) -> str:
    """Return a file's name without what no text may hold: bytes that are no UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


def check_size(width: int, height: int, what: str) -> None:
    """Raise CaptureError for pictures that are too small or too large to be worked with."""
    if min(width, height) < SMALLEST_SIDE:
        raise CaptureError(f"{what} has pictures of {width}x{height}; give ones of at least {SMALLEST_SIDE} pixels a side")
    if width * height > LARGEST_PICTURE:
        raise CaptureError(f"{what} has pictures of {width}x{height}, more than fit into the memory; make them smaller first")


def spans(numbers: Sequence[int]) -> str:
    """Write ascending numbers as "3, 12-30"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)


def frames_text(numbers: Sequence[int]) -> str:
    """Name frames by their ascending numbers, as "frame 3" or "frames 3, 12-30"."""
    return f"frame{'s' * (len(numbers) != 1)} {spans(numbers)}"
