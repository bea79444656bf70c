"""This module keeps a folder of inputs from being written into, and tells whether somebody has done so all the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONG_AGO = 1_000_000_000
"""This is the time in seconds of everything in the folder: what is made, renamed or removed in it changes its folder's time."""


@contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Take the right to write into `folder` away for the block, as a mount for reading does, and look for changes after it.

    The superuser is not stopped by that, but leaves later times behind. Raises AssertionError where there are any.
    """
    paths = sorted([folder, *folder.rglob("*")])
    for path in reversed(paths):
        path.chmod(0o555 if path.is_dir() else 0o444)
        os.utime(path, (LONG_AGO, LONG_AGO))
    try:
        yield
    finally:
        found = {path: path.stat().st_mtime for path in sorted([folder, *folder.rglob("*")])}
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert found == dict.fromkeys(paths, LONG_AGO)
