"""The course of a training says at which steps what happens to the field besides the optimiser's own work.

It yields events, in the order in which they are to happen; `conductor` is the one that acts on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto


class Event(Enum):
    """An event happens before a step."""

    CARVE = auto()
    """The occupancy loses what contributes nothing."""
    FREEZE = auto()
    """The occupancy becomes final."""
    QUANTISE = auto()
    """The heads' weights go onto the grid that the bundle stores."""
    REFRESH = auto()
    """What is held constant between steps is estimated anew: densities for ray termination, projections for the rate term."""
    MEASURE = auto()
    """The bundle is encoded, so that its size is known."""
    STEER = auto()
    """Lambda follows what the bundle, or the picture, measures."""
    ALIGN = auto()
    """Cameras and colours are aligned with the field."""
    AGREE = auto()
    """Mattes and field are brought to agree."""
    SHARPEN = auto()
    """What a filter will take and give is measured, where a goal asks for it."""


@dataclass(frozen=True)
class Course:
    """A course fixes the stages of training; times are shares of the number of steps, unless a name says otherwise."""

    carve_from: float = 0.02
    """The occupancy begins to be carved here."""
    carve_every: float = 0.02
    """The occupancy is carved so often, but not within `fewest_steps`."""
    freeze_at: float = 0.6
    """The occupancy is final from here on."""
    quantise_at: float = 0.75
    """The heads' weights go onto the grid that the bundle stores."""
    rate_from: float = 0.1
    """The rate term sets in."""
    align_at: tuple[float, ...] = (0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.85)
    """Cameras and colours are aligned with the field."""
    agree_at: tuple[float, ...] = (0.3, 0.5)
    """Mattes and field are brought to agree."""
    measure_every: float = 0.1
    """The bundle's size is measured so often."""
    steer_every: float = 0.02
    """Lambda is corrected so often, when there is a goal."""
    steer_after: float = 0.1
    """The tables are given this long, from `rate_from` on, before lambda is steered."""
    refresh_steps: int = 64
    """Densities and projections are estimated anew after so many steps."""
    fewest_steps: int = 50
    """There are so many steps between two carvings at least: what has not been looked at must not go."""
    carve_threshold: float = 0.08
    """A voxel must once have had this share of a ray's colour to stay."""
    freeze_thresholds: tuple[float, float] = (0.1, 0.02)
    """The same when the occupancy becomes final: for a voxel by itself, and for one beside such a voxel."""
    sharpness: float = 0.06
    """The regulariser that draws each ray's light to one depth has this weight."""
    rate_samples: int = 8192
    """The rate is estimated on so many entries a step."""
    filter_steps: int = 500
    """The filter of the finished bundle is fitted in so many steps; there is none with 0."""

    def events(self, step: int, steps: int) -> Iterator[Event]:
        """Yield what happens before step `step` of `steps`, in order."""
        if step == int(self.freeze_at * steps):
            yield Event.FREEZE
        elif self.carve_from * steps <= step < self.freeze_at * steps and step % self._period(self.carve_every, steps) == 0:
            yield Event.CARVE
        if step == int(self.quantise_at * steps):
            yield Event.QUANTISE
        if step % self.refresh_steps == 0:
            yield Event.REFRESH
        if step % max(1, int(self.measure_every * steps)) == 0:
            yield Event.MEASURE
        if step >= (self.rate_from + self.steer_after) * steps and step % max(1, int(self.steer_every * steps)) == 0:
            yield Event.STEER
        if step in {int(share * steps) for share in self.align_at}:
            yield Event.ALIGN
        if step in {int(share * steps) for share in self.agree_at}:
            yield Event.AGREE
        if step in {int(share * steps) for share in (self.freeze_at, self.quantise_at)}:
            yield Event.SHARPEN

    def _period(self, share: float, steps: int) -> int:
        return max(self.fewest_steps, int(share * steps))

    def observes(self, step: int, steps: int) -> bool:
        """Return whether contributions to rays are still collected for carving."""
        return step < self.freeze_at * steps

    def rates(self, step: int, steps: int) -> bool:
        """Return whether the rate counts in the loss."""
        return step >= self.rate_from * steps
