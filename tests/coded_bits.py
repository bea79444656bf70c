"""Bits of given probabilities go through a coder here as they do in the product's compiled parts."""

from __future__ import annotations

import numpy as np

from nerfsem_method.codec.coder import Coder, code_bit
from nerfsem_method.compiled import njit


@njit
def _code_bits(state, buffer, cost, bits, ones):
    for i in range(bits.size):
        bits[i] = code_bit(state, buffer, cost, bits[i], ones[i])


def code_bits(coder: Coder, bits: np.ndarray | None, ones: np.ndarray) -> np.ndarray:
    """Code bits [n] (None when decoding) with `ones` [n] = 65536 P(1) and return them, uint8 [n]."""
    symbols = np.zeros(ones.size, np.uint8) if bits is None else bits.astype(np.uint8).ravel()
    coder.kernel(_code_bits, symbols, ones.astype(np.int64).ravel(), symbols=symbols.size)
    return symbols
