"""Rice codes hold a handful of small signed integers: one parameter byte, then unary quotients and plain remainders."""

from __future__ import annotations

import numpy as np

from nerfsem_method.compiled import njit
from nerfsem_method.errors import CorruptBundle

_MAX_PARAMETER = 8
_MAX_QUOTIENT = 1 << 12


def pack(values: np.ndarray) -> bytes:
    """Return the bytes of signed integers of any shape, coded with the best parameter."""
    folded = np.where(values < 0, -2 * values - 1, 2 * values).ravel().astype(np.int64)
    cost = [int((folded >> k).sum()) + (k + 1) * folded.size for k in range(_MAX_PARAMETER + 1)]
    parameter = int(np.argmin(cost))
    codes = []
    for value in folded.tolist():
        remainder = f"{value & ((1 << parameter) - 1):0{parameter}b}" if parameter else ""
        codes.append("1" * (value >> parameter) + "0" + remainder)
    bits = np.frombuffer("".join(codes).encode(), np.uint8) - ord("0")
    return bytes([parameter]) + np.packbits(bits).tobytes()


def unpack(data: bytes, count: int) -> tuple[np.ndarray, int]:
    """Return `count` integers, int64, and the number of bytes they took. Raises CorruptBundle when `data` does not hold them."""
    if not data or data[0] > _MAX_PARAMETER or count > 8 * len(data):
        raise CorruptBundle("coded colours are damaged; restore the file from a copy")
    folded = np.zeros(count, np.int64)
    bits = _read(np.frombuffer(data, np.uint8, offset=1), data[0], folded)
    if bits < 0:
        raise CorruptBundle("coded colours are damaged; restore the file from a copy")
    return np.where(folded & 1, -(folded + 1) // 2, folded // 2), 1 + (bits + 7) // 8


@njit(cache=True)
def _read(data, parameter, values):
    """Fill `values` from the bits of `data`, first bit most significant, and return how many were read, or -1 for damage."""
    position = 0
    for index in range(values.size):
        quotient = 0
        while position < 8 * data.size and (data[position >> 3] >> (7 - (position & 7))) & 1:
            quotient += 1
            position += 1
        position += 1  # A zero ends the quotient.
        if position + parameter > 8 * data.size or quotient > _MAX_QUOTIENT:
            return -1
        value = quotient
        for _ in range(parameter):
            value = value << 1 | (data[position >> 3] >> (7 - (position & 7))) & 1
            position += 1
        values[index] = value
    return position
