"""The occupancy grid is coded voxel by voxel, each by what is known of the voxels around it.

An adaptive bit has twelve of them as its context. A regression on what that expects, and on all voxels before this one within
a ball, says how probable the voxel is (`regression`). Older bundles have the adaptive bits alone.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from nerfsem_method.codec.coder import ONE, OVERRUN, Coder, adapt, code_adaptive, new_models
from nerfsem_method.codec.fixed_point import LOGIT_LIMIT, UNIT, probability_table
from nerfsem_method.codec.regression import CONSTANT, WEIGHT_BITS, code_mixed
from nerfsem_method.compiled import njit

TEMPLATE = np.array(
    [
        (0, 0, -1), (0, -1, 0), (-1, 0, 0), (0, -1, -1), (-1, 0, -1), (-1, -1, 0), (0, -1, 1), (-1, 0, 1), (-1, 1, 0),
        (0, 0, -2), (0, -2, 0), (-2, 0, 0),
    ]
)  # fmt: skip
"""The context is these causal neighbours (dx, dy, dz), nearest first; z runs fastest."""
_BORDER = 3
"""The regression looks so far: it has the causal neighbours within this distance, in order of x, y and z."""
_BALL = np.indices((2 * _BORDER + 1,) * 3).reshape(3, -1).T - _BORDER
_BALL = np.array([offset for offset in _BALL[: len(_BALL) // 2] if offset @ offset <= _BORDER**2])
_NOBODY = np.zeros((0, 3), np.int64)
_ROW_MODELS = 16


@cache
def _stretched() -> np.ndarray:
    """Return the largest logit, in 1/256, whose probability is no more than P(1) = ones / 65536: int64 [65537]."""
    return np.searchsorted(probability_table(), np.arange(ONE + 1), side="right") - 1 - LOGIT_LIMIT


@njit(cache=True)
def _code_occupancy(state, buffer, cost, template, around, rows, models, stretched, probabilities, padded):
    """Code row after row along z; one bit says whether a row is empty, and its context is the emptiness of the rows before.

    Where there are no offsets `around`, voxels are adaptive bits.
    """
    side = padded.shape[0] - 2 * _BORDER
    inputs, weights = np.zeros(2 + around.shape[0], np.int64), np.zeros(2 + around.shape[0], np.int64)
    inputs[1], weights[0] = CONSTANT, 1 << WEIGHT_BITS
    for x in range(_BORDER, side + _BORDER):
        for y in range(_BORDER, side + _BORDER):
            if state[OVERRUN]:
                return
            used = 0
            for z in range(_BORDER, side + _BORDER):
                used |= padded[x, y, z]
            before = rows[x, y - 1] + 2 * rows[x - 1, y] + 4 * rows[x - 1, y + 1] + 8 * rows[x - 1, y - 1]
            rows[x, y] = code_adaptive(state, buffer, cost, used, models[before])
            if rows[x, y] == 0:
                continue
            for z in range(_BORDER, side + _BORDER):
                context = 0
                for n in range(template.shape[0]):
                    neighbour = padded[x + template[n, 0], y + template[n, 1], z + template[n, 2]]
                    context |= neighbour << n
                model = models[_ROW_MODELS + context]
                if around.shape[0] == 0:
                    padded[x, y, z] = code_adaptive(state, buffer, cost, padded[x, y, z], model)
                    continue
                inputs[0] = stretched[model[0]]
                for n in range(around.shape[0]):
                    occupied = padded[x + around[n, 0], y + around[n, 1], z + around[n, 2]]
                    inputs[2 + n] = UNIT if occupied else -UNIT
                padded[x, y, z] = code_mixed(state, buffer, cost, padded[x, y, z], inputs, weights, inputs.size, probabilities)
                adapt(model, padded[x, y, z])


def code_occupancy(coder: Coder, side: int, occupancy: np.ndarray | None, mixed: bool) -> np.ndarray:
    """Code a bool grid [side, side, side] (None when decoding), by a regression if `mixed`, and return it."""
    padded = np.zeros((side + 2 * _BORDER,) * 3, np.uint8)
    inner = (slice(_BORDER, -_BORDER),) * 3
    if occupancy is not None:
        padded[inner] = occupancy
    rows = np.zeros(padded.shape[:2], np.uint8)
    models = new_models(_ROW_MODELS + (1 << len(TEMPLATE)))
    given = TEMPLATE, _BALL if mixed else _NOBODY, rows, models, _stretched(), probability_table(), padded
    coder.kernel(_code_occupancy, *given, symbols=side**3 + side**2)
    return padded[inner].astype(bool)
