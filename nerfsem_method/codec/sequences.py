"""Numbers that change slowly from frame to frame are coded as differences, of an order that the encoder picks."""

from __future__ import annotations

import numpy as np

from nerfsem_method.codec.coder import Coder, Meter
from nerfsem_method.errors import CorruptBundle

_MAX_ORDER = 3
_MAX_INTEGER = 1 << 40


def code_sequence(coder: Coder, values: np.ndarray | None, count: int) -> np.ndarray:
    """Code integers [count]: the first one and the order of differences, then the differences of what is left.

    `values` is None when decoding. Raises CorruptBundle for values that no encoder writes.
    """
    if count == 0:
        return np.zeros(0, np.int64)
    head = None if values is None else np.array([values[0], _best_order(values)])
    first, order = coder.integers(head, 2).tolist()
    if not (0 <= order <= _MAX_ORDER and abs(first) <= _MAX_INTEGER):
        raise _implausible()
    sequence = coder.integers(None if values is None else _differences(values, order), count - 1)
    for _ in range(order):
        if np.abs(sequence).max(initial=0) > _MAX_INTEGER // max(count, 1):
            raise _implausible()
        sequence = np.cumsum(sequence)
    return np.concatenate([[0], sequence]) + first


def _differences(values: np.ndarray, order: int) -> np.ndarray:
    sequence = values[1:] - values[0]
    for _ in range(order):
        sequence = np.diff(sequence, prepend=0)
    return sequence


def _best_order(values: np.ndarray) -> int:
    bits = []
    for order in range(_MAX_ORDER + 1):
        meter = Meter()
        meter.integers(_differences(values, order), len(values) - 1)
        bits.append(meter.bits)
    return int(np.argmin(bits))


def _implausible() -> CorruptBundle:
    return CorruptBundle("a camera's path is out of range; the file is damaged, restore it from a copy")
