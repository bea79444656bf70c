"""The stopwatch of `benchmarks.speed`: calls are timed, in compiled loops and in plain torch, and become rows of a table.

Every figure is the least of some medians; the reference is plain torch (gather forward, index_add_ backward) on all cores. The
limit is what cannot be avoided: bytes over the bandwidth of a copy, or operations over the rate of a large matrix product, both
measured in the same run; it counts no latency and no addressing.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from nerfsem_method.compiled.threads import THREADS
from nerfsem_method.training.backend import using


@dataclass(frozen=True)
class Row:
    """One line of the table; times in seconds."""

    what: str
    ours: float
    reference: float | None = None
    limit: float | None = None
    faster: float | None = None
    """The bar: times faster than the reference."""
    within: float | None = None
    """The bar: seconds."""

    def cells(self) -> str:
        """A Markdown row."""
        ratio = self.reference / self.ours if self.reference else None
        bar, held = "", True
        if self.faster and ratio:
            bar, held = f"{self.faster:g} x", ratio >= self.faster
        elif self.within:
            bar, held = f"< {self.within:g} s", self.ours < self.within
        return (
            f"| {self.what} | {_time(self.reference)} | {_time(self.ours)} | {f'{ratio:.1f} x' if ratio else ''} "
            f"| {_time(self.limit)} | {f'{self.ours / self.limit:.1f} x' if self.limit else ''} "
            f"| {bar}{'' if held else ' **not held**'} |"
        )


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.{1 if seconds < 0.1 else 0}f} ms"


def timed(work: Callable[[], object], repetitions: int = 7, rounds: int = 3) -> float:
    """Seconds of a call: the least of some medians, so that a neighbour who takes the processor for a while does not count."""
    work()
    return min(_median(work, repetitions) for _ in range(rounds))


def compared(work: Callable[[], object], repetitions: tuple[int, int] = (7, 3), rounds: int = 8) -> tuple[float, float]:
    """Seconds in compiled loops, and in plain torch: by turns, so that a neighbour disturbs both or none."""
    work()
    ours, plain = [], []
    for _ in range(rounds):
        ours.append(_median(work, repetitions[0]))
        with reference():
            plain.append(_median(work, repetitions[1]))
    return min(ours), min(plain)


def _median(work: Callable[[], object], repetitions: int) -> float:
    seconds = []
    for _ in range(repetitions):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return median(seconds)


@contextmanager
def reference() -> Iterator[None]:
    """Plain torch on all cores. Compiled loops bring their own threads, so that torch has one beside them, as in training."""
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        with using("plain"):
            yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Machine:
    """What this machine can do at best: bytes and operations a second, measured on all cores."""

    bandwidth: float
    rate: float

    @classmethod
    def measured(cls) -> Machine:
        """Copy 256 MB, multiply matrices of side 1536."""
        source, target = torch.ones(1 << 26), torch.empty(1 << 26)
        matrix = torch.rand(1536, 1536)
        copied, multiplied = timed(lambda: target.copy_(source), 5), timed(lambda: matrix @ matrix, 5)
        return cls(2 * source.nbytes / copied, 2 * 1536**3 / multiplied)

    def limit(self, moved: float, operations: float) -> float:
        """Seconds for as many bytes and operations."""
        return max(moved / self.bandwidth, operations / self.rate)


def report(machine: Machine, rows: list[Row], ours: str = "compiled") -> str:
    """A section of RESULTS.md."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    load = os.getloadavg()[0]
    lines = [
        f"## Speed at {commit}",
        f"`python -m {_program()}`: {_processor()}, {THREADS} threads, load {load:.1f} at the end; a copy moves "
        f"{machine.bandwidth / 1e9:.1f} GB/s, a matrix product does {machine.rate / 1e9:.0f} GFLOP/s. {_accelerators()}",
        "",
        f"| what | plain torch | {ours} | faster | limit | times the limit | bar |",
        "|---" * 7 + "|",
        *(row.cells() for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _program() -> str:
    return f"benchmarks.{Path(sys.argv[0]).stem}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown processor"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor")


def _accelerators() -> str:
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else "absent"
    found = {name: importlib.util.find_spec(name) is not None for name in ("tinycudann", "triton")}
    return f"CUDA: {cuda}; " + ", ".join(f"{name}: {'present' if there else 'absent'}" for name, there in found.items()) + "."
