"""A folder of clips holds items: this module finds them, with the mattes that lie beside them, and says what it passes over.

An item is a video, a folder of photographs, or a folder of pictures with their cameras. Its mattes lie beside it in a folder that
is called as the clip is, without a video's ending, and `_mattes`: `relic.mp4` and `relic_mattes/`, `shots/` and `shots_mattes/`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nerfsem_method.capture.entry import is_posed
from nerfsem_method.errors import NerfsemError
from nerfsem_method.files import named
from nerfsem_method.locks import LOCK
from nerfsem_method.log import NAME as LOG_NAME
from nerfsem_method.media.clip.listing import CAMERA_KINDS, RAW_KINDS
from nerfsem_method.media.matte_names import VIDEO_KINDS, in_order

MATTES = "_mattes"
"""A folder of mattes is called as its clip is, and ends so."""
WORKSHOPS = {LOG_NAME, LOCK, "capture.json", "scene.json"}
"""A folder that holds one of these files was filled by nerfsem, as scene folders are: it is no clip."""


@dataclass(frozen=True)
class Item:
    """An item is one clip of a collection; its name is its path below the folder of clips, with slashes."""

    name: str
    source: Path
    mattes: Path | None = None

    @property
    def digest(self) -> str:
        """Return letters and digits that stand for the name in the names of files."""
        return hashlib.sha256(os.fsencode(self.name)).hexdigest()[:16]

    @property
    def bundle(self) -> str:
        """Return the path of the item's bundle below the folder of bundles: the clip's whole name, so that no two are equal."""
        path = Path(self.name)
        return os.fspath(named(path.parent, path.name, ".nsem"))

    def files(self) -> Iterator[tuple[str, Path]]:
        """Yield all files of clip and mattes, each with a name that begins with `clip/` or `mattes/`, hidden ones excepted."""
        for part, root in (("clip", self.source), ("mattes", self.mattes)):
            if root is not None and root.is_dir():
                for path in _files_below(root):
                    yield f"{part}/{root.name}/{path.relative_to(root).as_posix()}", path
            elif root is not None:
                yield f"{part}/{root.name}", root


@dataclass
class Found:
    """What a folder of clips holds are items in the order of their names, and sentences about what was passed over."""

    items: list[Item] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)


def find(clips: Path) -> Found:
    """Return the items below a folder. Raises NerfsemError where there is no such folder, or nothing in it is a clip."""
    if not clips.is_dir():
        raise NerfsemError(f"{clips} is no folder; name the folder that holds the clips")
    if is_posed(clips):
        raise NerfsemError(f"{clips} is one clip, pictures with their cameras; name the folder in which it lies")
    found = Found()
    _walk(clips, clips, found, set())
    if [item.name for item in found.items] == ["."]:
        raise NerfsemError(f"{clips} is one clip, a folder of photographs; name the folder in which it lies")
    if not found.items:
        raise NerfsemError(f"{clips} holds no clips; put videos, or folders of photographs, into it")
    return found


def _walk(folder: Path, clips: Path, found: Found, above: set[tuple[int, int]]) -> None:
    """Find what lies in a folder and below; `above` are the folders that lead here, so that links in a circle end."""
    try:
        entries = [entry for entry in in_order(folder.iterdir()) if not entry.name.startswith(".")]
        seen = folder.stat().st_dev, folder.stat().st_ino
    except OSError as error:
        found.passed_over.append(f"{folder} cannot be read: {(error.strerror or str(error)).lower()}")
        return
    if seen in above or WORKSHOPS & {entry.name for entry in entries}:
        return
    before = len(found.items)
    videos = [entry for entry in entries if entry.suffix.lower() in VIDEO_KINDS and not entry.is_dir()]
    folders = [entry for entry in entries if entry.is_dir()]
    mattes = {entry.name: entry for entry in folders if entry.name.endswith(MATTES)}
    clip_folders = [entry for entry in folders if entry.name not in mattes]
    for source in in_order([*videos, *clip_folders]):
        own = mattes.get(f"{source.name if source in clip_folders else source.stem}{MATTES}")
        if source in videos or _has_cameras(source):
            found.items.append(_item(source, clips, own))
        else:
            _walk(source, clips, found, above | {seen})
    taken = {item.mattes for item in found.items}
    photographs = [entry for entry in entries if entry.suffix.lower() in (*CAMERA_KINDS, *RAW_KINDS) and entry.is_file()]
    if photographs and len(found.items) == before:
        own = folder.with_name(f"{folder.name}{MATTES}")
        found.items.append(_item(folder, clips, own if own.is_dir() and folder != clips else None))
    elif photographs:
        found.passed_over.append(f"{folder} has clips, so the {len(photographs)} pictures beside them are no clip")
    known = {entry.name for entry in clip_folders}
    for name, path in mattes.items():
        if path not in taken and name.removesuffix(MATTES) not in known:
            found.passed_over.append(f"{path} is called as mattes are, but there is no clip of that name beside it")


def _has_cameras(folder: Path) -> bool:
    try:
        return is_posed(folder)
    except OSError:  # that it cannot be read is told when it is walked into
        return False


def _item(source: Path, clips: Path, mattes: Path | None) -> Item:
    return Item(source.relative_to(clips).as_posix(), source, mattes)


def _files_below(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files_below(entry)
        elif entry.is_file():
            yield entry
