"""This module knows which frame of a video is in each of the files that ffmpeg makes of it, for mattes may be made of these.

Files are of a steady rate: where a frame is shown for longer it comes once more, and one that comes too soon is left out. The
rule is that of ffmpeg's `-fps_mode cfr` (fftools/ffmpeg_filter.c, video_sync_process).
"""

from __future__ import annotations

import math
from fractions import Fraction

TOO_FAR = 1.1
"""A file is left out, or written once more, where a frame is so many files off."""
LATE = 0.6
"""Files before a late frame show the one before up to so much of a file."""
DUST = 2.0**-17
"""So much of a file times are farther from 0, lest rounding decides about exact middles."""


class Places:
    """Places are the numbers of the first files that show each frame, at a steady `rate` of files a second.

    Attributes:
        first: by frame, None for one that no file shows.
    """

    def __init__(self, rate: Fraction) -> None:
        self.rate = rate
        self.first: list[int | None] = []
        self._next = 0
        self._repeated = [0, 0, 0]

    @property
    def count(self) -> int:
        """Return how many files there are so far; ffmpeg goes on at the end as it did in the median of the last three frames."""
        return self._next + sorted(self._repeated)[1]

    def add(self, time: Fraction, seconds: Fraction) -> None:
        """Take the next frame, which is shown at a `time` of the file for so many `seconds`."""
        at = float(time * self.rate)
        early = at + math.copysign(DUST, at) * (at != 0) - self._next
        due = early + float(seconds * self.rate)
        files, repeated = 1, 0
        if due < -TOO_FAR:
            files = 0
        elif due > TOO_FAR:
            files = round(due)
            repeated = min(round(early - LATE), files) if early > TOO_FAR else 0
        # Files that show the frame before once more come first, and may be its only ones; the first frame has none before.
        before = repeated if self.first else 0
        if before and self.first[-1] is None:
            self.first[-1] = self._next
        self.first.append(self._next + before if files > before else None)
        self._next += files
        self._repeated = [*self._repeated[1:], repeated]
