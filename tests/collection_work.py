"""A stand-in gives a small bundle in place of an item's process, so that tests of collections train nothing."""

from __future__ import annotations

from pathlib import Path

from nerfsem_method.collection.compress import Means, compress
from nerfsem_method.collection.job import Outcome
from nerfsem_method.collection.status import status
from nerfsem_method.pipeline import Options

GOLDEN = Path(__file__).parent / "golden/dense-fp.nsem"
OPTIONS = Options(preset="smoke")


class Work:
    """The stand-in counts its calls by item; `outcomes` are what it gives before bundles, by item."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.outcomes: dict[str, list[Outcome]] = {}

    def __call__(self, job, abandoned) -> Outcome:
        self.calls.append(job.name)
        Path(job.work).mkdir(parents=True, exist_ok=True)
        if self.outcomes.get(job.name):
            return self.outcomes[job.name].pop(0)
        return Outcome(GOLDEN.read_bytes(), b"poster", b"page", {"psnr_center": 20.0, "warnings": ["dark"]})


def states(out: Path) -> dict[str, str]:
    """Return the state of each item."""
    return {item["name"]: item["state"] for item in status(out)["items"]}


def again(clips, out, work, options=OPTIONS, **means) -> list[str]:
    """Compress the collection again, and return which items were worked on."""
    before = len(work.calls)
    compress(clips, out, options, Means(**means), tell=lambda line: None)
    return sorted(work.calls[before:])
