"""Files and folders appear under their names only when they are complete, and a disk that refuses says so in one line."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from nerfsem_method import desk
from nerfsem_method.errors import OutputError
from nerfsem_method.locks import hold
from nerfsem_method.temporary import temporary_folder

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""There is no space on the device, no quota is left, or the file is as large as one may be here."""
_FULL_WORDS = ("no space left", "disk is full", "quota exceeded", "file too large", "file size limit exceeded")
"""Programs say one of these when a disk is full."""
_PROBE_BYTES = 1 << 16
"""A folder that does not take so many bytes counts as full."""
_TRIES = 3
"""So often is a folder made for a file: another command that begins in it may just leave nothing there, and remove it again."""
_ELSEWHERE = "choose another place"
_TEMPORARY = "set TMPDIR to another folder"


@contextmanager
def writing(place: Path, folder: Path | None = None, remedy: str = _ELSEWHERE) -> Iterator[None]:
    """Raise OutputError where the disk refuses what the block writes to `place`, a file or a folder.

    `folder` is where space is to be freed, by default the place itself or what it lies in; `remedy` is the other way out. Where
    there is no space left, whatever fails in the block has failed for that: programs and libraries give many other reasons.
    """
    try:
        yield
    except OutputError:
        raise
    except Exception as error:
        folder = folder or (place if place.is_dir() else place.parent)
        number = error.errno if isinstance(error, OSError) else None
        if number in DISK_FULL or (number is None and is_full(folder, str(error))):
            raise no_space(folder, number, remedy) from None
        if not isinstance(error, OSError) or number is None or _concerns_others(error, place):
            raise
        raise OutputError(f"cannot write {place}: {error.strerror}; {remedy}") from None


def no_space(folder: Path, number: int | None = None, remedy: str = _ELSEWHERE) -> OutputError:
    """Return the error that says that a folder takes no more, with the reason where it is not the plain one."""
    reason = f" ({os.strerror(number).lower()})" if number in (errno.EDQUOT, errno.EFBIG) else ""
    return OutputError(f"no space left in {folder}{reason}; free some, or {remedy}")


def is_full(folder: Path, words: str = "") -> bool:
    """Return whether a program that wrote into a folder failed for want of space, by its last `words` or by trying."""
    if any(full in words.lower() for full in _FULL_WORDS):
        return True
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(_PROBE_BYTES))
    except OSError as error:
        return error.errno in DISK_FULL
    return False


