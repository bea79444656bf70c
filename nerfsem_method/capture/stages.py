"""This module makes the scene folder a cache: each stage fills a sub-folder, atomically, and is remembered by its key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nerfsem_method import log
from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.errors import CaptureError, NerfsemError, OutputError
from nerfsem_method.files import followed, partial_of, present, replacing, replacing_folder, writing
from nerfsem_method.locks import LOCK, locked
from nerfsem_method.progress import progress_bar
from nerfsem_method.stopping import advise

RECORD = "capture.json"
"""A scene folder remembers in this file which stages it holds; other folders have none and are left alone."""


class StageFolder:
    """A stage folder is a scene folder with the keys of the stages that it holds complete."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Create the folder and hold it for the block, whose messages go to its log.

        Raises CaptureError if the folder cannot be written or holds somebody else's files, OutputError if another process is at
        work in it, or if there is no space left.
        """
        with ExitStack() as stack:
            with self._usable():
                stack.enter_context(present(followed(self.root)))
            with self._held():
                yield

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the folder, which is there, for the block; where that ends before a stage is complete, no trace is left."""
        with self._usable():
            held = {path.name for path in self.root.iterdir()}
        ours = {partial_of(Path(RECORD)).name, LOCK, log.NAME}  # after a kill, the record may not have its name yet
        if RECORD not in held and held - ours:
            raise CaptureError(f"{self.root} holds other files and is no scene folder; name another scene folder")
        with locked(self.root), log.kept_in(self.root), writing(self.root / RECORD, self.root):
            with self._usable():
                self._record(self.keys())
            try:
                yield
            except (NerfsemError, KeyboardInterrupt) as error:
                if isinstance(error, KeyboardInterrupt):
                    advise(error)
                if RECORD not in held and not self.keys():
                    for name in (RECORD, log.NAME):
                        (self.root / name).unlink(missing_ok=True)
                raise

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """Raise CaptureError where the folder cannot be written at all."""
        try:
            yield
        except (OSError, OutputError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise CaptureError(
                f"the scene folder {self.root} cannot be written ({reason}); name another scene folder"
            ) from None

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
