"""Files and folders appear under their names only when they are complete; what cannot be written is told before long work."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nerfsem_method.errors import OutputError


def check_writable(path: Path) -> None:
    """Make sure, before long work, that the file `path` can be created or replaced. Raises OutputError."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file")
    with _output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.resolve().parent):
            pass


def check_png_folder(path: Path) -> None:
    """Make sure that `path` can be a folder of numbered PNG files: it may replace one of its kind, nothing else.

    Raises OutputError.
    """
    check_writable(path / "000000.png")
    foreign = [entry.name for entry in path.iterdir() if not (entry.suffix == ".png" and entry.stem.isdigit())]
    if foreign:
        raise OutputError(f"{path} holds other files ({foreign[0]}); name a new or empty folder")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside the file `path`, whose file replaces `path` when the block ends well.

    A symbolic link stays, and what it points to is replaced. Raises OutputError when the disk refuses.
    """
    target = path.resolve()
    partial = partial_of(target)
    try:
        with _output_errors(path):
            yield partial
            partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`, which replaces `path` when the block ends well. Raises OutputError."""
    partial = partial_of(path)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with _output_errors(path):
            partial.mkdir(parents=True)
            yield partial
            if path.exists():
                shutil.rmtree(path)
            partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def partial_of(path: Path) -> Path:
    """Return the temporary name of a file or folder in the making; it is short, for names may be as long as a name can be."""
    return path.with_name(f".{hashlib.sha256(path.name.encode(errors='surrogateescape')).hexdigest()[:12]}.partial")


@contextmanager
def _output_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write {path}: {reason}; choose another place") from None
