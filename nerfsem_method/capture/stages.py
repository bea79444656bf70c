"""This module makes the scene folder a cache: each stage fills a sub-folder, atomically, and is remembered by its key."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.errors import CaptureError, OutputError
from nerfsem_method.files import partial_of, replacing, replacing_folder

RECORD = "capture.json"
"""A scene folder remembers in this file which stages it holds; other folders have none and are left alone."""


@contextmanager
def progress_bar(label: str):
    """Show a line of progress for one stage, and yield its Advance."""
    columns = (TextColumn("{task.description:<24}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn()) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=max(total, done) or None)
        total = progress.tasks[0].total or 1
        progress.update(task, completed=total, total=total)


class StageFolder:
    """A stage folder is a scene folder with the keys of the stages that it holds complete."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def claim(self) -> None:
        """Create the folder. Raises CaptureError if it cannot be written or holds somebody else's files."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            held = {path.name for path in self.root.iterdir()}
            after_a_kill = {partial_of(Path(RECORD)).name}  # the record had not yet taken its name
            foreign = RECORD not in held and bool(held - after_a_kill)
            if not foreign:
                self._record(self.keys())
        except (OSError, OutputError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise CaptureError(
                f"the scene folder {self.root} cannot be written ({reason}); name another folder (--scene-dir)"
            ) from None
        if foreign:
            raise CaptureError(f"{self.root} holds other files and is no scene folder; name another folder (--scene-dir)")

    def keys(self) -> dict[str, str]:
        """Return the key of each complete stage by its name; none for a folder that is new or damaged."""
        try:
            return dict(json.loads((self.root / RECORD).read_text())["stages"])
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def holds(self, stage: str, key: str) -> bool:
        """Return whether the stage is complete under this key."""
        return self.keys().get(stage) == key

    def remember(self, stage: str, key: str) -> None:
        """Record that the stage is complete under this key."""
        self._record({**self.keys(), stage: key})

    def fill(self, stage: str, key: str, label: str, make: Callable[[Path, Advance], None]) -> Path:
        """Return the stage's folder, which `make(folder, advance)` fills under a temporary name unless it is there already."""
        target = self.root / stage
        if self.holds(stage, key) and target.is_dir():
            return target
        with replacing_folder(target) as partial:
            with progress_bar(label) as advance:
                make(partial, advance)
            self._record({name: kept for name, kept in self.keys().items() if name != stage})
        self.remember(stage, key)
        return target

    def _record(self, keys: dict[str, str]) -> None:
        """Write the record of all complete stages."""
        with replacing(self.root / RECORD) as partial:
            partial.write_text(json.dumps({"stages": keys}, indent=1))
