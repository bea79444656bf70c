"""Coding learns as it goes what the context models' logits miss: the signs already decoded nearby in the same table.

Every feature of a table has a logistic regression on the context model's logit, a constant, the feature's signs at the
vertices around that come earlier, and the vector's earlier features (`regression`). Its weights start as "believe the context
model".
"""

from __future__ import annotations

import numpy as np

from nerfsem_method.codec.coder import OVERRUN, Coder, Meter
from nerfsem_method.codec.fixed_point import LOGIT_LIMIT, UNIT, probability_table
from nerfsem_method.codec.regression import CONSTANT, WEIGHT_BITS, code_mixed
from nerfsem_method.compiled import njit
from nerfsem_method.field.hashing import entry_of
from nerfsem_method.field.layout import TableLayout
from nerfsem_method.field.spec import Table

OFFSETS = {
    3: np.array([
        (0, 0, -1), (0, -1, 0), (-1, 0, 0), (0, -1, -1), (-1, 0, -1), (-1, -1, 0), (0, -1, 1), (-1, 0, 1), (-1, 1, 0),
        (-1, -1, -1), (-1, 1, 1), (-1, -1, 1), (-1, 1, -1), (0, 0, -2), (0, -2, 0), (-2, 0, 0),
    ]),
    2: np.array([
        (0, -1, 0), (-1, 0, 0), (-1, -1, 0), (-1, 1, 0), (0, -2, 0), (-2, 0, 0), (-1, 2, 0), (-1, -2, 0), (-2, -1, 0),
        (-2, 1, 0), (0, -3, 0), (-3, 0, 0),
    ]),
}  # fmt: skip
"""A vertex looks for earlier ones at these offsets, by the number of its table's axes."""


@njit(cache=True)
def _code_table(state, buffer, cost, table, offsets, rank_of, vertices, logits, probabilities, weights, sums, bits):
    """Code bits [E, F], and leave in `weights` what was learnt; `rank_of` [entries] is an entry's rank among the coded, or -1.

    The weights behind each entry are added to `sums`, unless these are empty.
    """
    dimensions, resolution, entries, hashed = table
    count, features = logits.shape
    around = offsets.shape[0]
    first = 2 + around
    inputs = np.zeros(first + features, np.int64)
    inputs[1] = CONSTANT
    ranks = np.empty(around, np.int64)
    for e in range(count):
        if state[OVERRUN]:
            return
        for n in range(around):
            x, y, z = vertices[e, 0] + offsets[n, 0], vertices[e, 1] + offsets[n, 1], vertices[e, 2] + offsets[n, 2]
            ranks[n] = -1
            if min(x, y, z) >= 0 and max(x, y, z) <= resolution:
                ranks[n] = rank_of[entry_of(x, y, z, dimensions, resolution, entries, hashed)]
        inputs[first:] = 0
        for f in range(features):
            inputs[0] = min(max(logits[e, f], -LOGIT_LIMIT), LOGIT_LIMIT)
            for n in range(around):
                known = 0 <= ranks[n] < e  # In a hashed table the entry there may come later.
                inputs[2 + n] = 0 if not known else (UNIT if bits[ranks[n], f] else -UNIT)
            given = bits[e, f], inputs, weights[f], first + f, probabilities
            bits[e, f] = code_mixed(state, buffer, cost, *given)
            inputs[first + f] = UNIT if bits[e, f] else -UNIT
        for f in range(sums.shape[0]):
            for i in range(sums.shape[1]):
                sums[f, i] += weights[f, i]


def code_table(coder: Coder, table: Table, layout: TableLayout, values: np.ndarray | None, logits: np.ndarray) -> np.ndarray:
    """Code the signs of a table's entries.

    Args:
        values: The coded entries are int8 [E, features]; None when decoding.
        logits: The context models' logits are int64 [E, features], in units of 1/256.

    Returns:
        The values are int8 [E, features] in {-1, +1}.
    """
    return _coded(coder, table, layout, values, logits, np.zeros((0, 0)))


def mean_weights(table: Table, layout: TableLayout, values: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Return the mean of the regressions' weights while a table's `values` are coded, float64 [features, 2 + offsets + features].

    Their inputs are a logit, CONSTANT / UNIT, the signs at the offsets (0 where there is none) and the vector's earlier signs.
    """
    sums = np.zeros((table.features, 2 + len(OFFSETS[len(table.axes)]) + table.features))
    _coded(Meter(), table, layout, values, logits, sums)
    return sums / len(layout.entries) / 2.0**WEIGHT_BITS


def _coded(
    coder: Coder, table: Table, layout: TableLayout, values: np.ndarray | None, logits: np.ndarray, sums: np.ndarray
) -> np.ndarray:
    """Return the values that `code_table` returns, and add up weights as `_code_table` does."""
    bits = np.zeros(logits.shape, np.uint8) if values is None else (values > 0).astype(np.uint8)
    rank_of = np.full(table.entries, -1, np.int32)
    rank_of[layout.entries] = np.arange(len(layout.entries))
    vertices = np.zeros((len(layout.entries), 3), np.int64)
    vertices[:, : len(table.axes)] = layout.vertices[layout.starts[:-1]]
    shape = (len(table.axes), table.resolution, table.entries, table.hashed)
    offsets = OFFSETS[len(table.axes)]
    weights = np.zeros((table.features, 2 + len(offsets) + table.features), np.int64)
    weights[:, 0] = 1 << WEIGHT_BITS
    given = shape, offsets, rank_of, vertices, logits, probability_table(), weights, sums, bits
    coder.kernel(_code_table, *given, symbols=bits.size)
    return 2 * bits.astype(np.int8) - 1
