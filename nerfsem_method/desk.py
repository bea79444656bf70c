"""A desk may run Linux, macOS or Windows: whatever only some of them have is asked for here, and nowhere else in the reader."""

from __future__ import annotations

import os
import re
import select
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""These signals ask a command to stop."""
LONGEST_NAME = 255
"""A name may have so many bytes on nearly every file system; where another number holds, the system says it."""
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_DRIVERS = tuple(map(Path, ("/proc/driver/nvidia", "/dev/nvidiactl", "/dev/dxg")))
"""Linux shows NVIDIA's driver in the first of these places, sandboxes only in the second, Windows' subsystem in the third."""


def is_windows() -> bool:
    """Return whether this is Windows."""
    return os.name == "nt"


def forbidden_by_windows(name: str) -> str | None:
    """Return why Windows takes no file of this name, in words; None where it does."""
    if wrong := sorted({character for character in name if character in '<>:"/\\|?*' or ord(character) < 32}):
        return f"has {' '.join(character if character.isprintable() else 'a control character' for character in wrong)} in it"
    if name.endswith((".", " ")):
        return "ends in a full stop or a space"
    return "is the name of a device" if _DEVICES.fullmatch(name) else None


def longest_name(folder: Path) -> int:
    """Return how many bytes a name in this folder may have."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        return LONGEST_NAME


def has_locks() -> bool:
    """Return whether a file that is held open can be locked, moved and removed: not on Windows."""
    return fcntl is not None


def lock(descriptor: int) -> None:
    """Lock an open file or folder for this process alone. Raises BlockingIOError while another process has it, OSError."""
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_own_folder(path: Path) -> bool:
    """Return whether a path is a folder, and no link to one, of the user who runs this. Raises OSError when it is gone."""
    facts = path.lstat()
    return stat.S_ISDIR(facts.st_mode) and (not hasattr(os, "geteuid") or facts.st_uid == os.geteuid())


def reader_left(descriptor: int) -> bool:
    """Return whether nobody reads any more what is written into a pipe; where the system cannot tell, assume so."""
    if not hasattr(select, "poll"):
        return True
    watch = select.poll()
    watch.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in watch.poll(0))


def was_file_too_large(code: int) -> bool:
    """Return whether a process ended with this code because the system allows no larger files."""
    return hasattr(signal, "SIGXFSZ") and code == -signal.SIGXFSZ


def cores() -> int:
    """Return on how many cores this process may run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def after_fork(call: Callable[[], None]) -> None:
    """Have a function called in every process that is forked off this one, where there is such a thing."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)


def may_have_cuda() -> bool:
    """Return whether torch is worth asking for a GPU: its import takes seconds, Linux shows the driver, and macOS has none."""
    return sys.platform == "win32" or any(driver.exists() for driver in _DRIVERS)
