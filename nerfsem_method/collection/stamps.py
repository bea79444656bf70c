"""An item is done again when what it is made of has changed: this module tells that, at little cost where nothing has."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from nerfsem_method.collection.items import Item
from nerfsem_method.errors import CaptureError
from nerfsem_method.files import hash_file
from nerfsem_method.pipeline import Options


def stamp(item: Item) -> str:
    """Return a hash of names, sizes and times of an item's files: while it is the same, so is the content.

    Raises CaptureError where a file cannot be seen.
    """
    whole = hashlib.sha256()
    with _reading(item):
        for name, path in item.files():
            facts = path.stat()
            whole.update(os.fsencode(f"{name}\0{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}\0"))
    return whole.hexdigest()


def content_hash(item: Item) -> str:
    """Return the SHA-256 of an item's files and their names. Raises CaptureError where one cannot be read."""
    whole = hashlib.sha256()
    with _reading(item):
        for name, path in item.files():
            with path.open("rb") as stream:
                whole.update(os.fsencode(f"{name}\0") + hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()


def contents(item: Item) -> tuple[tuple[str, bytes], ...]:
    """Return all files of an item with their names, to be sent along. Raises CaptureError where one cannot be read."""
    with _reading(item):
        return tuple((name, path.read_bytes()) for name, path in item.files())


def file_hash(path: Path) -> str | None:
    """Return the SHA-256 of a file, None where it cannot be read."""
    try:
        return hash_file(path)
    except OSError:
        return None


def options_hash(options: Options) -> str:
    """Return a hash of all that was chosen about the compression."""
    chosen = asdict(options) | {"preset": options.chosen_preset}
    return hashlib.sha256(json.dumps(chosen, default=str, sort_keys=True).encode()).hexdigest()


@contextmanager
def _reading(item: Item) -> Iterator[None]:
    """Raise CaptureError where the system refuses to read an item's files in the block."""
    try:
        yield
    except OSError as error:
        raise CaptureError(f"{item.source} cannot be read: {(error.strerror or str(error)).lower()}") from None
