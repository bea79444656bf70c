"""Work for all cores: Python threads in which compiled functions run without the interpreter's lock.

In place of numba's own threads: those exist in three kinds, of which one stops the process when two threads ask at once
(training and viewer), one spins beside torch's, and one is rarely installed. And loops compile several times faster so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numba

THREADS: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
"""One a core, or what NUMBA_NUM_THREADS says."""


@cache
def _workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="nerfsem")


os.register_at_fork(after_in_child=_workers.cache_clear)


def share(count: int, work: Callable[[int, int, int], None]) -> None:
    """Call work(thread, start, stop) for THREADS even parts of range(count) at the same time; the parts are always the same."""
    bounds = [count * thread // THREADS for thread in range(THREADS + 1)]
    others = [
        _workers().submit(work, thread, bounds[thread], bounds[thread + 1])
        for thread in range(1, THREADS)
        if bounds[thread] < bounds[thread + 1]
    ]
    try:
        work(0, bounds[0], bounds[1])
    finally:
        for other in others:
            other.result()


def each(count: int, work: Callable[[int], None]) -> None:
    """Call work(0) ... work(count - 1), each on whichever thread is free; they must not touch the same data."""
    if THREADS == 1:
        for index in range(count):
            work(index)
        return
    for _ in _workers().map(work, range(count)):
        pass
