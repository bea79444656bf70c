"""This program measures what a collection costs beside the work on its items: empty tasks on a cluster, and `status`.

    python -m benchmarks.timing.collection

A LocalCluster of two worker processes gets items whose work is nothing at all, as `nerfsem collection compress --scheduler` hands
them over: hashed, sent, and written with a bundle, its poster and three changes of state.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks.record import RESULTS, Table, keep
from nerfsem_method.cli.main import run
from nerfsem_method.collection.cluster import Cluster
from nerfsem_method.collection.course import Course
from nerfsem_method.collection.items import find
from nerfsem_method.collection.job import Job, Outcome
from nerfsem_method.collection.plan import plan
from nerfsem_method.collection.shelf import Shelf
from nerfsem_method.collection.stamps import options_hash
from nerfsem_method.collection.status import as_text, status
from nerfsem_method.collection.store import Row, opened
from nerfsem_method.files import scratch
from nerfsem_method.pipeline import Options

PROGRAM = "benchmarks.timing.collection"
COLUMNS = ("what", "found", "bar")
GOLDEN = Path(__file__).resolve().parents[2] / "tests/golden/vase.nsem"


@dataclass(frozen=True)
class Collection:
    """Measure the overhead of a collection by item, and how long its status takes."""

    items: int = 1000
    """So many empty items go through the cluster."""
    rows: int = 10_000
    """So many rows are shown by status."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> None:
        """Print the table and keep it. Raises NerfsemError where Dask is missing."""
        with scratch("collection") as folder:
            overhead, shown = _overhead(folder, self.items), _status(folder / "rows", self.rows)
        rows = [
            (f"overhead an item, {self.items:,} empty items, two worker processes", f"{1e3 * overhead:.1f} ms", "< 20 ms"),
            (f"`collection status` of {self.rows:,} rows", f"{shown:.2f} s", "< 1 s"),
        ]
        keep(self.results, PROGRAM, Table("collection", COLUMNS, rows))


def _overhead(folder: Path, count: int) -> float:
    """Return the seconds an item that empty work on a cluster takes, from the plan to the last row."""
    from distributed import LocalCluster

    clips, out, options = folder / "clips", folder / "out", Options(preset="smoke")
    for path in (clips, out):
        path.mkdir()
    for number in range(count):
        (clips / f"{number:06}.mp4").write_text(str(number))
    local: Any = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with local as cluster, opened(out) as store:
        engine = Cluster(cluster.scheduler_address, work=_nothing)
        started = time.perf_counter()
        made = plan(find(clips).items, store.rows(), options_hash(options), Shelf(out), False)
        store.put(made.changed)
        Course(made, options, engine, store, Shelf(out), False, print).run()
        seconds = time.perf_counter() - started
        engine.close()
        assert store.counts()["done"] == count, "every item is done"
    return seconds / count


def _nothing(job: Job, slots: dict[str, int]) -> Outcome:
    """Return a bundle at once."""
    return Outcome(GOLDEN.read_bytes(), b"poster", None, {"warnings": [], "psnr_center": 24.4})


def _status(out: Path, count: int) -> float:
    """Return the seconds that `collection status` takes for so many rows, without the start of the interpreter."""
    out.mkdir()
    facts = {"warnings": ["the turn does not close: the cameras cover 300 of 360 degrees"], "psnr_center": 24.4, "frames": 120}
    with opened(out) as store:
        store.put(Row(f"{number:06}.mp4", "done", bundle="x.nsem", bytes=20_000, facts=facts) for number in range(count))
    started = time.perf_counter()
    as_text(status(out))
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(run(tyro.cli(Collection)))
