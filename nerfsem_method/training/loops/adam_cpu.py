"""Adam's step for the tables of a field on the CPU: gradients are collected, and parameters moved, in one pass over memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nerfsem_method.compiled import FAST, njit
from nerfsem_method.training.loops.encode_cpu import collect

BLOCK = 512
"""So many values are done at a time: what one loop writes is still in the cache when the next one reads it."""
VANISHED = 1e-30
"""A first moment below this is 0: it would end as a denormal number, with which processors reckon a hundred times slower."""


class Rates(NamedTuple):
    """The numbers of one step (Kingma and Ba 2015, algorithm 1).

    Attributes:
        step: the learning rate over 1 - beta1^t.
        root: 1 / sqrt(1 - beta2^t).
        first, second: beta1 and beta2.
        epsilon: added to the root of the second moment.
    """

    step: float
    root: float
    first: float
    second: float
    epsilon: float


@njit(cache=True, nogil=True, fastmath=FAST)
def adam(theta, coded, partial, means, squares, rates, start, stop):
    """Move the values start ... stop - 1 of theta by the gradients in partial [threads, values], and leave zeros there.

    What is moved is clipped to [-1, 1], see `grid_adam`. `means` and `squares` [values] are the moments. Blocks of which nothing
    is coded stay as they are: no gradient comes there.
    """
    gradient = np.empty(BLOCK, np.float32)
    first, second = np.float32(1 - rates.first), np.float32(1 - rates.second)
    step, root, epsilon = np.float32(rates.step), np.float32(rates.root), np.float32(rates.epsilon)
    for begin in range(start, stop, BLOCK):
        end = min(begin + BLOCK, stop)
        count = end - begin
        kept = np.int8(0)
        for i in range(begin, end):
            kept |= coded[np.uint64(i)]
        if kept == 0:
            continue
        collect(theta, coded, partial, begin, end, gradient)
        mean, square, own = means[begin:end], squares[begin:end], theta[begin:end]
        for i in range(count):
            moved = mean[i] + (gradient[i] - mean[i]) * first
            mean[i] = moved if abs(moved) > np.float32(VANISHED) else np.float32(0)
        for i in range(count):
            square[i] += (gradient[i] * gradient[i] - square[i]) * second
        for i in range(count):
            moved = own[i] - step * mean[i] / (np.sqrt(square[i]) * root + epsilon)
            own[i] = min(max(moved, np.float32(-1)), np.float32(1))
