"""Work for all cores: Python threads in which compiled functions run without the interpreter's lock.

In place of numba's own threads: those exist in three kinds, of which one stops the process when two threads ask at once
(training and viewer), one spins beside torch's, and one is rarely installed. And loops compile several times faster so.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue

import numba

THREADS: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
"""One a core, or what NUMBA_NUM_THREADS says."""


@cache
def _inboxes() -> list[SimpleQueue]:
    """Where each further thread takes its parts from; the first call starts them."""
    inboxes: list[SimpleQueue] = [SimpleQueue() for _ in range(1, THREADS)]
    for inbox in inboxes:
        threading.Thread(target=_serve, args=(inbox,), name="nerfsem", daemon=True).start()
    return inboxes


os.register_at_fork(after_in_child=_inboxes.cache_clear)


def _serve(inbox: SimpleQueue) -> None:
    while True:
        work, part, outbox = inbox.get()
        try:
            work(*part)
            outbox.put(None)
        except BaseException as error:
            outbox.put(error)
        del work, part, outbox  # while waiting, nothing is kept alive


def share(count: int, work: Callable[[int, int, int], None]) -> None:
    """Call work(thread, start, stop) for THREADS even parts of range(count) at the same time; the parts are always the same.

    `work` must not share in its turn.
    """
    bounds = [count * thread // THREADS for thread in range(THREADS + 1)]
    parts = [(thread, *bounds[thread : thread + 2]) for thread in range(1, THREADS) if bounds[thread] < bounds[thread + 1]]
    outbox: SimpleQueue = SimpleQueue()
    for part in parts:  # a training step shares eight times: an executor's futures take four times as long to wake a thread
        _inboxes()[part[0] - 1].put((work, part, outbox))
    try:
        work(0, bounds[0], bounds[1])
    finally:
        errors = [outbox.get() for _ in parts]
    for error in errors:
        if error is not None:
            raise error


def each(count: int, work: Callable[[int], None]) -> None:
    """Call work(0) ... work(count - 1), each on whichever thread is free; they must not touch the same data."""
    turns = iter(range(count))  # threads take turns: the interpreter's lock makes a step of it indivisible

    def take(*_: int) -> None:
        for turn in turns:
            work(turn)

    share(THREADS, take)
