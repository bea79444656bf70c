"""Integers stand for real numbers wherever encoder and decoder must agree.

Activations and logits are integers in units of 1 / 256. A logit becomes a probability by a table that is computed with
correctly rounded decimal arithmetic, so that it is the same table on every machine.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache

import numpy as np

from nerfsem_method.field.layout import UNIT

ACTIVATION_BITS = UNIT.bit_length() - 1
WEIGHT_EXPONENT = -5
"""Context-model weights are integers times 2 ** -5; biases are integers times 2 ** -8, as activations are."""
WEIGHT_LIMIT = 127
BIAS_LIMIT = 4095
HIDDEN_LIMIT = (1 << 16) - 1
"""Encoders keep weights and biases within +- their limits; hidden activations are clamped to theirs."""
LOGIT_LIMIT = 2816
"""Logits are clamped to +-11: a certain symbol then costs 2.4e-5 bits."""


@cache
def probability_table() -> np.ndarray:
    """Return P(1) in 1/65536 for logits -LOGIT_LIMIT ... LOGIT_LIMIT: int64 [2 * LOGIT_LIMIT + 1], each in 1 ... 65535."""
    with localcontext() as context:
        context.prec = 40
        upper = []
        for logit in range(LOGIT_LIMIT + 1):
            probability = 1 / (1 + (-Decimal(logit) / UNIT).exp())
            upper.append(min(int((probability * 65536).to_integral_value()), 65535))
    positive = np.array(upper, np.int64)
    return np.concatenate([65536 - positive[:0:-1], positive])


def two_layers(inputs: np.ndarray, weights: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return the logits [V, O] of activations [V, I], all int64 and exact; this is the context models' arithmetic.

    hidden = min(max((W0 x >> 5) + b0, 0), HIDDEN_LIMIT); logit = (W1 hidden >> 5) + b1; >> rounds down. Products are summed
    in float64 where they are integers far below 2 ** 53 (at most 2^7 * 2^16 * inputs), hence exact in any order.
    """
    weight0, bias0, weight1, bias1 = (np.asarray(w, np.float64) for w in weights)
    scale = 2.0**WEIGHT_EXPONENT
    hidden = np.clip(np.floor((inputs.astype(np.float64) @ weight0.T) * scale) + bias0, 0, HIDDEN_LIMIT)
    return (np.floor((hidden @ weight1.T) * scale) + bias1).astype(np.int64)
