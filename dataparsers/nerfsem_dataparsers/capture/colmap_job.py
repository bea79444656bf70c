"""What the COLMAP subprocess is asked to do. Standard library only: both sides import it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """What the caller asks for: PNG `names` in the folder `images`, optional `masks`, results into `work`."""

    images: str
    names: list[str]
    masks: str | None
    work: str

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Job:
        return cls(**json.loads(path.read_text()))