def _concerns_others(error: OSError, place: Path) -> bool:
    """Return whether an error is one of a pipe, or names files that have nothing to do with a place: then these were read."""
    if isinstance(error, ConnectionError):
        return True
    named = [Path(os.fsdecode(name)).absolute() for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    own = followed(place).parent
    return bool(named) and not any(own in (name, *name.parents) or name in own.parents for name in named)


def refusal(error: OSError) -> str:
    """Return in words what the system refuses. What it gives no reason for is a mistake of ours, and raised again."""
    if error.errno is None or isinstance(error, ConnectionError):
        raise error
    if error.errno in DISK_FULL:
        return f"{os.strerror(error.errno).lower()}; free space for temporary files and the result, and run again"
    reason = (error.strerror or os.strerror(error.errno)).lower()
    return reason if error.filename is None else f"{os.fsdecode(error.filename)}: {reason}"


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def followed(path: Path) -> Path:
    """Return the absolute path that links lead to. Raises OutputError for links that lead in a circle."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise OutputError(f"cannot follow {path}: {getattr(error, 'strerror', None) or 'its links lead in a circle'}") from None


def named(folder: Path, stem: str, ending: str) -> Path:
    """Return `folder`/<stem><ending>, the stem cut and marked where the whole would be longer than a name can be."""
    most = desk.longest_name(folder)
    if len(os.fsencode(stem + ending)) > most:
        ending = f"~{_digest(stem)[:8]}{ending}"
        while len(os.fsencode(stem + ending)) > most:
            stem = stem[:-1]
    return folder / (stem + ending)


def check_writable(path: Path) -> None:
    """Make sure, before long work, that the file `path` can be created or replaced, and leave no trace. Raises OutputError."""
    target = followed(path)
    if desk.is_windows() and (reason := desk.forbidden_by_windows(target.name)):
        raise OutputError(f"Windows takes no file named {target.name}, which {reason}; choose another name")
    with writing(path):
        if target.is_dir():
            raise OutputError(f"{path} is a folder; name a file")
        _again(lambda: _try(target, path))


def _try(target: Path, path: Path) -> None:
    """Create and remove a file of this name, or find that one that is there can be replaced. Raises OutputError, OSError."""
    with present(target.parent):
        if target.exists():
            if not target.is_file():
                raise OutputError(f"{path} is a device or a pipe; name a file")
            if not os.access(target, os.W_OK):
                raise OutputError(f"{path} is write-protected; {_ELSEWHERE}")
        else:  # Names that this file system does not take are told now, and apart: whoever is killed leaves no empty file.
            with temporary_folder("name", target.parent) as apart:
                (apart / target.name).open("xb").close()
        with tempfile.TemporaryFile(dir=target.parent):
            pass
        if is_full(target.parent):
            raise no_space(target.parent)


def _again(make: Callable[[], None]) -> None:
    """Make something in a folder; where that is gone in between, make it again."""
    for _ in range(_TRIES - 1):
        with suppress(FileNotFoundError):
            return make()
    return make()


@contextmanager
def present(folder: Path) -> Iterator[None]:
    """Make a folder, and those around it, for the block; what is still empty then, and was not there before, goes again."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        _again(lambda: folder.mkdir(parents=True, exist_ok=True))
        yield
    finally:
        for place in missing:
            with suppress(OSError):
                place.rmdir()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside the file `path`, whose file replaces `path` when the block ends well.

    A symbolic link stays, and what it points to is replaced. Raises OutputError when the disk refuses, or while another process
    writes the same file.
    """
    target = followed(path)
    partial = partial_of(target)
    with writing(path), ExitStack() as stack:
        _again(lambda: _claim(stack, partial, path))
        try:
            yield partial
            _on_disk(partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`, which replaces `path` when the block ends well, as `replacing` does for a file.

    At no moment are both the old and the new folder gone: the old one steps aside, and comes back where the new one fails.
    """
    target = followed(path)
    partial, aside = partial_of(target), partial_of(target, "old")
    with writing(path), ExitStack() as stack:
        _again(lambda: _claim(stack, partial, path, as_folder=True))
        try:
            _step_back(aside, target)
            _empty(partial)
            yield partial
            if target.exists():
                target.rename(aside)
            partial.replace(target)
        finally:
            _step_back(aside, target)
            shutil.rmtree(partial, ignore_errors=True)


def _claim(stack: ExitStack, partial: Path, path: Path, as_folder: bool = False) -> None:
    """Make the temporary file or folder of `path` in the making, and what it lies in, and hold it until the stack is closed."""
    stack.enter_context(present(partial.parent))
    if as_folder:
        partial.mkdir(exist_ok=True)
    stack.enter_context(_reserved(partial, path))


def _step_back(aside: Path, target: Path) -> None:
    """Give a folder that stepped aside its name back, or remove it where another has the name by now."""
    if target.exists():
        shutil.rmtree(aside, ignore_errors=True)
    elif aside.exists():
        aside.rename(target)


def _empty(folder: Path) -> None:
    """Remove what a process that was killed left in a folder."""
    for entry in list(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def partial_of(path: Path, ending: str = "partial") -> Path:
    """Return the temporary name of a file or folder in the making; it is short, for names may be as long as a name can be."""
    return path.with_name(f".{_digest(path.name)[:12]}.{ending}")


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()


def _on_disk(path: Path) -> None:
    """Have a complete file written to the disk before it takes its name: a crash of the machine must not leave an empty one."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EROFS):  # it knows no such thing
            raise
    finally:
        os.close(descriptor)


@contextmanager
def _reserved(partial: Path, path: Path) -> Iterator[None]:
    """Hold the temporary file or folder of `path` in the making. Raises OutputError while another process holds it."""
    descriptor = hold(partial)
    if descriptor is None:
        raise OutputError(f"another process is writing {path}; wait for its end, or {_ELSEWHERE}")
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def scratch(kind: str) -> Iterator[Path]:
    """Yield a temporary folder that goes with the block. Raises OutputError when there is no place for it, or none left."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(temporary_folder(kind))
        except OSError as error:
            raise OutputError(f"no temporary folder can be made ({error.strerror or error}); {_TEMPORARY}") from None
        with writing(folder, folder.parents[1], _TEMPORARY):
            yield folder
