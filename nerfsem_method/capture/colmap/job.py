"""What the COLMAP subprocess is asked to do. Standard library only: both sides import it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """PNG `names` in the folder `images`, `long_side` pixels long, optional `masks`; results go into `work`.

    `keys` are the positions in `names` of which the model is made. `still_room`: what does not move is not the object.
    """

    images: str
    names: list[str]
    keys: list[int]
    long_side: int
    masks: str | None
    still_room: bool
    work: str

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Job:
        return cls(**json.loads(path.read_text()))
