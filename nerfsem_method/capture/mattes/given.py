"""This module reads and writes folders of mattes: one 8-bit soft matte for each frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.errors import CaptureError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
"""Files of a folder of mattes with these endings are mattes; all others are passed over."""
ASPECT_TOLERANCE = 0.02
"""A matte's aspect may differ from the frame's by this share, because sizes are rounded."""
MIN_COVERAGE = 0.002
"""A matte that covers a smaller share of its frame shows no object."""


def list_mattes(folder: Path) -> list[Path]:
    """Return the images of a folder in the order of their names. Raises CaptureError if there are none."""
    if not folder.is_dir():
        raise CaptureError(f"{folder} is no folder of mattes")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise CaptureError(f"{folder} holds no images; mattes are PNG files, one a frame")
    return found


def copy_mattes(
    folder: Path,
    target: Path,
    count: int,
    size: tuple[int, int],
    advance: Advance,
    choose: Callable[[list[Path]], list[Path]] = list,
) -> None:
    """Write ready-made mattes to `target`/000000.png ... at `size` (width, height).

    `choose` returns those of the `count` frames where the folder may hold mattes of others, too. A matte with an alpha channel
    gives its alpha, any other its brightness. Raises CaptureError on a wrong number of mattes, a wrong aspect or an unreadable
    file.
    """
    import cv2

    sources = choose(list_mattes(folder))
    if len(sources) != count:
        raise CaptureError(f"{folder} holds {len(sources)} mattes, the video has {count} frames; one a frame is needed")
    for index, source in enumerate(sources):
        matte = _read_matte(source)
        height, width = matte.shape
        if abs(width * size[1] - height * size[0]) > ASPECT_TOLERANCE * height * size[0]:
            raise CaptureError(f"{source.name} is {width}x{height}: not the shape of the {size[0]}x{size[1]} frames")
        if (width, height) != size:
            matte = cv2.resize(matte, size, interpolation=cv2.INTER_AREA if width > size[0] else cv2.INTER_LINEAR)
        write_matte(target, index, matte)
        advance(index + 1, count)


def _read_matte(path: Path) -> np.ndarray:
    """Return the alpha channel of an image, or its brightness if it has none, [H, W] uint8."""
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise CaptureError(f"{path} cannot be read as an image")
    if picture.dtype == np.uint16:
        picture = (picture // 257).astype(np.uint8)
    if picture.ndim == 2:
        return picture
    return picture[..., 3] if picture.shape[2] == 4 else cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)


def write_matte(target: Path, index: int, matte: np.ndarray) -> None:
    """Write one matte [H, W] uint8 as `target`/<index>.png."""
    import cv2

    cv2.imwrite(str(target / f"{index:06d}.png"), matte)


def load_mattes(folder: Path) -> np.ndarray:
    """Return all mattes of a folder, [N, H, W] uint8."""
    import cv2

    return np.stack([cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(folder.glob("*.png"))])


def check_coverage(mattes: np.ndarray) -> np.ndarray:
    """Return the share of each frame that its matte covers [N]. Raises CaptureError if most frames show no object."""
    coverage = mattes.mean((1, 2)) / 255
    if np.median(coverage) < MIN_COVERAGE:
        raise CaptureError(
            f"no object found: the mattes cover {100 * np.median(coverage):.2f} % of the median frame; film the object "
            "larger, choose another --segmenter or give --mattes DIR"
        )
    return coverage
