"""The stopwatch times calls, in nerfsem's own loops and in plain torch, and its rows tell how far they are from what is possible.

Every figure is the least of some medians; the reference is plain torch (gather forward, index_add_ backward) on all cores. The
limit is what cannot be avoided: bytes over the bandwidth of a copy, or operations over the rate of a large matrix product, both
measured in the same run; it counts no latency and no addressing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import torch

from nerfsem_method.compiled.threads import THREADS
from nerfsem_method.training.backend import using

COLUMNS = ("what", "plain torch", "nerfsem", "faster", "limit", "times the limit", "bar")


@dataclass(frozen=True)
class Row:
    """A row tells how long something takes; times are in seconds.

    The bar is `faster`, times faster than the reference, or `within`, seconds.
    """

    what: str
    ours: float
    reference: float | None = None
    limit: float | None = None
    faster: float | None = None
    within: float | None = None

    def cells(self) -> tuple[str, ...]:
        """Return the cells of COLUMNS."""
        ratio = self.reference / self.ours if self.reference else None
        bar, held = "", True
        if self.faster and ratio:
            bar, held = f"{self.faster:g} x", ratio >= self.faster
        elif self.within:
            bar, held = f"< {self.within:g} s", self.ours < self.within
        return (
            self.what,
            _time(self.reference),
            _time(self.ours),
            f"{ratio:.1f} x" if ratio else "",
            _time(self.limit),
            f"{self.ours / self.limit:.1f} x" if self.limit else "",
            bar + ("" if held else " **not held**"),
        )


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.{1 if seconds < 0.1 else 0}f} ms"


@dataclass(frozen=True)
class Stopwatch:
    """A stopwatch times calls; with `once` each is made a single time, which is enough to try a program."""

    once: bool = False

    def timed(self, work: Callable[[], object], repetitions: int = 7, rounds: int = 3) -> float:
        """Return the seconds of a call: the least of some medians, so that a neighbour who takes the processor does not count."""
        self._warm_up(work)
        return min(self._median(work, repetitions) for _ in range(1 if self.once else rounds))

    def compared(self, work: Callable[[], object], repetitions: tuple[int, int] = (7, 3)) -> tuple[float, float]:
        """Return seconds in nerfsem's loops, and in plain torch: by turns, so that a neighbour disturbs both or none."""
        self._warm_up(work)
        ours, plain = [], []
        for _ in range(1 if self.once else 8):
            ours.append(self._median(work, repetitions[0]))
            with self.reference():
                plain.append(self._median(work, repetitions[1]))
        return min(ours), min(plain)

    @contextmanager
    def reference(self) -> Iterator[None]:
        """Let plain torch compute on all cores; beside compiled loops, which bring their own threads, it has one."""
        before = torch.get_num_threads()
        torch.set_num_threads(1 if self.once else os.cpu_count() or 1)
        try:
            with using("plain"):
                yield
        finally:
            torch.set_num_threads(before)

    def _warm_up(self, work: Callable[[], object]) -> None:
        if not self.once:
            work()

    def _median(self, work: Callable[[], object], repetitions: int) -> float:
        seconds = []
        for _ in range(1 if self.once else repetitions):
            started = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started)
        return median(seconds)


@dataclass(frozen=True)
class Machine:
    """A machine moves so many bytes, and does so many operations, a second at best."""

    bandwidth: float
    rate: float

    @classmethod
    def measured(cls, stopwatch: Stopwatch) -> Machine:
        """Copy 256 MB and multiply matrices of side 1536, on all cores."""
        source, target = torch.ones(1 << 26), torch.empty(1 << 26)
        matrix = torch.rand(1536, 1536)
        copied = stopwatch.timed(lambda: target.copy_(source), 5)
        multiplied = stopwatch.timed(lambda: matrix @ matrix, 5)
        return cls(2 * source.nbytes / copied, 2 * 1536**3 / multiplied)

    def limit(self, moved: float, operations: float) -> float:
        """Return the seconds that so many bytes and operations take at least."""
        return max(moved / self.bandwidth, operations / self.rate)

    def note(self) -> str:
        """Return a sentence on threads, load and what the limits were computed from."""
        return (
            f"{THREADS} threads, load {os.getloadavg()[0]:.1f} at the end; a copy moves {self.bandwidth / 1e9:.1f} GB/s, "
            f"a matrix product does {self.rate / 1e9:.0f} GFLOP/s."
        )
