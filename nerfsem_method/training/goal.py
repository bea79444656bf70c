"""A goal is what a finished bundle should measure; it tells how far a bundle in the making is from that."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nerfsem_method.errors import NerfsemError

LOG_SIZE_A_DECIBEL = 0.3
"""A decibel too much counts as 30 % too many bytes: it takes as much of lambda."""
SHRINKAGE, GROWTH = 0.5, 2.0
"""While lambda rests, a bundle still loses SHRINKAGE u^2 of its size and gains GROWTH u^2 dB, u being the share of steps to come
(measured with `quick`, docs/decisions/005)."""
SIZE_TOLERANCE, PSNR_TOLERANCE = 0.05, 0.3
"""A size is met within this share of it, a PSNR within so many dB."""


@dataclass(frozen=True)
class Goal:
    """The finished bundle should measure `size` bytes, or `psnr` dB (PSNR-CENTER); exactly one of them is given.

    Raises NerfsemError when both or none are given.
    """

    size: float | None = None
    psnr: float | None = None

    def __post_init__(self) -> None:
        if (self.size is None) == (self.psnr is None):
            raise NerfsemError("give one goal, a size or a PSNR, not both")

    def error(self, measured: float, done: float) -> float:
        """Return how much too large or too good the bundle is, in the unit of log size, after the share `done` of the steps."""
        if self.size is not None:
            return math.log(measured * (1 - SHRINKAGE * (1 - done) ** 2) / self.size)
        assert self.psnr is not None
        return LOG_SIZE_A_DECIBEL * (measured + GROWTH * (1 - done) ** 2 - self.psnr)

    def met(self, measured: float) -> bool:
        """Return whether a finished bundle is within the tolerance."""
        if self.size is not None:
            return abs(measured / self.size - 1) <= SIZE_TOLERANCE
        assert self.psnr is not None
        return abs(measured - self.psnr) <= PSNR_TOLERANCE
