"""A clip gives its facts when it is opened, and its frames, one at a time, as often as they are asked for.

Frames are what a player shows: upright, with square pixels, RGB. Whoever reads a clip reads it here, so that capture and
evaluation see the same pixels.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.matte_names import partners
from nerfsem_method.media.naming import Naming, files_text

SMALLEST_SIDE = 16
"""Pictures with a shorter side are icons; no codec and no feature detector works on them."""
LARGEST_PICTURE = 1 << 27
"""The largest cameras have fewer pixels; what claims more is damaged, or does not fit into the memory."""


@dataclass(frozen=True)
class ClipFrame:
    """A clip's frame is one sound picture [H, W, 3] uint8, RGB, with where it comes from.

    Attributes:
        number: It has this number in its source, from 0, where frames that are damaged or not taken count, too.
        time: It is shown so many seconds after the source's first frame.
        alpha: This is the picture's own matte [H, W] uint8; None where it has no alpha channel.
    """

    number: int
    time: float
    rgb: np.ndarray
    alpha: np.ndarray | None = None


@dataclass
class Findings:
    """Findings are what reading a clip to its end brings to light; they are complete when the last frame has been read.

    Attributes:
        numbers: The frames that were yielded have these numbers in their source.
        times: They are shown at these times in seconds.
        total: The source has so many frames, those included that are damaged or not taken.
        whole: It announces so many of which the end is missing; 0 where all are there.
        empty: It has so many frames without a picture, which AVI may have, beside these; `whole` counts them, too.
        places: Of the files that ffmpeg makes of the video these are the first to show the frames that were yielded (`places`);
            empty for photographs, and where a frame is in none.
        place_count: There are so many such files.
        files: The frames of the source, by their numbers, are files of these names; empty for a video.
        turned: The frames of these numbers have been turned to the left by 90 degrees, to fit the others.
        damaged: The frames of these numbers would have been taken, but are damaged, for these reasons.
        remarks: These sentences, without a full stop, tell a user what was found, the damaged frames included.
    """

    numbers: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    total: int = 0
    whole: int = 0
    empty: int = 0
    places: list[int] = field(default_factory=list)
    place_count: int = 0
    files: list[str] = field(default_factory=list)
    turned: list[int] = field(default_factory=list)
    damaged: dict[int, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def naming(self) -> Naming:
        """Return what the frames that were yielded are called."""
        return Naming(self.numbers, self.files)

    @property
    def names(self) -> list[str]:
        """Return the names of the files of the frames that were yielded; empty for a video."""
        return [self.files[number] for number in self.numbers] if self.files else []

    def mattes(self, files: list[Path]) -> list[int]:
        """Return the indices of the mattes `files` that belong to the frames that were yielded; of all if nothing tells which.

        Mattes may be called after photographs. Otherwise they are in the frames' order, one for each that was yielded or for each
        of the source, perhaps before its end was lost, or one for each file that ffmpeg makes of a video.
        """
        if (found := partners(files, self.files)) is not None:
            return [found[number] for number in self.numbers]
        if files and len(files) in (self.total, 0 if self.empty else self.whole):
            return list(self.numbers)
        if files and self.places and len(files) in (self.whole, self.place_count):
            return list(self.places)
        return partners(files, self.names) or list(range(len(files)))


@dataclass(frozen=True)
class Clip(ABC):
    """A clip is a video or photographs of one object, `width` x `height` pixels as shown, `rate` frames a second.

    Attributes:
        path: The clip was asked for by this path.
        every: Of the source's frames only each of this number is taken, from the first one on.
        announced: The source promises so many frames to be taken, which may be wrong; 0 where it promises nothing.
    """

    path: Path
    every: int
    width: int
    height: int
    rate: Fraction
    announced: int

    @property
    @abstractmethod
    def sha256(self) -> str:
        """Return the SHA-256 of the file, or of all photographs with their names."""

    def frames(self, size: tuple[int, int] | None = None, findings: Findings | None = None) -> Iterator[ClipFrame]:
        """Yield the frames that are not damaged at `size` (width, height), by default their own, and fill `findings`.

        Raises CaptureError where the source cannot be read as what it seemed to be when it was opened, or changes its size or
        range on the way.
        """
        found = Findings() if findings is None else findings
        for frame in self._frames(size or (self.width, self.height), found):
            found.numbers.append(frame.number)
            found.times.append(round(frame.time, 6))
            yield frame

    @abstractmethod
    def _frames(self, size: tuple[int, int], findings: Findings) -> Iterator[ClipFrame]:
        """Yield the frames, and fill all of `findings` but numbers and times."""

    def window(self, number: int) -> tuple[float, float, float, float] | None:
        """Return which part of a frame its picture fills, (left, top, right, bottom) in shares of it; None where it fills all."""
        return None

    @property
    def ordered(self) -> bool:
        """Return whether the frames are surely in the order in which they were taken."""
        return True

    @property
    def zooms(self) -> dict[int, float]:
        """Return how many times the usual focal length frames say of themselves that they have, by their number in the source.

        Frames that do not say anything else are left out.
        """
        return {}

    @property
    def name(self) -> str:
        """Return the clip's name as text: the file's, or the folder's for photographs."""
        return text_of(_named_after(self.path).name)

    @property
    def stem(self) -> str:
        """Return the clip's name without a file's ending."""
        return stem_of(self.path)


def is_pattern(path: Path) -> bool:
    """Return whether a path stands for several files: it has wildcards or a number's form, and no file has that very name."""
    return (any(sign in str(path) for sign in "*?[") or "%" in path.name) and not os.path.lexists(path)


def stem_of(path: Path) -> str:
    """Return the name of the clip at `path` without a file's ending; dots are part of a folder's name, but for a scene's."""
    named = _named_after(path)
    whole = named.is_dir() and named.suffix != ".nerfsem"
    return text_of(named.name if whole else named.stem)


def folder_of(path: Path) -> Path:
    """Return the folder in which the clip at `path` lies; what is made of it lies there, too, if nobody says otherwise."""
    return _named_after(path).parent


def _named_after(path: Path) -> Path:
    """Return the file or folder after which a clip is called."""
    if is_pattern(path):
        parts = path.parts
        wild = (i for i, part in enumerate(parts) if any(sign in part for sign in "*?["))
        path = Path(*parts[: next(wild, len(parts) - 1)])
    return path if path.name not in ("", "..") else path.resolve()


def text_of(name: str) -> str:
    """Return a file's name with an underscore for each byte that is no UTF-8, which no text may hold; it grows no longer."""
    return re.sub("[\udc80-\udcff]", "_", name)


def check_size(width: int, height: int, what: Path) -> None:
    """Raise CaptureError for pictures that are too small or too large to be worked with."""
    if min(width, height) < SMALLEST_SIDE:
        raise CaptureError(f"{what} has pictures of {width}x{height}; give ones of at least {SMALLEST_SIDE} pixels a side")
    if width * height > LARGEST_PICTURE:
        raise CaptureError(f"{what} has pictures of {width}x{height}, more than fit into the memory; make them smaller first")


def left_out_texts(reasons: dict[str, str]) -> list[str]:
    """Return a sentence for each reason why files, by their names, give no frame."""
    texts = []
    for reason in dict.fromkeys(reasons.values()):
        names = [text_of(name) for name, why in reasons.items() if why == reason]
        texts.append(f"{files_text(names)} {'is' if len(names) == 1 else 'are'} left out: {reason}")
    return texts
