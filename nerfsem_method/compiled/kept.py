"""Kept loops are found by the room that they belong to, whichever copy of the package asks, and are never needed nor trusted."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba
from numba.core import caching, dispatcher, sigutils

_PACKAGE = Path(__file__).parents[1]
_SETTINGS: Any = numba.config


class _Locator(caching._CacheLocator):
    """This locator keeps apart what numba would keep apart by the path of a copy: rooms, and states of a file."""

    prefix = ""
    """The name of a folder of one state of the sources begins so; numba's own rules hold in any other one."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        self._file, self._line = Path(py_file), py_func.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        """Return the folder of the function's room."""
        return str(Path(_SETTINGS.CACHE_DIR) / ".".join(self._file.parent.relative_to(_PACKAGE).parts))

    def get_source_stamp(self) -> bytes:
        """Return a hash of the file: of its times, which older numbas take, no two copies have the same."""
        return hashlib.sha256(self._file.read_bytes()).digest()

    def get_disambiguator(self) -> str:
        """Return what tells functions of one name in one file apart."""
        return str(self._line)

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        """Return the locator of a function, None where this is not its place."""
        if not Path(_SETTINGS.CACHE_DIR).name.startswith(cls.prefix) or _PACKAGE not in Path(py_file).parents:
            return None
        locator = cls(py_func, py_file)
        try:
            locator.ensure_cache_path()
        except OSError:
            return None
        return locator


class _Loops(caching.CompileResultCacheImpl):
    """These are numba's compiled functions, kept where the locator says."""

    _locator_classes = [_Locator, *caching.CompileResultCacheImpl._locator_classes]


class _Kept(caching.FunctionCache):
    """The kept loops of one function only save time: what cannot be read is compiled again, and what cannot be kept is not."""

    _impl_class = _Loops

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what was compiled for a signature, None if that is not there, was cut short, or is another's.

        Two processes that compile one function for different arguments at a time may give both files one name.
        """
        try:
            found = super().load_overload(sig, target_context)
            if found is None or tuple(found.signature.args) == tuple(sigutils.normalize_signature(sig)[0]):
                return found
        except Exception:  # a file cut short raises whatever the place of the cut makes of it
            pass
        with suppress(OSError):
            self.flush()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, unless the disk is full or the folder is gone."""
        with suppress(OSError):
            super().save_overload(sig, data)


def install(prefix: str) -> None:
    """Let numba keep all functions so that are compiled from now on, if its folder's name begins with `prefix`."""
    _Locator.prefix = prefix
    dispatcher.FunctionCache = _Kept  # type: ignore[attr-defined]
