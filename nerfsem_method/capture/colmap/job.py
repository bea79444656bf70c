"""A job is what COLMAP's process is asked to do, and lines of progress are what it says meanwhile.

Both sides import this module, so it needs the standard library alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

Place = tuple[float, float, float, float]
"""A place in the frames: left, top, right and bottom as shares of their width and height."""
DENSE = 75
"""Frames of a clip show so much of each other from this number on that COLMAP may be hasty with them. Of fewer each shortcut has
made some small clip wrong (docs/decisions/018)."""
STAGES = {"features": 0.3, "pairs": 0.3, "cameras": 0.2, "closures": 0.05, "refinement": 0.15}
"""COLMAP's process goes through these stages, each of which takes about such a share of its time."""
HARDLY_TOLD = 0.015
"""A focal length a tenth off must fit worse by this share. In four parts of a turn, twenty frames each, right ones fit better by
0.029 and 0.055; one that was wrong by 13 % by 0.008, and one wrong by 69 % by 0.002."""
UNTIL = "until"
"""A line of progress of this name says how far the stages after it lead, for they may come again."""


@dataclass(frozen=True)
class Job:
    """A job names the PNG files `names` in the folder `images`, in the clip's order; their longer side has `long_side` pixels.

    Features are sought in pictures of the same names and sizes in the folder `legible`. `masks` is a folder of masks, if features
    are wanted in some places only. `object_alone` says that the masks show the object, and nothing around it is to be looked at.
    `still_background` says that what does not move is not the object. Results go into the folder `work`. Photographs may not be
    `ordered` as they were taken, and some are surely `drawn` by lot. In the clip's order those are compared that are no more than
    `reach` frames apart, if that is not 0. `zooms` are how many times the usual focal length frames have that other lenses took,
    by name. Where `each_own`, who took what is not known, and each frame has a camera of its own. Where `usual`,
    the lens is taken for a usual one until the turn is closed. All focal lengths lie near `focal`, in pixels, if that is known.
    """

    images: str
    legible: str
    names: list[str]
    long_side: int
    masks: str | None
    object_alone: bool
    still_background: bool
    work: str
    ordered: bool = True
    drawn: bool = False
    reach: int = 0
    zooms: dict[str, float] = field(default_factory=dict)
    each_own: bool = False
    usual: bool = False
    focal: float | None = None

    @property
    def held(self) -> bool:
        """Return whether the lens is taken for a usual one until the turn is closed, as it is where the object is alone."""
        return self.usual or self.object_alone

    def lens(self, name: str) -> tuple[float, str]:
        """Return the lens that took a frame: its zoom, and the name of the frame if it has taken no other one."""
        return self.zooms.get(name, 1.0), name if self.each_own else ""

    def write(self, path: Path) -> None:
        """Write the job as JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Job:
        """Read a job that `write` wrote."""
        return cls(**json.loads(path.read_text()))


def dense(count: int) -> bool:
    """Return whether COLMAP may be hasty with so many frames."""
    return count >= DENSE


def tell(stage: str, done: int, total: int) -> None:
    """Print a line of progress, `stage done total`, for the caller."""
    print(stage, done, total, flush=True)
