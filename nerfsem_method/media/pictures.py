"""Pictures are read and written by OpenCV here, which never sees the names of their files; pages of a TIFF file are chosen.

Names that are no UTF-8 crash it, and what it cannot write it passes over in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np

from nerfsem_method.errors import CaptureError

MOST_KEPT = 500 * 10**6
"""So many bytes of grey pictures are kept at most: all frames and mattes of 500 frames of 540x960, and few of a long 4K clip."""


class _Kept:
    """Grey pictures are kept here until they are too many; a file is known by what renaming its folder does not change."""

    def __init__(self) -> None:
        self._pictures: dict[tuple[int, ...], np.ndarray] = {}
        self._left = MOST_KEPT

    def read(self, path: Path) -> np.ndarray:
        """Return the grey picture in a file [H, W] uint8, read-only. Raises as `read_picture` does."""
        facts = path.stat()
        key = (facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size)
        if key not in self._pictures:
            picture = _decoded(path, grey=True)
            picture.flags.writeable = False
            if picture.nbytes > self._left:
                return picture
            self._left -= picture.nbytes
            self._pictures[key] = picture
        return self._pictures[key]


_kept: ContextVar[_Kept | None] = ContextVar("_kept", default=None)


@contextmanager
def keeping_pictures() -> Iterator[None]:
    """Within this, no grey picture is decoded twice by this thread, until MOST_KEPT; these pictures are read-only."""
    token = _kept.set(_Kept())
    try:
        yield
    finally:
        _kept.reset(token)


def read_picture(path: Path, grey: bool = False) -> np.ndarray:
    """Return a picture, uint8 [H, W, 3] with blue first, or [H, W] if `grey`.

    Within `keeping_pictures` a grey one is read-only. Raises CaptureError when the file is no picture, OSError when it cannot be
    opened.
    """
    kept = _kept.get() if grey else None
    return _decoded(path, grey) if kept is None else kept.read(path)


def _decoded(path: Path, grey: bool) -> np.ndarray:
    import cv2

    data = np.frombuffer(path.read_bytes(), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR) if len(data) else None
    if picture is None:
        raise CaptureError(f"{path} cannot be read as a picture; delete the scene folder and capture again")
    return picture


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write a picture, uint8 [H, W] or [H, W, 3] with blue first, as PNG. Raises OSError when the disk refuses."""
    import cv2

    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def turn_to_largest(image: Any) -> bool:
    """Turn a TIFF file that Pillow has opened to its largest page, of equal ones the first: a thumbnail may come before it.

    Return whether another page could be meant: one before it, or one as large. Other files are left as they are.
    """
    if image.format != "TIFF":
        return False
    areas = []
    try:
        while True:
            image.seek(len(areas))
            areas.append(image.width * image.height)
    except (EOFError, OSError, SyntaxError, ValueError, KeyError, TypeError):  # there is no more, or it is damaged
        pass
    place = areas.index(max(areas)) if areas else 0
    image.seek(place)
    return place > 0 or areas.count(max(areas, default=0)) > 1


def quarter_turn(picture: np.ndarray) -> np.ndarray:
    """Return a picture [H, W, ...] turned to the left by 90 degrees, [W, H, ...]."""
    return np.ascontiguousarray(np.rot90(picture))
