"""This module says where something is burnt into the frames, by the cells in which features stand still while the scene moves."""

from __future__ import annotations

import numpy as np

from nerfsem_method.capture.colmap.job import Place

CELL = 4.0
"""A cell has so many pixels a side; a frame is divided into them, with a rim of one around it."""
JOINED, LEGIBLE = 4, 0.04
"""What is burnt in not farther apart than twice so many cells is told as one thing, unless all of it is smaller than this share
of the frame, as what lies in the middle of pictures that are turned about it, and stands still there."""
BURNT_IN, FEWEST_BURNT = 0.05, 8
"""Where features stand still in such a share of the pairs that move, and in so many at least, in a cell or beside it, something
is burnt into the picture, a translucent watermark for example: what stands still there in other pairs is no scene either. Frames
that have nothing else in common would be laid over each other by it."""
SLOW, BY_AND_BY = 2.0, 6.0
"""Near the axis of an even turn features stand still, too, but in more than one of so many pairs others move a little there, up
to so many pixels; what moves beside a watermark moves as the scene does."""


def burnt_cells(still: np.ndarray, slow: np.ndarray, moving: int) -> np.ndarray:
    """Return in which cells [rows, columns] bool something is burnt in, of frames of which so many pairs are `moving`.

    In so many of these pairs features stand `still` there, and in so many others are `slow`, by BY_AND_BY pixels at most.
    """
    return (still >= max(FEWEST_BURNT, BURNT_IN * moving)) & (still > SLOW * slow)


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
