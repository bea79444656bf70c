"""`make fuzz`: mutated bundles against the reader; the exit code is 1 if any of them ends other than well or by a named error.

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

LOGGED = 10000
"""Cases from line to line where there is no terminal to draw a progress bar on."""


@dataclass(frozen=True)
class Fuzz:
    """Decode damaged bundles: no crash, no hang, no large allocation, only named errors."""

    cases: int = 20000
    """How many."""
    seed: int = 0
    """Another seed gives other cases."""
    start: int = 0
    """Number of the first case."""
    bounds_checked: float = 0.02
    """Share of the cases, at the end, that run with array bounds checked in compiled code."""
    coverage: int = 0
    """Cases from the first on whose line coverage of the codec is measured, without compilation: slow."""
    seconds: float = 10.0
    """CPU seconds that a case may take."""
    megabytes: int = 1024
    """Memory that a case may take, above what the idle decoder has."""
    output_dir: Path = Path("outputs/fuzz")
    """Where files that fail are kept."""

    def run(self) -> int:
        """Run, print a summary; the exit code."""
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
        self._print(summary, checked, time.monotonic() - began)
        if self.coverage:
            self._cover()
        return 1 if summary.failures else 0

    def _keep(self, verdict: campaign.Verdict) -> None:
        self.output_dir.mkdir(parents=True, exist_ok=True)
        path = self.output_dir / f"seed{self.seed}-case{verdict.number}.nsem"
        path.write_bytes(mutate.case(self.seed, verdict.number, mutate.load_seeds()))
        print(f"case {verdict.number}: {verdict.outcome} ({path})", file=sys.stderr)

    def _print(self, summary: campaign.Summary, checked: int, seconds: float) -> None:
        print(f"{summary.cases} cases ({checked} of them with bounds checked) in {seconds / 60:.1f} minutes")
        for outcome, count in summary.outcomes.most_common():
            print(f"{count:9d}  {outcome}")
        if summary.slowest is not None:
            print(f"slowest: case {summary.slowest.number}, {summary.slowest.seconds:.2f} s of CPU")
        print(f"largest memory: {summary.memory / 2**20:.0f} MiB above the idle decoder")

    def _cover(self) -> None:
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
        for name, (run, lines, missing) in report.items():
            print(f"{name:18} {run:4d} of {lines:4d} lines  never: {', '.join(map(str, missing)) or '-'}")
        run, lines = (sum(entry[i] for entry in report.values()) for i in (0, 1))
        print(f"line coverage of nerfsem_method/codec: {100 * run / max(lines, 1):.1f} % ({self.coverage} cases)")


if __name__ == "__main__":
    sys.exit(tyro.cli(Fuzz).run())
