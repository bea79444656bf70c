"""Long work tells how far it is: with a bar on a terminal, in a plain line every few seconds anywhere else."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TextIO, TypeVar

from nerfsem_method.log import LOG

SECONDS = 5.0
"""A plain line comes so often: a log must neither fall silent nor fill up."""

Advance = Callable[..., None]
"""A stage tells its progress by calling one of these with (done, total), and facts such as "loss 0.01" where it has some."""
Item = TypeVar("Item")
_SILENT = ContextVar("silent", default=False)


@contextmanager
def silent() -> Iterator[None]:
    """Show no progress in the block; logs hear of it as ever."""
    token = _SILENT.set(True)
    try:
        yield
    finally:
        _SILENT.reset(token)


@contextmanager
def progress_bar(label: str, stream: TextIO | None = None) -> Iterator[Advance]:
    """Show the progress of one stage on a stream, standard output by default, and yield its Advance."""
    heard = stream or sys.stdout
    stage = (_Silence if _SILENT.get() else _Bar if _is_terminal(heard) else _Lines)(label, heard)
    started = time.monotonic()
    LOG.info("%s: begins", label)
    try:
        yield stage.advance
    except BaseException as error:
        LOG.info("%s: stopped after %s by %s", label, clock(time.monotonic() - started), type(error).__name__)
        stage.close(whole=False)
        raise
    stage.close(whole=True)
    LOG.info("%s: done in %s", label, clock(time.monotonic() - started))


def track(items: Iterable[Item], label: str, total: int, stream: TextIO | None = None) -> Iterator[Item]:
    """Yield the items, and tell how many of `total` are done."""
    with progress_bar(label, stream) as advance:
        for done, item in enumerate(items):
            advance(done, total)
            yield item
        advance(total, total)


def part_of(advance: Advance, start: int, stop: int) -> Advance:
    """Return what tells of a part of a stage, from `start` to `stop` percent of it."""
    return lambda done, total: advance(start + (stop - start) * min(done, total) // max(total, 1), 100)


def clock(seconds: float) -> str:
    """Return a time as 0:42, 12:05 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _is_terminal(stream: TextIO) -> bool:
    """Return whether a line on the stream can be written over; rich would also take CI for a terminal that asks for colours."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class _Silence:
    """Silence takes what a stage tells."""

    def __init__(self, label: str, stream: TextIO) -> None:
        pass

    def advance(self, done: int, total: int, facts: str = "") -> None:
        """Say nothing."""

    def close(self, whole: bool) -> None:
        """Say nothing."""


class _Bar:
    """A bar fills up on a terminal."""

    def __init__(self, label: str, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description:<24}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        facts = TextColumn("{task.fields[facts]}", markup=False)
        self._bar = Progress(*columns, TextColumn("left"), TimeRemainingColumn(), facts, console=Console(file=stream))
        self._task = self._bar.add_task(label, total=None, facts="")
        self._bar.start()

    def advance(self, done: int, total: int, facts: str = "") -> None:
        """Fill the bar to `done` of `total`."""
        self._bar.update(self._task, completed=done, total=max(total, done) or None, facts=facts)

    def close(self, whole: bool) -> None:
        """End the bar, full if the stage has come to its end."""
        if whole:
            total = self._bar.tasks[0].total or 1
            self._bar.update(self._task, completed=total, total=total)
        self._bar.stop()


class _Lines:
    """Lines are told by a thread, so that a stage that says nothing for minutes is heard of as well."""

    def __init__(self, label: str, stream: TextIO) -> None:
        self._label, self._stream, self._started = label, stream, time.monotonic()
        self._done, self._total, self._facts = 0, 0, ""
        self._ended = threading.Event()
        self._teller = threading.Thread(target=self._tell_now_and_then, name="nerfsem progress", daemon=True)
        self._teller.start()

    def advance(self, done: int, total: int, facts: str = "") -> None:
        """Note that `done` of `total` is done."""
        self._done, self._total, self._facts = done, max(total, done), facts

    def close(self, whole: bool) -> None:
        """End the lines, with a last one if the stage has come to its end."""
        self._ended.set()
        self._teller.join()
        if whole:
            self._done = self._total = max(self._total, 1)
            self._tell()

    def _tell_now_and_then(self) -> None:
        while not self._ended.wait(SECONDS):
            self._tell()

    def _tell(self) -> None:
        done, total, elapsed = self._done, self._total, time.monotonic() - self._started
        share = f"{100 * done / total:3.0f} %" if total else "     "
        left = f", {clock(elapsed * (total - done) / done)} left" if 0 < done < total else ""
        facts = f"  {self._facts}" if self._facts else ""
        with suppress(OSError, ValueError):  # where the listener has gone, whoever writes the result says so
            print(f"{self._label:<24} {share}  {clock(elapsed)} elapsed{left}{facts}", file=self._stream, flush=True)
