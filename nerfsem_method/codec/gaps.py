"""The optional section `gaps` names the frames of the clip that a bundle leaves out (FORMAT.md, section 10)."""

from __future__ import annotations

import numpy as np

from nerfsem_method.codec.coder import Coder, Decoder, Encoder
from nerfsem_method.codec.header import MAX_FRAMES
from nerfsem_method.errors import CorruptBundle

TAG = "gaps"


def pack_gaps(left_out: tuple[int, ...]) -> bytes:
    """Return the section's payload for the ascending numbers of the frames left out."""
    encoder = Encoder()
    _code_runs(encoder, _runs(left_out))
    return encoder.finish()


def unpack_gaps(payload: bytes) -> tuple[int, ...]:
    """Return what `pack_gaps` was given. Raises CorruptBundle for anything else."""
    numbers: list[int] = []
    for skipped, length in _code_runs(Decoder(payload), None):
        start = (numbers[-1] + 1 if numbers else 0) + int(skipped)
        if skipped < 0 or length < 1 or start + length > 2 * MAX_FRAMES:
            raise CorruptBundle("the section 'gaps' names impossible frames; restore the file from a copy")
        numbers += range(start, start + int(length))
    return tuple(numbers)


def _runs(numbers: tuple[int, ...]) -> np.ndarray:
    """Return runs [K, 2] of numbers: how many are skipped before each, and its length."""
    found: list[list[int]] = []
    following = 0
    for number in numbers:
        if found and number == following:
            found[-1][1] += 1
        else:
            found.append([number - following, 1])
        following = number + 1
    return np.array(found, np.int64).reshape(-1, 2)


def _code_runs(coder: Coder, runs: np.ndarray | None) -> np.ndarray:
    count = int(coder.integers(None if runs is None else np.array([len(runs)]), 1)[0])
    if not 0 <= count <= MAX_FRAMES:
        raise CorruptBundle("the section 'gaps' names impossible frames; restore the file from a copy")
    return coder.integers(None if runs is None else runs.ravel(), 2 * count).reshape(-1, 2)
