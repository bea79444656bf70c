"""A painter shows the frames of a neural background on a CPU, with NumPy and compiled loops (FORMAT.md, section 9)."""

from __future__ import annotations

from collections.abc import Iterator
from math import erf, sqrt

import numpy as np

from nerfsem_method.codec.hinerv import GRID_LEVELS, TILE_LEVELS, NeuralBackground
from nerfsem_method.compiled import njit
from nerfsem_method.hinerv.geometry import between, enlarging

ROWS = 1 << 14
"""Hidden layers, which are the widest, are made for so many pixels at a time, so that memory stays small."""


class Painter:
    """A painter holds a network's weights in real numbers, and paints one frame at a time."""

    def __init__(self, network: NeuralBackground, frames: int, height: int, width: int) -> None:
        self._stages, self._frames, self._size = network.shape.stages, frames, (height, width)
        self._values = {name: tensor.values for name, tensor in network.tensors.items()}

    def picture(self, index: int) -> np.ndarray:
        """Return frame `index`, uint8 [H, W, 3]."""
        values = self._values
        x = _convolved(self._features("grid", GRID_LEVELS, index), values["stem.weight"]) + values["stem.bias"]
        for number, stage in enumerate(self._stages):
            x = self._enlarged(_normalised(x), f"stage{number}", stage.scale, index)
            for block in range(stage.depth):
                x = self._through(x, f"stage{number}.block{block}")
        height, width = self._size
        colours = np.clip(x[:height, :width] @ values["head.weight"].T + values["head.bias"], -30, 30)
        return np.rint(255 / (1 + np.exp(-colours))).astype(np.uint8)

    def _features(self, name: str, levels: int, index: int) -> np.ndarray:
        """Return the levels' features at a frame, one after the other, [rows, columns, features]."""
        found = []
        for level in range(levels):
            keys = self._values[f"{name}.{level}"]
            first, second, share = between(index, self._frames, len(keys))
            found.append(keys[first] + np.float32(share) * (keys[second] - keys[first]))
        return np.ascontiguousarray(np.concatenate(found).transpose(1, 2, 0))

    def _enlarged(self, x: np.ndarray, name: str, scale: int, index: int) -> np.ndarray:
        rows, columns, channels = x.shape
        tall = (enlarging(rows, scale) @ x.reshape(rows, -1)).reshape(rows * scale, columns, channels)
        wide = np.matmul(enlarging(columns, scale), tall)
        tile = self._features(f"{name}.tile", TILE_LEVELS, index) @ self._values[f"{name}.mix"].T
        wide.reshape(rows, scale, columns, scale, channels)[:] += tile[None, :, None]
        return wide

    def _through(self, x: np.ndarray, name: str) -> np.ndarray:
        """Return what a block makes of a picture [H, W, C]; it adds to it where the channels stay the same."""
        widen, narrow = self._values[f"{name}.widen"].T, self._values[f"{name}.narrow"].T
        filtered = np.empty_like(x)
        _filter(x, self._values[f"{name}.kernel"], filtered)
        flat = _normalised(filtered).reshape(-1, x.shape[2])
        made = np.empty((len(flat), narrow.shape[1]), np.float32)
        for start in range(0, len(flat), ROWS):
            hidden = flat[start : start + ROWS] @ widen
            _gelu(hidden.reshape(-1))
            made[start : start + ROWS] = hidden @ narrow
        made = made.reshape(*x.shape[:2], -1)
        return x + made if made.shape == x.shape else made


def pictures(network: NeuralBackground, frames: int, height: int, width: int) -> Iterator[np.ndarray]:
    """Yield all frames, uint8 [H, W, 3], as they are painted."""
    painter = Painter(network, frames, height, width)
    for index in range(frames):
        yield painter.picture(index)


def _convolved(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the 3 x 3 convolution of [H, W, in] with [out, 3, 3, in], zeros around, [H, W, out]."""
    rows, columns, _ = x.shape
    framed = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    return sum(
        (framed[i : i + rows, j : j + columns] @ weight[:, i, j].T for i in range(3) for j in range(3)),
        np.zeros((), np.float32),
    )


def _normalised(x: np.ndarray) -> np.ndarray:
    out = np.empty_like(x)
    _normalise(x.reshape(-1, x.shape[2]), out.reshape(-1, x.shape[2]))
    return out


@njit(cache=True)
def _normalise(x, out):
    """Write each row of [N, C] with mean 0 and variance 1; moments in binary64, so that nothing overflows."""
    count, channels = x.shape
    for i in range(count):
        mean = 0.0
        for c in range(channels):
            mean += np.float64(x[i, c])
        mean /= channels
        variance = 0.0
        for c in range(channels):
            variance += (np.float64(x[i, c]) - mean) ** 2
        scale = 1 / sqrt(variance / channels + 1e-6)
        for c in range(channels):
            out[i, c] = np.float32((np.float64(x[i, c]) - mean) * scale)


@njit(cache=True)
def _filter(x, kernel, out):
    """Write the 3 x 3 convolution of each channel of [H, W, C] with its own kernel, zeros around."""
    rows, columns, channels = x.shape
    for row in range(rows):
        for column in range(columns):
            out[row, column] = 0
            for i in range(max(row - 1, 0), min(row + 2, rows)):
                for j in range(max(column - 1, 0), min(column + 2, columns)):
                    for c in range(channels):
                        out[row, column, c] += x[i, j, c] * kernel[i - row + 1, j - column + 1, c]


@njit(cache=True)
def _gelu(x):
    for i in range(x.size):
        x[i] *= np.float32(0.5) * (np.float32(1) + np.float32(erf(x[i] * np.float32(0.7071067811865476))))
