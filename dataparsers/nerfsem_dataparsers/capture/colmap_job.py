"""What the COLMAP subprocess is asked to do. Standard library only: both sides import it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """PNG `names` in the folder `images`, `long_side` pixels long, optional `masks`; results go into `work`."""

    images: str
    names: list[str]
    long_side: int
    masks: str | None
    work: str

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Job:
        return cls(**json.loads(path.read_text()))
