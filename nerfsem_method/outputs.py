"""What may be written where is settled before any work: never over an input, and never over what is not ours to replace."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from nerfsem_method.errors import OutputError
from nerfsem_method.files import check_writable, followed

_FORCED = ContextVar("forced", default=False)


@contextmanager
def forced() -> Iterator[None]:
    """Let files be replaced in the block, whoever wrote them; inputs and folders of other things stay safe."""
    token = _FORCED.set(True)
    try:
        yield
    finally:
        _FORCED.reset(token)


def is_forced() -> bool:
    """Return whether the user asked to replace what is there."""
    return _FORCED.get()


def check_apart(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Make sure that no output is an input, lies in one that is a folder, or is a folder around one. Raises OutputError.

    Links, hard links and other spellings of a path are seen through; what is None, or not there, is passed over.
    """
    given = [path for path in inputs if path is not None and path.exists()]
    for output in (path for path in outputs if path is not None):
        for source in given:
            if _lies_in(output, source):
                what = "is the input itself" if not source.is_dir() else f"lies in the input {source}"
                raise OutputError(f"{output} {what}, which would be overwritten; name another output")
            if output.is_dir() and _lies_in(source, output):
                raise OutputError(f"the input {source} lies in {output}, which is to be filled; move one of them elsewhere")


def _lies_in(path: Path, other: Path) -> bool:
    """Return whether a path is the same file or folder as another one, which exists, or lies in that."""
    own = followed(path)
    places = (own, *own.parents) if other.is_dir() else (own,)
    return any(place.exists() and os.path.samefile(place, other) for place in places)


def check_replaceable(path: Path, ours: Callable[[Path], bool], kind: str) -> None:
    """Make sure that the file `path` can be written, and if it is there, that it is empty or one of `ours`. Raises OutputError.

    `kind` says what ours are, such as "bundle".
    """
    check_writable(path)
    if path.exists() and path.stat().st_size and not is_forced() and not ours(path):
        raise OutputError(f"{path} exists and is no {kind} written by nerfsem; name another file, move it away, or give --force")


def check_space(folder: Path, needed: float, what: str, remedy: str) -> None:
    """Make sure that a folder, there or not, has room for `needed` bytes. Raises OutputError that names `what` needs them."""
    place = followed(folder)
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed:
        raise OutputError(
            f"no space left in {folder} for {what}: about {needed / 1e6:,.1f} MB are needed and {free / 1e6:,.1f} MB free; "
            f"free some, or {remedy}"
        )


PNG_MARK = ("Software", "nerfsem")
"""This text in a PNG file says that it is ours."""


def check_png(path: Path) -> None:
    """Make sure that a PNG file can be written here: it may replace one of ours, nothing else. Raises OutputError."""
    check_replaceable(path, _is_marked, "picture")


def check_png_folder(path: Path) -> None:
    """Make sure that a folder of numbered PNG files can be written here: it may replace one of ours. Raises OutputError."""
    if not path.exists():  # a command that is stopped before its first frame leaves no empty folder
        check_writable(path)
        return
    check_writable(path / "000000.png")
    for entry in path.iterdir():
        if not (entry.suffix == ".png" and entry.stem.isdigit() and entry.is_file() and _is_marked(entry)):
            raise OutputError(f"{path} holds other files ({entry.name}); name a new or empty folder")


def _is_marked(path: Path) -> bool:
    """Return whether a PNG file has our mark among its first bytes, before the pixels."""
    with path.open("rb") as file:
        return b"\0".join(text.encode() for text in PNG_MARK) in file.read(256)
