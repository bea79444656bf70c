"""A folder of clips becomes a folder of bundles here, and the same command goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from nerfsem_method import log
from nerfsem_method.collection import metadata, store
from nerfsem_method.collection.cluster import Cluster
from nerfsem_method.collection.course import Course
from nerfsem_method.collection.items import Item, find
from nerfsem_method.collection.local import Local
from nerfsem_method.collection.plan import Plan, plan
from nerfsem_method.collection.shelf import WORK, Shelf
from nerfsem_method.collection.stamps import options_hash
from nerfsem_method.collection.store import Store
from nerfsem_method.errors import NerfsemError, OutputError
from nerfsem_method.files import check_writable, writing
from nerfsem_method.locks import LOCK, locked
from nerfsem_method.outputs import check_apart
from nerfsem_method.pipeline import Options
from nerfsem_method.stopping import GO_ON


@dataclass(frozen=True)
class Means:
    """These are the means by which a collection is compressed: which machines, how many items at once, and what they get.

    Attributes:
        workers: So many items are worked on at once on this machine; None takes as many as it carries.
        scheduler: The address of a Dask scheduler, whose workers do the work instead.
        send: Clips are sent along with their tasks, for workers that do not see their paths.
        resources: A worker of the scheduler must have these, NAME=NUMBER, free for an item.
        table: This table has the metadata of the pieces.
        again: Items that failed are begun again, whatever the reason.
    """

    workers: int | None = None
    scheduler: str | None = None
    send: bool = False
    resources: tuple[str, ...] = ()
    table: Path | None = None
    again: bool = False


def compress(clips: Path, out: Path, options: Options, means: Means, tell: Callable[[str], None] = print) -> None:
    """Compress all clips of a folder into `out`; `tell` hears what is passed over, and what fails, a line each.

    Raises:
        NerfsemError: Nothing can be begun, the disk is full, the scheduler has gone; or, at the end, items have failed.
    """
    _check(clips, out, options, means)
    found = find(clips)
    records = metadata.read(means.table, found.items) if means.table else None
    for line in [*found.passed_over, *(records.remarks if records else ())]:
        tell(f"warning: {line}")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    _check_ours(out)
    check_writable(out / store.NAME)
    with locked(out), log.kept_in(out), store.opened(out) as states:
        shelf = Shelf(out)
        made = plan(found.items, states.rows(), options_hash(options), shelf, means.again)
        shelf.clear(made.rows.values(), made.todo)
        states.put(made.changed)
        if records:
            _describe(made, found.items, records.of_items, shelf, states)
        _run(made, options, means, states, shelf, tell)
        failed = [item for item in found.items if made.rows[item.name].state == "failed"]
        tell(f"{out}: {len(found.items) - len(failed)} of {len(found.items)} items are done")
    if failed:
        raise NerfsemError(
            f"{len(failed)} of {len(found.items)} items failed; `nerfsem collection status {out}` tells why, and --again begins "
            "them anew"
        )


def _check(clips: Path, out: Path, options: Options, means: Means) -> None:
    """Raise NerfsemError for what cannot be meant, before anything is read or written."""
    options.check()
    if options.capture.mattes is not None:
        raise NerfsemError("--mattes is for one clip; in a collection mattes lie beside each, relic_mattes/ beside relic.mp4")
    if means.scheduler is None and (means.send or means.resources):
        raise NerfsemError("--send-inputs and --resources are for the workers of a --scheduler; name one, or leave them out")
    if means.scheduler is not None and means.workers is not None:
        raise NerfsemError("--workers is for this machine; with --scheduler, start as many Dask workers as you want")
    if means.workers is not None and means.workers < 1:
        raise NerfsemError(f"--workers {means.workers} does no work; give 1 or more")
    check_apart([out], [clips])


def _check_ours(out: Path) -> None:
    """Raise OutputError where OUT is a folder of somebody else's files."""
    held = {path.name for path in out.iterdir()} - {LOCK, log.NAME}
    if held and store.NAME not in held:
        raise OutputError(f"{out} holds other files ({sorted(held)[0]}) and no collection; name a new or empty folder")


def _describe(made: Plan, items: list[Item], records: dict[str, dict[str, str]], shelf: Shelf, states: Store) -> None:
    """Give bundles that are done the metadata of now, and note that of the others."""
    changed = []
    for item in items:
        row, record = made.rows[item.name], records.get(item.name, {})
        if row.metadata == record:
            continue
        if row.state == "done":
            made.rows[item.name] = shelf.describe(row, record, states)
        else:
            made.rows[item.name] = replace(row, metadata=record)
            changed.append(made.rows[item.name])
    states.put(changed)


def _run(made: Plan, options: Options, means: Means, states: Store, shelf: Shelf, tell: Callable[[str], None]) -> None:
    """Do what is to be done."""
    if not made.todo:
        return
    engine = Cluster(means.scheduler, means.resources) if means.scheduler is not None else Local(means.workers)
    with closing(engine):
        tell(f"{len(made.todo)} of {len(made.rows)} items are to be done, {engine}")
        try:
            Course(made, options, engine, states, shelf, means.send, tell).run()
        except (KeyboardInterrupt, OutputError) as stop:
            stop.add_note(GO_ON)
            raise
    with suppress(OSError):  # work on items that may be tried again stays
        (shelf.out / WORK).rmdir()
