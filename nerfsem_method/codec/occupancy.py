"""The occupancy grid: one adaptively coded bit a voxel, its context the voxels already coded around it."""

from __future__ import annotations

import numpy as np

from nerfsem_method.codec.coder import OVERRUN, Coder, code_adaptive, new_models
from nerfsem_method.compiled import njit

# causal neighbours (dx, dy, dz) of the context, nearest first; z runs fastest
_TEMPLATE = np.array(
    [
        (0, 0, -1), (0, -1, 0), (-1, 0, 0), (0, -1, -1), (-1, 0, -1), (-1, -1, 0), (0, -1, 1), (-1, 0, 1), (-1, 1, 0),
        (0, 0, -2), (0, -2, 0), (-2, 0, 0),
    ]
)  # fmt: skip
_BORDER = 2


@njit(cache=True)
def _code_occupancy(state, buffer, cost, template, rows, models, padded):
    """Rows along z that are empty are signalled by one bit, whose context is the emptiness of the rows before."""
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
                padded[x, y, z] = code_adaptive(state, buffer, cost, padded[x, y, z], models[16 + context])


def code_occupancy(coder: Coder, side: int, occupancy: np.ndarray | None) -> np.ndarray:
    """Code a [side, side, side] bool grid (None when decoding); returns it."""
    padded = np.zeros((side + 2 * _BORDER,) * 3, np.uint8)
    inner = (slice(_BORDER, -_BORDER),) * 3
    if occupancy is not None:
        padded[inner] = occupancy
    rows = np.zeros(padded.shape[:2], np.uint8)
    models = new_models(16 + (1 << len(_TEMPLATE)))
    coder.kernel(_code_occupancy, _TEMPLATE, rows, models, padded, symbols=side**3 + side**2)
    return padded[inner].astype(bool)
