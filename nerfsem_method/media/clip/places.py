"""This module knows where a video's frames are among files that ffmpeg makes of it at a steady rate, as mattes may be of them."""

from __future__ import annotations

from fractions import Fraction


class Places:
    """Places are where a video's frames come at a steady `rate` a second; where one is shown for longer, it comes once more.

    There are `count` so far.
    """

    def __init__(self, rate: Fraction) -> None:
        self.rate, self.count, self._next = rate, 0, 0

    def of(self, time: Fraction, seconds: Fraction) -> int:
        """Return the place of the next frame, which is shown at a `time` for so many `seconds`."""
        place = max(round(time * self.rate), self._next)
        self._next = place + 1
        self.count = place + max(round(seconds * self.rate), 1)
        return place
