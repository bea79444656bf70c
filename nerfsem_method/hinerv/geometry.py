"""This module says where things lie in time and space: keys between which a frame lies, and pixels that a part of it needs.

The painter of pictures and the torch network both follow it, so they agree on every position (FORMAT.md, section 9).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nerfsem_method.codec.hinerv import Shape, Stage


def between(index: float, count: int, keys: int) -> tuple[int, int, float]:
    """Return the two of `keys` keys between which the centre of item `index` of `count` lies, and the share of the second."""
    position = min(max((index + 0.5) * keys / count - 0.5, 0.0), keys - 1.0)
    first = int(position)
    return first, min(first + 1, keys - 1), position - first


def enlarging(cells: int, scale: int) -> np.ndarray:
    """Return the matrix float32 [scale * cells, cells] that enlarges a line of cells by linear interpolation."""
    matrix = np.zeros((scale * cells, cells), np.float32)
    for pixel in range(scale * cells):
        first, second, share = between(pixel, scale * cells, cells)
        matrix[pixel, first] += 1 - share
        matrix[pixel, second] += share
    return matrix


@dataclass(frozen=True)
class Span:
    """A span is pixels `start` ... `stop` - 1 of an axis that has `size` of them."""

    start: int
    stop: int
    size: int

    @classmethod
    def whole(cls, size: int) -> Span:
        """Return all of an axis."""
        return cls(0, size, size)

    def wider(self, margin: int) -> Span:
        """Return this span with a margin on both sides, as far as the axis reaches."""
        return Span(max(self.start - margin, 0), min(self.stop + margin, self.size), self.size)

    def source(self, scale: int) -> Span:
        """Return the cells of an axis `scale` times as coarse that this span is interpolated from."""
        cells = self.size // scale
        first, _, _ = between(self.start, self.size, cells)
        _, last, _ = between(self.stop - 1, self.size, cells)
        return Span(first, last + 1, cells)

    def within(self, other: Span) -> slice:
        """Return where this span lies in an array that holds `other`."""
        return slice(self.start - other.start, self.stop - other.start)


@dataclass(frozen=True)
class Needs:
    """Needs of a stage, along one axis, are the cells that it enlarges, the pixels that its blocks work on and those that it
    hands on."""

    source: Span
    work: Span
    result: Span


def needs_of(stages: tuple[Stage, ...], result: Span) -> list[Needs]:
    """Return what each stage needs along one axis, so that the last hands on `result`.

    Each block looks one pixel further, so the work is as much wider; where that ends within the frame, its rim is wrong, and
    cut off (HiNeRV's overlapping padding).
    """
    found: list[Needs] = []
    for stage in reversed(stages):
        work = result.wider(stage.depth)
        source = work.source(stage.scale)
        found.insert(0, Needs(source, work, result))
        result = source
    return found


def padded(shape: Shape, height: int, width: int) -> tuple[int, int]:
    """Return rows and columns of the frame that the network paints, of which the upper left ones are shown."""
    rows, columns = shape.cells(height, width)
    return rows * shape.upsampling, columns * shape.upsampling
