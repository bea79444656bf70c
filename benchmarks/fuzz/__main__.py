"""`make fuzz` sets damaged bundles on the reader; the exit code is 1 if any ends other than well or by a named error.

    python -m benchmarks.fuzz --cases 200000 --seed 0 --coverage 2000

A failing file is saved; `--start N --cases 1` runs it again.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.fuzz import campaign, coverage, mutate
from benchmarks.record import RESULTS, Table, keep

PROGRAM = "benchmarks.fuzz"
COLUMNS = ("damaged bundles", "bounds checked", "failures", "ends", "slowest", "largest memory", "minutes", "line coverage")
LOGGED = 10000
"""So many cases lie between two lines of progress where there is no terminal to draw a bar on."""


@dataclass(frozen=True)
class Fuzz:
    """Decode damaged bundles: no crash, no hang, no large allocation, only named errors."""

    cases: int = 20000
    """So many bundles are decoded."""
    seed: int = 0
    """Another seed gives other cases."""
    start: int = 0
    """The first case has this number."""
    bounds_checked: float = 0.02
    """This share of the cases, the last ones, run with array bounds checked in compiled code."""
    coverage: int = 0
    """So many cases, the first ones, run once more as plain Python, which is slow, to see which lines of the codec they reach."""
    seconds: float = 10.0
    """A case may take so many CPU seconds."""
    megabytes: int = 1024
    """A case may take so much memory above what the idle decoder has."""
    output_dir: Path = Path("outputs/fuzz")
    """Files that fail are kept here."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> int:
        """Run the cases, print the table and keep it; return the exit code."""
        began = time.monotonic()
        summary = campaign.Summary()
        checked = round(self.cases * self.bounds_checked)
        plain = range(self.start, self.start + self.cases - checked)
        limits = campaign.Limits(self.seconds, self.megabytes << 20)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns) as progress, tempfile.TemporaryDirectory() as cache:
            task = progress.add_task("fuzzing", total=self.cases)

            def told(verdict: campaign.Verdict) -> None:
                summary.add(verdict)
                if verdict.failed:
                    self._keep(verdict)
                progress.update(task, advance=1)
                if summary.cases % LOGGED == 0 and not progress.console.is_terminal:
                    minutes = (time.monotonic() - began) / 60
                    print(f"{summary.cases} cases, {len(summary.failures)} failures, {minutes:.1f} minutes", flush=True)

            campaign.run(self.seed, plain, limits, told, {})
            bounds = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": cache}  # a cache of its own: its key knows no bounds
            campaign.run(self.seed, range(plain.stop, plain.stop + checked), limits, told, bounds)
        tables = [_damaged(summary, checked, time.monotonic() - began)]
        if self.coverage:
            tables.append(_covered(self._cover(), self.coverage))
        keep(self.results, PROGRAM, *tables)
        return 1 if summary.failures else 0

    def _keep(self, verdict: campaign.Verdict) -> None:
        self.output_dir.mkdir(parents=True, exist_ok=True)
        path = self.output_dir / f"seed{self.seed}-case{verdict.number}.nsem"
        path.write_bytes(mutate.case(self.seed, verdict.number, mutate.load_seeds()))
        print(f"case {verdict.number}: {verdict.outcome} ({path})", file=sys.stderr)

    def _cover(self) -> coverage.Report:
        """Return which lines of the codec the first cases reach."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        with campaign.environment({"NUMBA_DISABLE_JIT": "1"}):
            process = context.Process(
                target=coverage.measure, args=(theirs, self.seed, range(self.start, self.start + self.coverage))
            )
            process.start()
        with Progress() as progress:
            task = progress.add_task("line coverage", total=self.coverage + len(mutate.load_seeds()))
            while (report := ours.recv()) is None:
                progress.update(task, advance=1)
        process.join()
        return report


def _damaged(summary: campaign.Summary, checked: int, seconds: float) -> Table:
    """Return how the cases ended."""
    assert summary.slowest is not None
    row = (
        f"{summary.cases:,}",
        f"{checked:,}",
        str(len(summary.failures)),
        ", ".join(f"{count:,} {outcome}" for outcome, count in summary.outcomes.most_common()),
        f"{summary.slowest.seconds:.2f} s of CPU",
        f"{summary.memory / 2**20:.0f} MiB above the idle decoder",
        f"{seconds / 60:.1f}",
        "",
    )
    return Table("damaged bundles", COLUMNS, [row], "reader", f"The slowest case was number {summary.slowest.number}.")


def _covered(report: coverage.Report, cases: int) -> Table:
    """Return the share of the codec's lines that the cases reach, and print the lines that none does."""
    for name, (run, lines, missing) in report.items():
        print(f"{name:18} {run:4d} of {lines:4d} lines  never: {', '.join(map(str, missing)) or '-'}")
    run, lines = sum(entry[0] for entry in report.values()), sum(entry[1] for entry in report.values())
    row = (f"{cases:,}", *[""] * (len(COLUMNS) - 2), f"{100 * run / max(lines, 1):.1f} %")
    return Table("line coverage", COLUMNS, [row], "reader")


if __name__ == "__main__":
    sys.exit(tyro.cli(Fuzz).run())
