"""A bundle's filter goes over a rendered frame here (FORMAT.md, section 8): two convolutions, a row of pixels at a time."""

from __future__ import annotations

import numpy as np

from nerfsem_method.compiled import FAST, njit
from nerfsem_method.compiled.threads import in_turns

ROWS = 32
"""A thread takes so many rows of a picture at a time."""


def filtered(picture: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return a picture made sharper: float32 [H, W, 4], premultiplied RGBA.

    Args:
        picture: float32 [H, W, 4], premultiplied RGBA; beyond its edges it goes on as it is there.
        first: weights [width, 4, 3, 3] float32 of the first layer, after which comes a ReLU.
        second: weights [4, width, 3, 3] of the second, whose outputs are added to the picture.
    """
    height, width, channels = picture.shape
    planes = np.ascontiguousarray(np.pad(picture, ((2, 2), (2, 2), (0, 0)), "edge").transpose(0, 2, 1))
    used = np.flatnonzero(picture.any((1, 2)))
    out = np.zeros_like(picture)
    if not used.size:
        return out
    start, stop = max(used[0] - 2, 0), min(used[-1] + 3, height)
    columns = np.flatnonzero(picture[start:stop].any((0, 2)))
    left, right = max(columns[0] - 2, 0), min(columns[-1] + 3, width)

    def part(index: int) -> None:
        rows = start + index * ROWS, min(start + (index + 1) * ROWS, stop)
        _filter(planes, first, second, rows[0], rows[1], left, right, out)

    in_turns(-(-(stop - start) // ROWS), part)
    return out


@njit(cache=True, nogil=True, fastmath=FAST)
def _filter(planes, first, second, start, stop, left, right, out):
    """Fill rows start ... stop - 1 and columns left ... right - 1 of `out` [H, W, 4] from `planes` [H + 4, 4, W + 4]."""
    height, width = out.shape[0], out.shape[1]
    hidden_count, channels = first.shape[0], first.shape[1]
    span = right - left
    hidden = np.zeros((3, hidden_count, span + 2), np.float32)
    sums = np.zeros((channels, span), np.float32)
    for y in range(start - 1, stop + 1):
        # a row beyond the edge repeats the one at the edge
        _hide(planes, first, min(max(y, 0), height - 1), left, width, hidden[(y + 1) % 3])
        if y <= start:
            continue
        sums[:] = 0
        for tap in range(3):
            rows = hidden[(y - 1 + tap) % 3]
            for c in range(channels):
                for h in range(hidden_count):
                    a, b, d = second[c, h, tap, 0], second[c, h, tap, 1], second[c, h, tap, 2]
                    for x in range(span):
                        sums[c, x] += a * rows[h, x] + b * rows[h, x + 1] + d * rows[h, x + 2]
        row = planes[y + 1]
        for x in range(span):
            alpha = min(max(row[3, left + x + 2] + sums[3, x], np.float32(0)), np.float32(1))
            for c in range(3):
                out[y - 1, left + x, c] = min(max(row[c, left + x + 2] + sums[c, x], np.float32(0)), alpha)
            out[y - 1, left + x, 3] = alpha


@njit(cache=True, fastmath=FAST)
def _hide(planes, first, y, left, width, hidden):
    """Fill `hidden` [width of the layer, columns] with row y of the first layer's outputs, from column left - 1 on."""
    columns = hidden.shape[1]
    hidden[:] = 0
    for h in range(hidden.shape[0]):
        for c in range(first.shape[1]):
            for tap in range(3):
                row = planes[y + 1 + tap, c]
                a, b, d = first[h, c, tap, 0], first[h, c, tap, 1], first[h, c, tap, 2]
                for x in range(columns):
                    hidden[h, x] += a * row[left + x] + b * row[left + x + 1] + d * row[left + x + 2]
        for x in range(columns):
            hidden[h, x] = max(hidden[h, x], np.float32(0))
        # a column beyond the edge repeats the one at the edge
        if left == 0:
            hidden[h, 0] = hidden[h, 1]
        if left + columns - 2 == width:
            hidden[h, columns - 1] = hidden[h, columns - 2]
