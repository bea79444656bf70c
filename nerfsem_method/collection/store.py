"""The states of all items lie in OUT/collection.sqlite, where each change is complete or absent, whenever the process is killed.

SQLite keeps a write-ahead log, so that `status` reads while a command is at work. One process writes: the one that holds OUT.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from nerfsem_method.errors import NerfsemError, OutputError
from nerfsem_method.files import DISK_FULL, no_space

NAME = "collection.sqlite"
VERSION = 1
"""The table has this form; another number is of another version of nerfsem."""
State = Literal["waiting", "running", "done", "failed"]
STATES: tuple[State, ...] = ("waiting", "running", "done", "failed")
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_TABLE = """CREATE TABLE items (
    name BLOB PRIMARY KEY, state TEXT NOT NULL, stamp TEXT NOT NULL, content TEXT NOT NULL, options TEXT NOT NULL,
    attempts INTEGER NOT NULL, reason TEXT NOT NULL, lasting INTEGER NOT NULL, bundle BLOB NOT NULL, bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL, seconds REAL NOT NULL, metadata TEXT NOT NULL, facts TEXT NOT NULL, changed TEXT NOT NULL
) WITHOUT ROWID"""


@dataclass(frozen=True)
class Row:
    """A row is all that is known of an item.

    Attributes:
        name: The item's name, its clip's path below the folder of clips.
        stamp: This says of which files the state tells, `content` of which bytes, `options` with which options.
        attempts: The item was begun so many times since it last changed.
        reason: It failed for this reason; for a done one, what its owner must know.
        lasting: The reason lies in the clip, so that trying again would end in the same way.
        bundle: The bundle's path below the folder of bundles, of so many `bytes`, with this `sha256`.
        seconds: The last attempt took so long.
        metadata: These Dublin Core elements were asked for.
        facts: These figures are of the capture and of the decoded bundle.
        changed: The row was written at this time (UTC).
    """

    name: str
    state: State = "waiting"
    stamp: str = ""
    content: str = ""
    options: str = ""
    attempts: int = 0
    reason: str = ""
    lasting: bool = False
    bundle: str = ""
    bytes: int = 0
    sha256: str = ""
    seconds: float = 0.0
    metadata: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    changed: str = ""


_COLUMNS = tuple(column.name for column in fields(Row))


class Store:
    """A store holds the rows of one collection; `opened` and `seen` make one."""

    def __init__(self, database: sqlite3.Connection, path: Path) -> None:
        self._database, self._path = database, path

    def rows(self) -> list[Row]:
        """Return all rows in the order of their names."""
        with self._asking():
            return [_row(values) for values in self._database.execute(f"SELECT {', '.join(_COLUMNS)} FROM items ORDER BY name")]

    def counts(self) -> dict[State, int]:
        """Return the number of items in each state."""
        with self._asking():
            found = dict(self._database.execute("SELECT state, count(*) FROM items GROUP BY state"))
        return {state: found.get(state, 0) for state in STATES}

    def put(self, rows: Iterable[Row]) -> None:
        """Write rows, all or none of them. Raises OutputError where the disk refuses."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        marks = ", ".join("?" * len(_COLUMNS))
        with self._asking(), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(
                f"INSERT OR REPLACE INTO items ({', '.join(_COLUMNS)}) VALUES ({marks})", (_values(row, now) for row in rows)
            )

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Raise OutputError for what SQLite cannot write or read in the block."""
        try:
            yield
        except sqlite3.Error as error:
            if (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in _FULL:
                raise no_space(self._path.parent, DISK_FULL[0], "go on elsewhere with a copy of it") from None
            raise OutputError(
                f"{self._path} cannot be used ({error}); restore it from a copy, or begin in a new folder"
            ) from None


@contextmanager
def opened(out: Path) -> Iterator[Store]:
    """Yield the store of a folder, to be written, and made if it is not there. Raises OutputError."""
    path = out / NAME
    fresh = not path.exists()
    with _connected(path, f"file:{_quoted(path)}?mode=rwc") as database:
        store = Store(database, path)
        with store._asking():
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")  # a kill loses nothing; the machine's own crash the last moments
            database.execute("BEGIN IMMEDIATE")
            with database:
                if fresh or not database.execute("SELECT 1 FROM sqlite_master").fetchone():
                    database.execute(_TABLE)
                    database.execute(f"PRAGMA user_version = {VERSION}")
        _check(database, path)
        yield store


@contextmanager
def seen(out: Path) -> Iterator[Store]:
    """Yield the store of a folder, to be read alone, while a command writes it or on a disk that takes nothing.

    Raises NerfsemError where there is none.
    """
    path = out / NAME
    if not path.is_file():
        raise NerfsemError(f"{out} holds no collection; name the OUT of a `nerfsem collection compress`")
    log = path.with_name(f"{NAME}-wal")
    try:
        with _connected(path, f"file:{_quoted(path)}?mode=ro") as database:
            _check(database, path)
            yield Store(database, path)
    except sqlite3.OperationalError:
        if log.exists() and log.stat().st_size:
            raise OutputError(
                f"{path} was not closed, and cannot be read where nothing can be written; copy {out} first"
            ) from None
        with _connected(path, f"file:{_quoted(path)}?immutable=1") as database:
            _check(database, path)
            yield Store(database, path)


@contextmanager
def _connected(path: Path, address: str) -> Iterator[sqlite3.Connection]:
    try:
        database = sqlite3.connect(address, uri=True, isolation_level=None, timeout=30)
    except sqlite3.Error as error:
        raise OutputError(f"{path} cannot be opened ({error}); name another folder") from None
    try:
        yield database
    finally:
        with suppress(sqlite3.Error):
            database.close()


def _check(database: sqlite3.Connection, path: Path) -> None:
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise OutputError(f"{path} is damaged ({error}); restore it from a copy, or begin in a new folder") from None
    if version != VERSION:
        raise OutputError(f"{path} was written by another version of nerfsem (its form is {version}); begin in a new folder")


def _quoted(path: Path) -> str:
    """Return a path as SQLite's addresses want it, bytes that are no UTF-8 included."""
    from urllib.parse import quote_from_bytes

    return quote_from_bytes(os.fsencode(path.absolute()))


def _values(row: Row, now: str) -> tuple[Any, ...]:
    """Return a row as SQLite holds it: names are bytes, for a file's name need not be text."""
    held = {**vars(row), "name": os.fsencode(row.name), "bundle": os.fsencode(row.bundle), "changed": now}
    held |= {key: json.dumps(held[key], sort_keys=True) for key in ("metadata", "facts")}
    return tuple(held[column] for column in _COLUMNS)


def _row(values: tuple[Any, ...]) -> Row:
    held = dict(zip(_COLUMNS, values, strict=True))
    held |= {key: os.fsdecode(held[key]) for key in ("name", "bundle")} | {
        key: json.loads(held[key]) for key in ("metadata", "facts")
    }
    return Row(**{**held, "lasting": bool(held["lasting"])})
