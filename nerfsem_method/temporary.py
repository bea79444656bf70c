"""Temporary folders go with the block that made them; what a process that was killed has left, the next one removes."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from nerfsem_method import desk

PREFIX = "nerfsem-"
"""The names of our temporary folders begin so, after a full stop where they lie beside a user's own files, as these may, too."""
MARK = "temporary.lock"
"""A folder with this file is ours, and in use while the file is locked. It names the machine: another may not see the lock."""
WORK = "work"
"""What a temporary folder is for lies in this folder below it, so that the mark is the last to go."""


@contextmanager
def temporary_folder(kind: str, parent: Path | None = None) -> Iterator[Path]:
    """Yield a new folder in `parent`, by default TMPDIR, that goes with the block. Raises OSError where none can be made.

    A process that is killed clears nothing away, but the kernel lets go of what it held: its folders in `parent` are removed.
    """
    hidden = "." if parent is not None else ""
    parent = parent or Path(tempfile.gettempdir())
    _remove_left(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{hidden}{PREFIX}{kind}-", dir=parent))
    mark = None
    try:
        if desk.has_locks():
            mark = _marked(folder)
        work = folder / WORK
        work.mkdir()
        yield work
    finally:
        _remove(folder)
        if mark is not None:
            mark.close()


def _marked(folder: Path) -> IO[bytes]:
    """Mark a folder as ours, and in use until the file is closed; it has its name only when it is locked."""
    path = folder / f"{MARK}.new"
    mark = path.open("xb", buffering=0)
    mark.write(_machine())
    with suppress(OSError):  # where this file system has no locks, nobody can tell that a folder was left, and it stays
        desk.lock(mark.fileno())
    path.rename(folder / MARK)
    return mark


def _machine() -> bytes:
    return socket.gethostname().encode()


def _remove_left(parent: Path) -> None:
    """Remove the user's own temporary folders that no process uses any more.

    A program such as COLMAP's that works in one does not hold its mark. Where the process that started it is killed alone, the
    next one may remove the folder under it; that ends it, and nobody waits for its result any more.
    """
    left = sorted([*parent.glob(f"{PREFIX}*"), *parent.glob(f".{PREFIX}*")]) if desk.has_locks() else []
    for folder in left:
        with suppress(OSError):  # it has no mark, is in use, or is being removed by another process
            if not desk.is_own_folder(folder):
                continue
            with (folder / MARK).open("r+b") as mark:
                desk.lock(mark.fileno())
                if mark.read() == _machine():
                    _remove(folder)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder / WORK, ignore_errors=True)
    if not (folder / WORK).exists():
        shutil.rmtree(folder, ignore_errors=True)
