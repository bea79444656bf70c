"""A campaign runs its cases in a process that is watched: a crash or a hang costs one case, not the campaign."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.fuzz.worker import Verdict, cpu_seconds, serve

STALLED = 600.0
"""A worker that has had no CPU time for so many seconds counts as stuck, too."""


@dataclass
class Summary:
    """A summary holds what a campaign found."""

    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[Verdict] = field(default_factory=list)
    slowest: Verdict | None = None
    memory: int = 0

    def add(self, verdict: Verdict) -> None:
        """Count a case."""
        self.cases += 1
        self.outcomes[f"FAILED: {verdict.outcome.partition(':')[0]}" if verdict.failed else verdict.outcome] += 1
        if verdict.failed:
            self.failures.append(verdict)
        if self.slowest is None or verdict.seconds > self.slowest.seconds:
            self.slowest = verdict
        self.memory = max(self.memory, verdict.memory)


@dataclass(frozen=True)
class Limits:
    """A case may take so many CPU seconds and bytes of address space."""

    seconds: float = 10.0
    memory: int = 1 << 30


def run(campaign: int, numbers: range, limits: Limits, told: Callable[[Verdict], None], env: dict[str, str]) -> None:
    """Judge the cases `numbers` of a campaign in workers with the environment `env`; `told` gets each Verdict in order."""
    while numbers:
        done = 0
        for verdict in watched(serve, campaign, numbers, limits, env):
            told(verdict)
            done += 1
        numbers = numbers[done:]


def watched(target: Callable[..., None], campaign: int, numbers: range, limits: Limits, env: dict[str, str]) -> Iterator[Verdict]:
    """Yield the verdicts of one process that runs `target` (`serve`); the last one may be that it hung or crashed."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    with environment(env):
        process = context.Process(target=target, args=(theirs, campaign, numbers, limits.memory), daemon=True)
        process.start()
    theirs.close()
    try:
        if not _answers(ours, process.pid, STALLED):  # compiles first
            raise RuntimeError("the worker does not start")
        ours.recv()
        for number in numbers:
            if not _answers(ours, process.pid, limits.seconds):
                yield Verdict(number, f"hang above {limits.seconds:g} s", True, limits.seconds, 0)
                return
            try:
                yield ours.recv()
            except EOFError:
                process.join()
                yield Verdict(number, f"crash, exit code {process.exitcode}", True, 0.0, 0)
                return
    finally:
        process.kill()
        process.join()


def _answers(connection, process: int | None, seconds: float) -> bool:
    """Return whether something comes before the process has used `seconds` of CPU time (it may have to wait for the CPU)."""
    if connection.poll(seconds / 2):
        return True
    assert process is not None
    start = latest = cpu_seconds(process)
    moved = time.monotonic()
    while not connection.poll(0.5):
        used = cpu_seconds(process)
        if used > latest:
            latest, moved = used, time.monotonic()
        if used - start > seconds or time.monotonic() - moved > STALLED:
            return connection.poll()
    return True


@contextmanager
def environment(changes: dict[str, str]) -> Iterator[None]:
    """Change the environment for processes that start meanwhile."""
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
