"""Rice codes for a handful of small signed integers: one parameter byte, then unary quotient and plain remainder."""

from __future__ import annotations

import numpy as np

from nerfsem_method.errors import CorruptBundle

_MAX_PARAMETER = 8
_MAX_QUOTIENT = 1 << 12


def pack(values: np.ndarray) -> bytes:
    """Signed integers of any shape to bytes, with the best parameter."""
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
    """`count` integers, int64, and the bytes they took. Raises CorruptBundle when `data` does not hold them."""
    if not data or data[0] > _MAX_PARAMETER or count > 8 * len(data):
        raise CorruptBundle("coded colours are damaged; restore the file from a copy")
    parameter = data[0]
    bits = np.unpackbits(np.frombuffer(data, np.uint8, offset=1))
    stops = np.flatnonzero(bits == 0)
    values, position, stop = np.zeros(count, np.int64), 0, 0
    for index in range(count):
        stop = int(np.searchsorted(stops, position))
        if stop == stops.size or stops[stop] + 1 + parameter > bits.size or stops[stop] - position > _MAX_QUOTIENT:
            raise CorruptBundle("coded colours are damaged; restore the file from a copy")
        end = int(stops[stop])
        remainder = int("".join(map(str, bits[end + 1 : end + 1 + parameter])) or "0", 2)
        folded = (end - position) << parameter | remainder
        values[index] = -(folded + 1) // 2 if folded & 1 else folded // 2
        position = end + 1 + parameter
    return values, 1 + (position + 7) // 8
