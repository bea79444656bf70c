"""This program times the work on a clip by two states of the source, this one and an older one, by turns.

    git worktree add ../older 675fc7b && python -m pip install --no-deps --target ../older-packages pycolmap==3.13.0
    python -m benchmarks.timing.by_turns --older ../older --packages ../older-packages

What is timed is a process of its own and works in a new folder: `nerfsem capture`, or, with `--verb compress`, `nerfsem compress
--preset quick` on what was captured before. Mattes are given where the clip has some.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from benchmarks.record import RESULTS, Table, keep
from nerfsem_method.cli.main import run
from nerfsem_method.errors import NerfsemError
from nerfsem_method.files import scratch

PROGRAM = "benchmarks.timing.by_turns"
COLUMNS = ("clip", "source", "processor seconds, each turn", "seconds, each turn", "memory of the largest process")


@dataclass(frozen=True)
class ByTurns:
    """Time captures of one clip, or trainings, by this source and by an older one, turn and turn about."""

    older: Path
    """The older source lies in this folder."""
    packages: Path | None = None
    """The older source finds packages in this folder first, if it needs others than this one."""
    source: Path = Path("../shared/data/vase")
    """This folder holds relic.mp4, and masks/ where mattes are known."""
    verb: Literal["capture", "compress"] = "capture"
    """This is timed: captures, or trainings of `quick` on what was captured before."""
    turns: int = 2
    """Each source has so many turns."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> None:
        """Print a row for each source and keep them. Raises NerfsemError where a source fails."""
        paths = {"this": [Path.cwd()], "older": [path for path in (self.packages, self.older) if path is not None]}
        used: dict[str, list[tuple[float, float, float]]] = {name: [] for name in paths}
        for _ in range(self.turns):
            for name, packages in paths.items():
                used[name].append(self._timed(packages))
        rows = []
        for name, turns in used.items():
            busy, seconds, memory = zip(*turns, strict=True)
            cells = (", ".join(f"{value:.0f}" for value in values) for values in (busy, seconds))
            rows.append((f"{self.source.name}, {self.verb}", f"{name} source", *cells, f"{max(memory):.1f} GB"))
        times = [min(turn[0] for turn in turns) for turns in used.values()]
        note = f"By the best turns, the older source takes {times[1] / times[0]:.1f} times the processor time."
        keep(self.results, PROGRAM, Table(f"{self.source.name}, {self.verb}, by turns", COLUMNS, rows, note=note))

    def _timed(self, packages: list[Path]) -> tuple[float, float, float]:
        """Return processor seconds, seconds and gigabytes of the verb by the source in the last of these folders."""
        video, mattes = ((self.source / name).resolve() for name in ("relic.mp4", "masks"))
        given = ["--mattes", str(mattes)] if mattes.is_dir() else []
        with scratch("nerfsem-turn-") as work:
            capture = ["capture", str(video), str(work / "scene"), *given]
            if self.verb == "capture":
                return _used(packages, capture, work)
            _used(packages, capture, work)
            target = str(work / "relic.nsem")
            return _used(packages, ["compress", str(video), target, "--preset", "quick", "--work-dir", str(work), *given], work)


def surroundings(packages: list[Path]) -> tuple[Path, dict[str, str]]:
    """Return the source in the last of these folders, and the environment in which Python finds it and what it needs."""
    root = packages[-1].resolve()
    search = [*(path.resolve() for path in packages), root / "dataparsers"]
    return root, {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, search))}


def _used(packages: list[Path], verb: list[str], work: Path) -> tuple[float, float, float]:
    """Return processor seconds, seconds and gigabytes of a verb by the source in the last of these folders."""
    root, environment = surroundings(packages)
    with (work / "said").open("w+") as said:
        command = [sys.executable, "-m", "nerfsem_method.cli.main", *verb]
        started = time.monotonic()
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise NerfsemError(f"{verb[0]} by {root} failed: {(said.read().strip().splitlines() or ['no word'])[-1]}")
        return usage.ru_utime + usage.ru_stime, time.monotonic() - started, usage.ru_maxrss / 2**20


if __name__ == "__main__":
    sys.exit(run(tyro.cli(ByTurns)))
