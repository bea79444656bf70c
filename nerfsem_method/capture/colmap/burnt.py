"""This module says where something is burnt into the frames, by the cells in which features stand still while the scene moves."""

from __future__ import annotations

import numpy as np

from nerfsem_method.capture.colmap.job import Place

CELL = 4.0
"""A cell has so many pixels a side; a frame is divided into them, with a rim of one around it."""
JOINED, LEGIBLE = 4, 0.04
"""What is burnt in not farther apart than twice so many cells is told as one thing, unless all of it is smaller than this share
of the frame, as what lies in the middle of pictures that are turned about it, and stands still there."""


def cells_of(pixels: np.ndarray) -> np.ndarray:
    """Return the cells [M, 2], column and row, in which pixels [M, 2] lie."""
    return (pixels / CELL).astype(int) + 1


def around(shape: tuple[int, ...], at: np.ndarray) -> np.ndarray:
    """Return which of all cells [rows, columns] of this shape are those `at` [M, 2], column and row, or beside them."""
    found = np.zeros(shape, bool)
    for down, across in np.ndindex(3, 3):
        found[at[:, 1] + down - 1, at[:, 0] + across - 1] = True
    return found


def places(burnt: np.ndarray, width: int, height: int) -> list[Place]:
    """Return the places in frames of this size where cells [rows, columns] bool, with those around them, are `burnt` in."""
    from scipy.ndimage import binary_dilation, find_objects, label

    if not burnt.any():
        return []
    size = np.array([height, width])
    groups = np.zeros(burnt.shape, np.int32)
    label(binary_dilation(burnt, iterations=JOINED), output=groups)
    groups *= burnt
    found = []
    for rows, columns in find_objects(groups):  # These cells reach by one beyond those in which the features lie.
        top, left = np.array([rows.start, columns.start]) * CELL / size
        bottom, right = np.maximum((rows.stop - 2, columns.stop - 2), (rows.start + 1, columns.start + 1)) * CELL / size
        if max(right - left, bottom - top) > LEGIBLE:
            found.append((float(left), float(top), min(float(right), 1.0), min(float(bottom), 1.0)))
    return found
