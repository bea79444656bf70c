"""Where compiled loops are kept: in the user's cache, one folder for each state of the sources.

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
"""States of the sources that are kept, the newest."""


def user_cache() -> Path:
    """The user's cache folder of nerfsem, there or not. Raises RuntimeError where there is no home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nerfsem"


def use() -> None:
    """Tell numba, imported already or not, unless NUMBA_CACHE_DIR says otherwise."""
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    folder = str(_prepared())
    os.environ["NUMBA_CACHE_DIR"] = folder  # for processes to come, too
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = folder


def _prepared() -> Path:
    """A folder that can be written: where nothing else can, one that goes with the process."""
    try:
        parent = user_cache()
        folder = parent / f"kernels-{_digest()}"
        fresh = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        folder = Path(tempfile.mkdtemp(prefix="nerfsem-kernels-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return folder
    if fresh:
        states = sorted(parent.glob("kernels-*"), key=lambda path: path.stat().st_mtime)
        for old in states[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def _digest() -> str:
    """Of all files of the package that hold compiled loops."""
    package, digest = Path(__file__).parent, hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        text = path.read_bytes()
        if b"njit" in text:
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + text)
    return digest.hexdigest()[:16]
