"""Ctrl-C, SIGTERM and SIGHUP stop a command in the same way: what is half done is cleared away, and one line is said."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nerfsem_method.desk import SIGNALS
from nerfsem_method.errors import one_line

PATIENCE = 3.0
"""So many seconds long further signals are not heard: an impatient second Ctrl-C must not disturb the clearing away."""

GO_ON = "run the same command again to go on"
"""Commands that keep what is done say this when they are stopped."""


_waiting: list[int] | None = None
"""Signals that came within `undisturbed` wait here for its end."""


class Stopped(KeyboardInterrupt):
    """A signal asks to stop. It is a KeyboardInterrupt, so that all code that clears away after one does so."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__("stopped")
        self.number = number


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise Stopped in the block when a signal asks to stop. Signals that the caller ignores, as nohup does, stay ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    last = [-PATIENCE]

    def stop(number: int, _: FrameType | None) -> None:
        if time.monotonic() - last[0] >= PATIENCE:
            last[0] = time.monotonic()
            if _waiting is None:
                raise Stopped(number)
            _waiting.append(number)

    heard = {number: signal.getsignal(number) for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN}
    for number in heard:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let a signal wait for the end of the block, which must be short: who begins a process must know it, to end it."""
    global _waiting  # noqa: PLW0603 (signals are the process's, too)
    if _waiting is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    _waiting = waiting = []
    try:
        yield
    finally:
        _waiting = None
    if waiting:
        raise Stopped(waiting[0])


def advise(stop: KeyboardInterrupt, advice: str = GO_ON) -> None:
    """Have the farewell say how to go on."""
    if advice not in getattr(stop, "__notes__", []):
        stop.add_note(advice)


def farewell(stop: KeyboardInterrupt) -> int:
    """Say on stderr, in one line, that a command was stopped, with the notes of whoever knows how to go on; return its code."""
    notes = getattr(stop, "__notes__", [])
    print(f"nerfsem: {one_line('; '.join(['stopped', *notes]))}", file=sys.stderr)
    return 128 + getattr(stop, "number", signal.SIGINT)
