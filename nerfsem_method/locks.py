"""A file or folder is held by one process at a time; the kernel lets go of it when the process ends, however that is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nerfsem_method import desk
from nerfsem_method.errors import OutputError

LOCK = "nerfsem.lock"
"""A folder in use holds this file, with the number of the process."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold an existing folder for this process alone. Raises OutputError that names the process that holds it already.

    Where the file system has no locks, or the folder cannot be written, there is none: what cannot be written is not spoilt.
    """
    path = folder / LOCK
    try:
        descriptor = hold(path)
    except OSError:
        descriptor = os.open(os.devnull, os.O_RDONLY)
    if descriptor is None:
        raise OutputError(f"process {_holder(path)} is at work in {folder}; wait for its end, or name another folder")
    try:
        with suppress(OSError):
            path.write_text(str(os.getpid()), encoding="ascii")
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii") or "?"
    except OSError:
        return "?"


def hold(path: Path) -> int | None:
    """Open a folder, or a file that is made if missing, and lock it until the descriptor is closed; None while another has it.

    Where the system has no such locks, nothing is held. Raises OSError when it cannot be opened.
    """
    if not desk.has_locks():
        return os.open(os.devnull, os.O_RDONLY)
    while True:
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
        try:
            desk.lock(descriptor)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except FileNotFoundError:
            pass
        except OSError:  # this file system has no locks
            return descriptor
        os.close(descriptor)  # its holder has just moved or removed it: what has the name now is another file
