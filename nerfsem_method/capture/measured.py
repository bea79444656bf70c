"""Mattes of a whole clip are measured together, and a long clip's would fill the memory: this module shrinks those on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nerfsem_method.media.pictures import read_picture

MOST_BYTES = 2 * 10**9
"""The mattes of a clip take so many bytes at most; those of 3,000 frames of 4K would take 25 GB."""


def load_measured(folder: Path, names: list[str], most: int = MOST_BYTES) -> np.ndarray:
    """Return the mattes of these names in a folder [N, H, W] uint8, smaller than they are where `most` bytes would not do."""
    import cv2

    first = read_picture(folder / names[0], grey=True)
    shrink = min(1.0, (most / (len(names) * first.size)) ** 0.5)
    height, width = (max(int(shrink * side), 1) for side in first.shape)
    mattes = np.empty((len(names), height, width), np.uint8)
    for matte, name in zip(mattes, names, strict=True):
        picture = read_picture(folder / name, grey=True)
        matte[:] = picture if shrink == 1 else cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return mattes
