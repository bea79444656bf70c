"""Compiled loops are kept in the user's cache, in one folder for each state of their sources, for all copies of the package.

numba keeps them beside each source file and compiles anew when that file changes. Ours call each other across files: after an
upgrade of one file the loops of another would go on with the old arithmetic, and sound bundles would look damaged.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numba

from nerfsem_method.temporary import temporary_folder

PREFIX = "kernels-"
"""The folder of one state of the sources has this name, and a hash of them."""
KEPT = 3
"""So many states of the sources are kept, the newest."""
_PACKAGE = Path(__file__).parents[1]
_IMPORTS = re.compile(rb"^[ \t]*(?:from|import) (nerfsem_method[\w.]*)(?: import ([\w, ]+|\([^)]*\)))?", re.MULTILINE)


def user_cache() -> Path:
    """Return the user's cache folder of nerfsem, there or not. Raises RuntimeError where there is no home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nerfsem"


def use() -> None:
    """Tell numba where to keep what it compiles, unless NUMBA_CACHE_DIR says it already."""
    with suppress(ImportError, AttributeError):  # a later numba may have other internals, and keeps as it likes
        from nerfsem_method.compiled import kept

        kept.install(PREFIX)
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    folder = str(_prepared())
    os.environ["NUMBA_CACHE_DIR"] = folder  # processes that start later use it, too
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", folder)  # torch would leave an empty folder in TMPDIR
    settings: Any = numba.config
    settings.CACHE_DIR = folder


def _prepared() -> Path:
    """Make a folder that can be written; where there is no place for it, one that goes with the process."""
    try:
        parent = user_cache()
        folder = parent / f"{PREFIX}{_digest(_sources())}"
        fresh = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError):  # Path.home() raises RuntimeError where there is none
        stack = ExitStack()
        atexit.register(stack.close)
        return stack.enter_context(temporary_folder("kernels"))
    if fresh:
        with suppress(OSError):  # another process may have taken one of them away just now
            states = sorted(parent.glob(f"{PREFIX}*"), key=lambda path: path.stat().st_mtime)
            for old in states[:-KEPT]:
                shutil.rmtree(old, ignore_errors=True)
    return folder


def _sources() -> dict[Path, bytes]:
    """Return the files that hold compiled loops, and all of ours that these import: constants and formulas come from there."""
    texts = {path: path.read_bytes() for path in sorted(_PACKAGE.rglob("*.py"))}
    found, ahead = set(), [path for path, text in texts.items() if _has_loops(text)]
    while ahead:
        path = ahead.pop()
        if path in texts and path not in found:
            found.add(path)
            ahead += _imported(texts[path])
    return {path: text for path, text in texts.items() if path in found}


def _has_loops(text: bytes) -> bool:
    return b"njit" in text or b"fast_part" in text


def _imported(text: bytes) -> Iterator[Path]:
    """Yield where the modules that a source imports of ours would be, and what else its imports might name."""
    for module, names in _IMPORTS.findall(text):
        for name in (module, *(module + b"." + word for word in re.findall(rb"\w+", names))):
            path = _PACKAGE.parent.joinpath(*name.decode().split("."))
            yield from (path.with_suffix(".py"), path / "__init__.py")


def _digest(sources: dict[Path, bytes]) -> str:
    """Hash sources, and the version of numba: two of them would write over each other's files by turns."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path, text in sources.items():
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + text)
    return digest.hexdigest()[:16]
