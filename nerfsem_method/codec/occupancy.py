"""The occupancy grid is coded as one adaptive bit a voxel, whose context is the voxels already coded around it."""

from __future__ import annotations

import numpy as np

from nerfsem_method.codec.coder import OVERRUN, Coder, code_adaptive, new_models
from nerfsem_method.compiled import njit

TEMPLATE = np.array(
    [
        (0, 0, -1), (0, -1, 0), (-1, 0, 0), (0, -1, -1), (-1, 0, -1), (-1, -1, 0), (0, -1, 1), (-1, 0, 1), (-1, 1, 0),
        (0, 0, -2), (0, -2, 0), (-2, 0, 0),
    ]
)  # fmt: skip
"""The context is these causal neighbours (dx, dy, dz), nearest first; z runs fastest."""
_BORDER = 2
_ROW_MODELS = 16


@njit(cache=True)
def _code_occupancy(state, buffer, cost, template, rows, models, padded):
    """Code row after row along z; one bit says whether a row is empty, and its context is the emptiness of the rows before."""
    side = padded.shape[0] - 2 * _BORDER
    for x in range(_BORDER, side + _BORDER):
        for y in range(_BORDER, side + _BORDER):
            if state[OVERRUN]:
                return
            used = 0
            for z in range(_BORDER, side + _BORDER):
                used |= padded[x, y, z]
            around = rows[x, y - 1] + 2 * rows[x - 1, y] + 4 * rows[x - 1, y + 1] + 8 * rows[x - 1, y - 1]
            rows[x, y] = code_adaptive(state, buffer, cost, used, models[around])
            if rows[x, y] == 0:
                continue
            for z in range(_BORDER, side + _BORDER):
                context = 0
                for n in range(template.shape[0]):
                    neighbour = padded[x + template[n, 0], y + template[n, 1], z + template[n, 2]]
                    context |= neighbour << n
                padded[x, y, z] = code_adaptive(state, buffer, cost, padded[x, y, z], models[_ROW_MODELS + context])


def code_occupancy(coder: Coder, side: int, occupancy: np.ndarray | None) -> np.ndarray:
    """Code a bool grid [side, side, side] (None when decoding) and return it."""
    padded = np.zeros((side + 2 * _BORDER,) * 3, np.uint8)
    inner = (slice(_BORDER, -_BORDER),) * 3
    if occupancy is not None:
        padded[inner] = occupancy
    rows = np.zeros(padded.shape[:2], np.uint8)
    models = new_models(_ROW_MODELS + (1 << len(TEMPLATE)))
    coder.kernel(_code_occupancy, TEMPLATE, rows, models, padded, symbols=side**3 + side**2)
    return padded[inner].astype(bool)
