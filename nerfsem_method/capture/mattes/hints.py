"""A hint is what a user points out: a box around the object in one frame."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.naming import Naming, shown
from nerfsem_method.scene.camera import FrameCameras

SLACK = 0.03
"""The object may reach beyond the box by this share of its sides, because people draw them tight."""


@dataclass(frozen=True)
class ObjectBox:
    """A box lies in the frame with index `frame`; its corners `low` and `high` are (u, v) as shares of width and height.

    That frame is the first one, until it is `located` by what it is `called`: the number or the name that the user gave.
    """

    frame: int
    low: tuple[float, float]
    high: tuple[float, float]
    called: str = ""

    @classmethod
    def parse(cls, text: str, width: int, height: int) -> ObjectBox:
        """Read "x,y,w,h" or "x,y,w,h@frame", in pixels of a `width` x `height` video. Raises CaptureError if it is none."""
        match = re.fullmatch(r"(\d+),(\d+),(\d+),(\d+)(?:@(?!-\d+$)(\S.*))?", text)
        if not match:
            raise CaptureError(f"--object-box {text} is no box; give x,y,w,h in pixels, or x,y,w,h@frame")
        x, y, w, h = map(int, match.groups()[:4])
        if not (w and h) or x + w > width or y + h > height:
            raise CaptureError(f"--object-box {text} does not lie in the {width}x{height} frame; give x,y,w,h in pixels")
        return cls(0, (x / width, y / height), ((x + w) / width, (y + h) / height), match[5] or "")

    def located(self, naming: Naming) -> ObjectBox:
        """Return the box in its frame among all that have this naming. Raises CaptureError if that is none of them."""
        row = naming.row_of(self.called) if self.called else 0
        if row is None:
            first, last = (naming.of_rows([row]) for row in (0, len(naming.numbers) - 1))
            raise CaptureError(
                f"--object-box names {shown(self.called)}, which is none of the frames taken, from {first} to {last}: draw it in "
                "one of those; frames that are damaged, show nothing or are passed over by --every are not looked at"
            )
        return replace(self, frame=row, called=naming.of_rows([row]))

    def among(self, chosen: np.ndarray) -> ObjectBox:
        """Return the box with its frame counted among the `chosen` frames [N] bool alone. Raises CaptureError if it is none."""
        if not chosen[self.frame]:
            raise CaptureError(
                f"--object-box names {self.called}, whose camera is unknown or looks elsewhere: draw it in another one"
            )
        return replace(self, frame=int(chosen[: self.frame].sum()))

    def shows(self, points: np.ndarray, cameras: FrameCameras) -> np.ndarray:
        """Return which points [P, 3] lie before the camera and, but for SLACK, inside the box of its frame.

        Where the box ends at the frame's border, as in a detail, the object goes on.
        """
        pixels, depth = cameras.project(points, self.frame)
        low, high = np.array(self.low), np.array(self.high)
        slack = SLACK * (high - low)
        low, high = np.where(low < slack, -np.inf, low), np.where(high > 1 - slack, np.inf, high)
        shares = pixels / (cameras.camera.width, cameras.camera.height)
        return (depth > 0) & ((shares > low - slack) & (shares < high + slack)).all(1)
