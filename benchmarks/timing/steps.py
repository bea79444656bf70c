"""This program times the steps of a training on a scene by two states of the source, this one and an older one, by turns.

    git worktree add ../older 675fc7b && python -m pip install --no-deps --target ../older-packages pycolmap==3.13.0
    nerfsem capture ../shared/data/krater/relic.mp4 krater --mattes ../shared/data/krater/masks
    python -m benchmarks.timing.steps --scene krater --older ../older --packages ../older-packages

The fields are those of `standard` at 675fc7b, and the same with levels up to 320 and planes up to 512.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.record import RESULTS, Table, keep
from benchmarks.timing.by_turns import surroundings
from nerfsem_method.cli.main import run
from nerfsem_method.errors import NerfsemError
from nerfsem_method.files import scratch

PROGRAM = "benchmarks.timing.steps"
COLUMNS = ("levels", "this source, milliseconds a step, each turn", "older source", "times faster, by the best turns")
SCRIPT = Path(__file__).with_name("steps_of.py")
STANDARD = {"volume": [[16, 4], [32, 4], [64, 4], [128, 2], [192, 1]], "planes": [[128, 2], [256, 2]]}
FIELDS = {
    "`standard`": STANDARD,
    "to 320, planes to 512": {"volume": [*STANDARD["volume"], [320, 1]], "planes": [*STANDARD["planes"], [512, 2]]},
}


@dataclass(frozen=True)
class Steps:
    """Time training steps by this source and by an older one, turn and turn about."""

    scene: Path
    """This scene folder, captured by this source, is trained on."""
    older: Path
    """The older source lies in this folder."""
    packages: Path | None = None
    """The older source finds packages in this folder first, if it needs others than this one."""
    turns: int = 2
    """Each source has so many turns with each field."""
    steps: int = 500
    """A turn has so many steps, of which the later half is timed."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> None:
        """Print a row for each field and keep them. Raises NerfsemError where a source fails."""
        older = [path for path in (self.packages, self.older) if path is not None]
        rows = []
        for name, levels in FIELDS.items():
            turns = [(self._timed([Path.cwd()], levels), self._timed(older, levels)) for _ in range(self.turns)]
            ours, theirs = zip(*turns, strict=True)
            told = (", ".join(f"{value:.1f}" for value in values) for values in (ours, theirs))
            rows.append((name, *told, f"{min(theirs) / min(ours):.2f}"))
        note = f"{self.steps} steps without the course's events; medians of the later half of each turn."
        keep(self.results, PROGRAM, Table(f"{self.scene.resolve().name}, steps by turns", COLUMNS, rows, note=note))

    def _timed(self, packages: list[Path], levels: dict[str, list[list[int]]]) -> float:
        """Return the milliseconds of a step by the source in the last of these folders."""
        root, environment = surroundings(packages)
        with scratch("nerfsem-steps-") as work:
            scene = work / "scene"
            shutil.copytree(self.scene, scene, ignore=shutil.ignore_patterns("agreed"))
            if root != Path.cwd():
                _forget(scene / "scene.json")
            command = [sys.executable, str(SCRIPT), str(scene), str(work / "runs"), str(self.steps), json.dumps(levels)]
            done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
            if done.returncode:
                raise NerfsemError(f"training by {root} failed: {((done.stderr + done.stdout).splitlines() or ['no word'])[-1]}")
            return float(done.stdout.splitlines()[-1])


def _forget(path: Path) -> None:
    """Take out of a scene what 675fc7b does not know."""
    told = json.loads(path.read_text())
    told["video"].pop("left_out", None)
    path.write_text(json.dumps(told))


if __name__ == "__main__":
    sys.exit(run(tyro.cli(Steps)))
