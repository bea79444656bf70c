"""The shelf is the folder of a collection, OUT: bundles, posters, what captures and processes say, and the work going on."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from nerfsem_method.codec import nsem
from nerfsem_method.codec.metadata import with_metadata
from nerfsem_method.collection.items import Item
from nerfsem_method.collection.job import Outcome
from nerfsem_method.collection.store import Row, Store
from nerfsem_method.files import partial_of, replacing, writing

BUNDLES, POSTERS, CAPTURES, LOGS, WORK = "bundles", "posters", "captures", "logs", "work"


@dataclass(frozen=True)
class Shelf:
    """A shelf is the folder OUT; only one process writes there, and each file appears whole."""

    out: Path

    def bundle(self, row: Row) -> Path:
        """Return the path of a row's bundle."""
        return self.out / BUNDLES / row.bundle

    def poster(self, item: Item) -> Path:
        """Return the path of an item's poster."""
        return self.out / POSTERS / f"{item.digest}.webp"

    def page(self, item: Item) -> Path:
        """Return the path of the page of an item's capture."""
        return self.out / CAPTURES / f"{item.digest}.html"

    def log(self, item: Item) -> Path:
        """Return the path of what an item that failed said last."""
        return self.out / LOGS / f"{item.digest}.log"

    def work(self, item: Item) -> Path:
        """Return the folder in which this machine works on an item."""
        return self.out / WORK / item.digest

    def holds(self, row: Row) -> bool:
        """Return whether a row's bundle is there, by its size; `collection verify` looks into it."""
        path = self.bundle(row)
        return path.is_file() and path.stat().st_size == row.bytes

    def keep(self, item: Item, row: Row, outcome: Outcome, store: Store) -> Row:
        """Write what came of an item, and return its row, which is written, too. Raises OutputError, BundleError."""
        assert outcome.bundle is not None, "a failed item has none"
        self._write(self.poster(item), outcome.poster)
        self._write(self.page(item), outcome.page)
        self._write(self.log(item), None)
        row = replace(row, facts=outcome.facts, seconds=round(outcome.seconds, 2), reason=outcome.reason, lasting=False)
        row = self.put(row, outcome.bundle, row.metadata, store)
        shutil.rmtree(self.work(item), ignore_errors=True)
        return row

    def put(self, row: Row, data: bytes, changes: dict[str, str], store: Store) -> Row:
        """Write a bundle with some elements of metadata changed; return its row, which holds the hash before the file is there.

        Raises OutputError, BundleError.
        """
        nsem.unpack(data, nsem.KNOWN_SECTIONS)  # what a network has damaged is no bundle
        data = with_metadata(data, changes, nsem.KNOWN_SECTIONS) if changes else data
        row = replace(row, state="running", bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        target = self.bundle(row)
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        nsem.check_target(target)
        store.put([row])
        self._write(target, data)
        row = replace(row, state="done")
        store.put([row])
        return row

    def describe(self, row: Row, record: dict[str, str], store: Store) -> Row:
        """Give a bundle that is done other metadata, and return its row. Raises OutputError, BundleError."""
        changes = {**dict.fromkeys(row.metadata, ""), **record}
        return self.put(replace(row, metadata=record), nsem.read_bytes(self.bundle(row)), changes, store)

    def keep_failure(self, item: Item, row: Row, outcome: Outcome, store: Store) -> None:
        """Write why an item failed, and clear away its work where that would be of no use to another try."""
        store.put([row])
        self._write(self.page(item), outcome.page)
        self._write(self.log(item), outcome.log.encode() or None)
        if row.lasting:
            shutil.rmtree(self.work(item), ignore_errors=True)

    def clear(self, rows: Iterable[Row], todo: Iterable[Item]) -> None:
        """Remove what a killed command left in the making, and work on items that are no longer to be done."""
        for row in rows:
            if row.state == "running" and row.bundle:
                partial_of(self.bundle(row)).unlink(missing_ok=True)
        work = self.out / WORK
        needed = {item.digest for item in todo}
        for folder in list(work.iterdir()) if work.is_dir() else []:
            if folder.name not in needed:
                shutil.rmtree(folder, ignore_errors=True)

    def _write(self, path: Path, data: bytes | None) -> None:
        """Write a file, or remove it where there is nothing to be in it."""
        with writing(path):
            if data is None:
                path.unlink(missing_ok=True)
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                partial.write_bytes(data)
