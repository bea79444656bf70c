"""This module tells how far a collection is, and whether its bundles are sound."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nerfsem_method.background.sound import read_sound
from nerfsem_method.collection import store
from nerfsem_method.collection.shelf import BUNDLES, Shelf
from nerfsem_method.collection.stamps import file_hash
from nerfsem_method.collection.store import Row
from nerfsem_method.errors import NerfsemError, printable
from nerfsem_method.locks import LOCK, hold
from nerfsem_method.progress import clock, track


def status(out: Path) -> dict[str, Any]:
    """Return what `collection status --json` prints: counts of the states, whether a command is at work, and all items.

    Raises NerfsemError where `out` is no collection.
    """
    with store.seen(out) as states:
        rows = states.rows()
    counts = {state: sum(row.state == state for row in rows) for state in store.STATES}
    return {"at_work": _at_work(out), "counts": counts, "items": [_facts(row) for row in rows]}


def as_text(found: dict[str, Any]) -> str:
    """Return a status as lines for people: counts, and the reason of each item that failed."""
    counts, items = found["counts"], found["items"]
    done = [item for item in items if item["state"] == "done"]
    interrupted = "" if found["at_work"] else ", from a command that was interrupted"
    lines = [
        f"{len(items)} items",
        f"  done      {counts['done']}{_sum(done)}",
        f"  failed    {counts['failed']}",
        f"  running   {counts['running']}{interrupted if counts['running'] else ''}",
        f"  waiting   {counts['waiting']}",
    ]
    told = [item for item in items if item["reason"]]
    lines += [f"  {item['state']:<9} {printable(item['name'])}: {printable(item['reason'])}" for item in told]
    return "\n".join(lines)


def verify(out: Path) -> list[str]:
    """Read and decode the bundle of each item that is done, and return what is wrong, a line each.

    Raises NerfsemError where `out` is no collection.
    """
    with store.seen(out) as states:
        rows = [row for row in states.rows() if row.state == "done"]
    shelf = Shelf(out)
    return [text for row in track(rows, "verifying", len(rows)) if (text := _damage(shelf.bundle(row), row))]


def strays(out: Path) -> list[Path]:
    """Return the bundles that belong to no item that is done. Raises NerfsemError where `out` is no collection."""
    with store.seen(out) as states:
        kept = {row.bundle for row in states.rows() if row.state == "done"}
    return [path for path in _files(out / BUNDLES) if path.relative_to(out / BUNDLES).as_posix() not in kept]


def _facts(row: Row) -> dict[str, Any]:
    """Return a row as programs read it; names that are no UTF-8 have escapes."""
    held = dict(vars(row))
    for key in ("stamp", "content", "options"):
        del held[key]
    return {
        key: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for key, value in held.items()
    }


def _sum(done: list[dict[str, Any]]) -> str:
    """Return what the items that are done take together, in bytes and in time."""
    size, seconds = (sum(item[key] for item in done) for key in ("bytes", "seconds"))
    return f", {size / 1e6:.2f} MB; {clock(seconds / len(done))} an item" if done else ""


def _at_work(out: Path) -> bool:
    """Return whether a command holds the folder now."""
    if not (out / LOCK).exists():
        return False
    try:
        descriptor = hold(out / LOCK)
    except OSError:
        return False
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


def _damage(path: Path, row: Row) -> str:
    """Return what is wrong with a bundle, nothing where it is sound."""
    name = printable(row.name)
    if (found := file_hash(path)) is None:
        return f"{name}: {printable(str(path))} is gone; the command of the collection makes it again"
    try:
        read_sound(path)
    except NerfsemError as error:
        return f"{name}: {error}"
    return "" if found == row.sha256 else f"{name}: {printable(str(path))} is not the bundle that was written here"


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*.nsem")) if path.is_file() and not path.name.startswith("."))
