"""A folder that long work fills keeps a log, `nerfsem.log`: every stage with its times, warnings, versions and the command.

What COLMAP and ffmpeg say goes there, too. Each run appends to it.
"""

from __future__ import annotations

import importlib.metadata
import logging
import platform
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nerfsem_method.errors import NerfsemError, one_line

NAME = "nerfsem.log"
LOG = logging.getLogger("nerfsem")
"""Every room tells its messages here; they go to the logs of the folders that are being filled, and nowhere else."""
LOG.setLevel(logging.INFO)
LOG.propagate = False
LOG.addHandler(logging.NullHandler())

_PACKAGES = ("nerfsem", "numpy", "numba", "imageio-ffmpeg", "pycolmap", "opencv-python-headless", "torch", "nerfstudio")


class _Patient(logging.FileHandler):
    """A log that cannot be written, as on a full disk, is no reason to stop."""

    def emit(self, record: logging.LogRecord) -> None:
        """Append a record."""
        with suppress(OSError):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Let it be."""

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            super().close()


@contextmanager
def kept_in(folder: Path) -> Iterator[Path]:
    """Append what is told in the block to the log of a folder, and yield the log's path."""
    with kept_as(folder / NAME) as path:
        yield path


@contextmanager
def kept_as(path: Path) -> Iterator[Path]:
    """Append what is told in the block to a log of any name, in a folder that may be new, and yield its path."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
    handler = _Patient(path, encoding="utf-8", errors="backslashreplace", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S"))
    LOG.addHandler(handler)
    try:
        LOG.info("begins: %s", shlex.join(sys.argv))
        LOG.info("with %s, Python %s on %s", _versions(), platform.python_version(), platform.platform())
        yield path
        LOG.info("ends well")
    except NerfsemError as error:
        LOG.info("ends: %s", one_line(error))
        raise
    except BaseException as error:
        LOG.info("ends: %s", error, exc_info=not isinstance(error, KeyboardInterrupt))
        raise
    finally:
        LOG.removeHandler(handler)
        handler.close()


def see() -> str:
    """Return where the present log can be read, to be added to an error; nothing where none is kept."""
    kept = [handler.baseFilename for handler in LOG.handlers if isinstance(handler, _Patient)]
    return f"; see {kept[-1]}" if kept else ""


def _versions() -> str:
    found = []
    for package in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{package} {importlib.metadata.version(package)}")
    return ", ".join(found)
