"""Python threads do the work of all cores: compiled functions run in them without the interpreter's lock.

They stand in place of numba's own threads: those exist in three kinds, of which one stops the process when two threads ask at
once (training and viewer), one spins beside torch's, and one is rarely installed. Loops compile several times faster without.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue

import numba

from nerfsem_method.desk import after_fork

THREADS: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
"""There is one thread a core, or as many as NUMBA_NUM_THREADS says."""


@cache
def _inboxes() -> list[SimpleQueue]:
    """Start all threads but the caller's own, and return the queues from which they take their work."""
    inboxes: list[SimpleQueue] = [SimpleQueue() for _ in range(1, THREADS)]
    for inbox in inboxes:
        threading.Thread(target=_serve, args=(inbox,), name="nerfsem", daemon=True).start()
    return inboxes


after_fork(_inboxes.cache_clear)


def _serve(inbox: SimpleQueue) -> None:
    while True:
        work, arguments, outbox = inbox.get()
        try:
            work(*arguments)
            outbox.put(None)
        except BaseException as error:
            outbox.put(error)
        del work, arguments, outbox  # nothing is kept alive while the thread waits


def parts(count: int) -> list[tuple[int, int]]:
    """Return the (start, stop) of each thread's part of range(count): THREADS even parts, always the same ones."""
    bounds = [count * thread // THREADS for thread in range(THREADS + 1)]
    return list(zip(bounds, bounds[1:], strict=False))


def in_parts(count: int, work: Callable[[int, int, int], None]) -> None:
    """Call work(thread, start, stop) for all `parts` of range(count) at the same time; `work` must not do so in its turn."""
    mine, *others = parts(count)
    given = [(thread, *part) for thread, part in enumerate(others, 1) if part[0] < part[1]]
    outbox: SimpleQueue = SimpleQueue()
    # a training step comes here eight times: an executor's futures take four times as long to wake a thread
    for arguments in given:
        _inboxes()[arguments[0] - 1].put((work, arguments, outbox))
    try:
        work(0, *mine)
    finally:
        errors = [outbox.get() for _ in given]
    for error in errors:
        if error is not None:
            raise error


def in_turns(count: int, work: Callable[[int], None]) -> None:
    """Call work(0) ... work(count - 1), each on whichever thread is free; they must not touch the same data."""
    turns = iter(range(count))  # the interpreter's lock makes a step of it indivisible

    def take(*_: int) -> None:
        for turn in turns:
            work(turn)

    in_parts(THREADS, take)
