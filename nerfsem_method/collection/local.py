"""Without a scheduler this machine does the work: as many items at once as its cores and its memory carry."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from nerfsem_method.collection.attempt import attempt
from nerfsem_method.collection.job import Job, Outcome
from nerfsem_method.desk import cores

ITEM_BYTES = 4e9
"""Training 300 frames of 720x1280 with `standard` takes 3.7 GB (docs/results.md); smaller clips take less."""
_LIMITS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
_GROUPS = Path("/sys/fs/cgroup")


class Local:
    """The engine of this machine has a thread for each item that is worked on; each thread looks after one process."""

    def __init__(self, workers: int | None) -> None:
        count = cores()
        self.window = workers or carried(count, free_memory(), has_gpu())
        self._threads = max(1, count // self.window)
        self._pool = ThreadPoolExecutor(self.window, "nerfsem item")
        self._stopped = threading.Event()

    def __str__(self) -> str:
        return f"{self.window} at once on this machine, with {self._threads} threads each"

    def submit(self, job: Job, heard: Callable[[Future[Outcome]], None]) -> None:
        """Have a job done; `heard` is called with its future when it is."""
        self._pool.submit(attempt, replace(job, threads=self._threads), self._stopped.is_set).add_done_callback(heard)

    def check(self) -> None:
        """Do nothing: this machine is there."""

    def close(self) -> None:
        """End all processes that are at work."""
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)


def carried(count: int, memory: float, gpu: bool) -> int:
    """Return how many items so many cores and so much free memory, in bytes, carry at once; a GPU trains one at a time."""
    return 1 if gpu else max(1, min(count, int(memory // ITEM_BYTES)))


def has_gpu() -> bool:
    """Return whether there is a GPU of NVIDIA's that this process may use."""
    return Path("/proc/driver/nvidia/gpus").is_dir() and os.environ.get("CUDA_VISIBLE_DEVICES", "all") not in ("", "-1")


def free_memory() -> float:
    """Return the bytes of memory that are free here, within the limit of this process's group where it has one."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        free = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for limit, used in _LIMITS:
        try:
            free = min(free, float((_GROUPS / limit).read_text()) - float((_GROUPS / used).read_text()))
        except (OSError, ValueError):  # there is no such file, or it says "max"
            continue
    return free
