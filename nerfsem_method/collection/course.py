"""This module leads a plan to its end: items are handed to an engine, and what comes back is written, by this process alone.

A row says "running" from when its item is begun. After a kill at any moment the next command finds such rows and begins the items
again, but for those whose bundle was just written: the row holds the bundle's hash before the bundle takes its name.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from queue import Empty, SimpleQueue
from typing import Protocol

from nerfsem_method.collection.items import Item
from nerfsem_method.collection.job import Job, Outcome
from nerfsem_method.collection.plan import Plan
from nerfsem_method.collection.shelf import Shelf
from nerfsem_method.collection.stamps import content_hash, contents, options_hash, stamp
from nerfsem_method.collection.store import Row, Store
from nerfsem_method.errors import CaptureError, NerfsemError, one_line, printable
from nerfsem_method.files import is_full, no_space
from nerfsem_method.log import LOG
from nerfsem_method.pipeline import Options
from nerfsem_method.progress import progress_bar

TRIES = 3
"""An item that fails for another reason than its clip, such as a lost worker, is begun so many times in all."""
CHECK_SECONDS = 5.0
"""When nothing has come back for so long, the engine is asked whether it is still there."""

Heard = Callable[["Future[Outcome]"], None]


class Engine(Protocol):
    """An engine does jobs, `window` of them at once, and calls back with the future of each."""

    @property
    def window(self) -> int: ...
    def submit(self, job: Job, heard: Heard) -> None: ...
    def check(self) -> None: ...


@dataclass
class Course:
    """A course is the way of all items of a plan to their ends; `tell` hears of failures, a line each."""

    plan: Plan
    options: Options
    engine: Engine
    store: Store
    shelf: Shelf
    send: bool
    tell: Callable[[str], None]
    _back: SimpleQueue[tuple[Item, Future[Outcome]]] = field(default_factory=SimpleQueue)
    _failed: int = 0

    @cached_property
    def _options_hash(self) -> str:
        return options_hash(self.options)

    def run(self) -> None:
        """Do all items of the plan. Raises OutputError when the disk is full, NerfsemError when the engine has gone."""
        waiting, total, busy = deque(self.plan.todo), len(self.plan.todo), 0
        if not total:
            return
        with progress_bar("collection") as advance:
            while waiting or busy:
                while waiting and busy < self.engine.window:
                    busy += self._begin(waiting.popleft())
                if not busy:
                    break
                item, future = self._next()
                busy -= 1
                if self._end(item, _result(future)):
                    waiting.append(item)
                advance(total - len(waiting) - busy, total, f"{self._failed} failed" if self._failed else "")

    def _next(self) -> tuple[Item, Future[Outcome]]:
        """Return the next item that comes back."""
        while True:
            try:
                return self._back.get(timeout=CHECK_SECONDS)
            except Empty:
                self.engine.check()

    def _begin(self, item: Item) -> bool:
        """Hand an item to the engine; return whether it is there now, and has not failed at once."""
        row = self.plan.rows[item.name]
        row = replace(row, state="running", attempts=row.attempts + 1, options=self._options_hash, sha256="")
        try:
            row = replace(row, stamp=stamp(item), content=content_hash(item))
            job = self._job(item)
        except CaptureError as error:
            self._fail(item, row, Outcome(reason=str(error)))
            return False
        self._note(row)
        self.engine.submit(job, partial(self._heard, item))
        return True

    def _heard(self, item: Item, future: Future[Outcome]) -> None:
        """Take an item back, in whichever thread its engine has."""
        self._back.put((item, future))

    def _job(self, item: Item) -> Job:
        shelf, source, mattes = self.shelf, item.source.absolute(), item.mattes and item.mattes.absolute()
        job = Job(item.name, str(source), mattes and str(mattes), self.options, str(shelf.page(item).absolute()))
        if not self.send:
            return replace(job, work=str(shelf.work(item).absolute()))
        beside = f"mattes/{mattes.name}" if mattes else None
        return replace(job, source=f"clip/{source.name}", mattes=beside, files=contents(item))

    def _end(self, item: Item, outcome: Outcome) -> bool:
        """Write what came of an item; return whether it is to be tried again. Raises OutputError when the disk is full."""
        row = self.plan.rows[item.name]
        if outcome.bundle is not None:
            outcome = self._kept(item, row, outcome)
        if outcome.bundle is not None:
            LOG.info("%s: done in %.0f s", printable(item.name), outcome.seconds)
            return False
        if not outcome.lasting and is_full(self.shelf.out):
            raise no_space(self.shelf.out)
        if outcome.lasting or row.attempts >= TRIES:
            self._fail(item, row, outcome)
            return False
        LOG.info("%s: to be tried again: %s", printable(item.name), outcome.reason)
        self._note(replace(row, state="waiting", reason=outcome.reason))
        return True

    def _kept(self, item: Item, row: Row, outcome: Outcome) -> Outcome:
        """Write a bundle; return the outcome, with the reason in place of the bundle where that cannot be."""
        try:
            if stamp(item) != row.stamp:
                return replace(outcome, bundle=None, reason="its clip was changed while it was worked on")
            self.plan.rows[item.name] = self.shelf.keep(item, row, outcome, self.store)
        except NerfsemError as error:
            return replace(outcome, bundle=None, reason=str(error))
        return outcome

    def _fail(self, item: Item, row: Row, outcome: Outcome) -> None:
        row = replace(
            row, state="failed", reason=one_line(outcome.reason), lasting=outcome.lasting, facts=outcome.facts,
            seconds=round(outcome.seconds, 2), sha256="", bytes=0,
        )  # fmt: skip
        self.shelf.keep_failure(item, row, outcome, self.store)
        self.plan.rows[item.name] = row
        self._failed += 1
        line = f"failed: {printable(item.name)}: {row.reason}"
        LOG.info("%s", line)
        self.tell(line)

    def _note(self, row: Row) -> None:
        self.plan.rows[row.name] = row
        self.store.put([row])


def _result(future: Future[Outcome]) -> Outcome:
    """Return a future's outcome; what an engine lost, or raised, is a reason to try again."""
    try:
        return future.result()
    except (CancelledError, asyncio.CancelledError):
        return Outcome(reason="its task was cancelled")
    except Exception as error:
        LOG.info("an engine's task failed", exc_info=error)
        return Outcome(reason=f"its worker was lost or failed ({type(error).__name__}: {one_line(error)[:300]})")
