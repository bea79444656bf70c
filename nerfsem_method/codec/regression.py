"""A logistic regression that learns as it codes, in integers: encoder and decoder follow the same weights to the last bit.

Its weights follow the gradient of the code length after each bit (online, as the mixers of PAQ: Mahoney 2005), so they cost
no bytes.
"""

from __future__ import annotations

from nerfsem_method.codec.coder import ONE, PROBABILITY_BITS, code_bit
from nerfsem_method.codec.fixed_point import ACTIVATION_BITS, LOGIT_LIMIT, UNIT
from nerfsem_method.compiled import njit

CONSTANT = UNIT // 4
"""A regression has this constant input beside a logit and signs."""
WEIGHT_BITS = 20
"""Weights are integers times 2 ** -20."""
_RATE_BITS = 7
"""The learning rate is 2 ** -7. A weight stays below 2 ** 43 over the most bits that a section may have: no overflow."""
_SHIFT = ACTIVATION_BITS + PROBABILITY_BITS + _RATE_BITS - WEIGHT_BITS


@njit(cache=True)
def code_mixed(state, buffer, cost, bit, inputs, weights, count, probabilities):
    """Code a bit by the first `count` of inputs, int64 in units of 1/256, and weights, which then learn; return the bit."""
    total = 0
    for i in range(count):
        total += weights[i] * inputs[i]
    logit = min(max(total >> WEIGHT_BITS, -LOGIT_LIMIT), LOGIT_LIMIT)
    ones = probabilities[logit + LOGIT_LIMIT]
    bit = code_bit(state, buffer, cost, bit, ones)
    error = (ONE if bit else 0) - ones
    for i in range(count):
        weights[i] += (error * inputs[i] + (1 << (_SHIFT - 1))) >> _SHIFT
    return bit
