"""What the numbers in mattes mean: white and the soft edges of one object, or the labels of several."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nerfsem_method.errors import CaptureError

FEW = 16
"""A folder with at most so many values, or colours, holds labels, unless those between black and the brightest are edges."""
EDGE_SHARE = 0.9
"""Values are soft edges, and no labels, where such a share of each lies between black and the brightest, which are then no more
pixels away than there are such values."""
ONE_PIXEL, RISE = 1.25, 0.25
"""An edge is one pixel wide, and its values lie in any order, where they are so many pixels from black on average: 1.0 to 1.1 in
mattes, from 1.5 on where labels lie on the rim of another. On wider ones the brighter half of the values is farther from black
than the darker half, by at least the second share of the average: by half of it in blurred mattes, by 0.02 of it in labels."""
VOID = 255
"""Data sets mark by this label pixels of which they do not know what they show."""
TOP, TOP_SHARE = 0.9, 0.75
"""Mattes are white from the first share of their largest value on where at least the second of what is not dark lies there."""
LIKE_SIZE = 4.0
"""Labels and soft mattes of one object differ in their mean area by no larger factor."""


@dataclass
class Levels:
    """Files of one type hold each value so often, and so often on an edge between black and the brightest of their file, there
    at such a distance from black in pixels, summed."""

    counts: np.ndarray
    on_edges: np.ndarray
    depths: np.ndarray

    @property
    def are_edges(self) -> bool:
        """Return whether there are few values, and those between black and the brightest lie on edges alone, where they rise."""
        levels = np.flatnonzero(self.counts)
        between = levels[1:-1]
        if not 0 < len(between) <= FEW - 2 or levels[0] or (self.on_edges[between] < EDGE_SHARE * self.counts[between]).any():
            return False
        return len(between) == 1 or self._rise(between)

    def _rise(self, between: np.ndarray) -> bool:
        darker, brighter = between[: len(between) // 2], between[-(len(between) // 2) :]
        whole, low, high = (self.depths[part].sum() / self.on_edges[part].sum() for part in (between, darker, brighter))
        return bool(whole <= ONE_PIXEL or high - low >= RISE * whole)


def count(found: dict[type, Levels], values: np.ndarray) -> None:
    """Add what one file holds to what is found of files of its type."""
    import cv2

    kind, numbers = values.dtype.type, as_numbers(values)
    size = 2 if kind is np.bool_ else np.iinfo(kind).max + 1
    known = found.setdefault(kind, Levels(np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size)))
    counts = np.bincount(numbers.ravel(), minlength=size)
    known.counts += counts
    levels = np.flatnonzero(counts)
    if 2 < len(levels) <= FEW and not levels[0]:
        edges = _edges(numbers, len(levels) - 2)
        depths = cv2.distanceTransform((numbers != 0).view(np.uint8), cv2.DIST_L2, 3)
        known.on_edges += np.bincount(numbers[edges], minlength=size)
        known.depths += np.bincount(numbers[edges], depths[edges], minlength=size)


def _edges(numbers: np.ndarray, between: int) -> np.ndarray:
    """Return where values lie on an edge [H, W] bool, of which there are so many `between` black and the brightest."""
    import cv2

    near = np.ones((2 * between + 1, 2 * between + 1), np.uint8)
    black, white = numbers == 0, numbers == numbers.max()
    beside = cv2.dilate(black.astype(np.uint8), near) & cv2.dilate(white.astype(np.uint8), near)
    return beside.astype(bool) & ~black & ~white


def as_numbers(values: np.ndarray) -> np.ndarray:
    """Return values as whole numbers: bool are 0 and 1."""
    return values.view(np.uint8) if values.dtype == bool else values


def tables(found: dict[type, Levels], folder: Path) -> dict[type, np.ndarray]:
    """Return a table [values] uint8 for each type, of matte's values; files of 0 and 1 beside others say what these do.

    Raises CaptureError for labels of several objects.
    """
    others = {kind: replace(levels, counts=levels.counts.copy()) for kind, levels in found.items() if kind is not np.bool_}
    ones = found.get(np.bool_)
    if ones is None or not others or all(_ones_are_white(ones.counts, levels.counts) for levels in others.values()):
        return {kind: _table(levels, folder) for kind, levels in found.items()}
    same = min(others, key=lambda kind: len(others[kind].counts))
    others[same].counts[:2] += ones.counts
    made = {kind: _table(levels, folder) for kind, levels in others.items()}
    return {**made, np.bool_: made[same][:2]}


def _ones_are_white(ones: np.ndarray, others: np.ndarray) -> bool:
    """Return whether files of 0 and 1, of which `ones` are the counts, are mattes, where `others` are those of other files.

    Beside labels, 1 is a label as well. Beside soft mattes it may be next to nothing, unless there is as much of it as of white.
    """
    levels, full = np.flatnonzero(others), len(others) - 1
    if len(levels) <= FEW and (levels[-1] <= full // 2 or 1 in levels or _has_void(levels, others)):
        return False
    white = others[int(levels[-1]) // 2 + 1 :].sum() / others.sum()
    return len(levels) <= 2 or 1 / LIKE_SIZE < ones[1] / ones.sum() / white < LIKE_SIZE


def _table(found: Levels, folder: Path) -> np.ndarray:
    """Return the matte's value uint8 for each value. Raises CaptureError for labels of several objects."""
    counts = found.counts
    levels, table = np.flatnonzero(counts), np.zeros(len(counts), np.uint8)
    most, full = int(levels[-1]), len(counts) - 1
    if len(levels) <= 2:  # 0 and 1, 0 and 255, 16 and 235, or one value everywhere
        table[most] = 255 if most else 0
        return table
    void = len(levels) <= FEW and _has_void(levels, counts)
    edges = found.are_edges and not void
    if void or (len(levels) <= FEW and most <= full // 2 and not edges):
        table[_one_label(levels, counts, folder)] = 255
        return table
    if not edges and (most > full // 2 or most == 255) and not _has_flat_top(counts, most):
        most = 255 if most <= 255 else full
    return (np.arange(len(counts)).clip(0, most) * 255 // most).astype(np.uint8)


def _has_flat_top(counts: np.ndarray, most: int) -> bool:
    """Return whether what is brighter than half of the largest value is, for the most part, about as bright as that."""
    return counts[round(TOP * most) :].sum() >= TOP_SHARE * counts[most // 2 + 1 :].sum()


def _has_void(levels: np.ndarray, counts: np.ndarray) -> bool:
    """Return whether small labels are there, and less of VOID than of them: a thin line around what they mark."""
    labels = levels[(levels > 0) & (levels != VOID)]
    return VOID in levels and int(labels.max(initial=0)) <= FEW and counts[VOID] < counts[labels].sum()


def _one_label(levels: np.ndarray, counts: np.ndarray, folder: Path) -> int:
    labels = [int(level) for level in levels if level and level != VOID]
    if len(labels) > 1:
        whole = counts.sum()
        told = ", ".join(f"{label} ({100 * counts[label] / whole:.2g} %)" for label in labels)
        raise CaptureError(f"the mattes in {folder} label {len(labels)} objects: {told}; keep the label of one, 0 elsewhere")
    return labels[0]


