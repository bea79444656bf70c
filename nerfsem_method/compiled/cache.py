"""Compiled loops are kept in the user's cache, in one folder for each state of the sources.

numba keeps them beside each source file and compiles anew when that file changes. Ours call each other across files: after an
upgrade of one file the loops of another would go on with the old arithmetic, and sound bundles would look damaged.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

KEPT = 3
"""So many states of the sources are kept, the newest."""


def user_cache() -> Path:
    """Return the user's cache folder of nerfsem, there or not. Raises RuntimeError where there is no home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nerfsem"


def use() -> None:
    """Tell numba where to keep what it compiles, unless NUMBA_CACHE_DIR says it already."""
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    folder = str(_prepared())
    os.environ["NUMBA_CACHE_DIR"] = folder  # processes that start later use it, too
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", folder)  # torch would leave an empty folder in TMPDIR
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = folder


def _prepared() -> Path:
    """Make a folder that can be written; where there is no place for it, one that goes with the process."""
    try:
        parent = user_cache()
        folder = parent / f"kernels-{_digest()}"
        fresh = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError):  # Path.home() raises RuntimeError where there is none
        folder = Path(tempfile.mkdtemp(prefix="nerfsem-kernels-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return folder
    if fresh:
        states = sorted(parent.glob("kernels-*"), key=lambda path: path.stat().st_mtime)
        for old in states[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def _digest() -> str:
    """Hash all files of the folders that hold compiled loops: constants and formulas come from their neighbours, too."""
    package, digest = Path(__file__).parents[1], hashlib.sha256()
    sources = {path: path.read_bytes() for path in sorted(package.rglob("*.py"))}
    rooms = {path.parent for path, text in sources.items() if b"njit" in text}
    for path, text in sources.items():
        if path.parent in rooms:
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + text)
    return digest.hexdigest()[:16]
