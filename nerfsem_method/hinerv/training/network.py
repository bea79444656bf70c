"""The network in torch: the same pictures as the painter's, whole or in parts, with gradients (FORMAT.md, section 9).

    grid, between its keys -> 3 x 3 convolution -> stages -> 1 x 1 layer -> sigmoid
    stage = normalise, enlarge bilinearly, add the tile of the pixel modulo the scale, blocks
    block = 3 x 3 kernel a channel, normalise, widen, GELU, narrow; plus its input where the channels are the same
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod, sqrt

import torch
import torch.nn.functional as F
from torch import Tensor

from nerfsem_method.codec.hinerv import GRID_LEVELS, TILE_LEVELS, Shape
from nerfsem_method.hinerv.geometry import Needs, Span, between, needs_of, padded

GRID_SPREAD = 1e-3
"""HiNeRV's grids and tiles begin in +- this."""

Weights = Mapping[str, Tensor]


def new_weights(shape: Shape, frames: int, height: int, width: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Return random weights by name, float32 on the CPU: layers keep the variance of what they are given."""
    made = {}
    for name, size in shape.tensor_shapes(frames, height, width).items():
        if name.endswith("bias"):
            made[name] = torch.zeros(size)
            continue
        inputs = 9 if name.endswith("kernel") else prod(size[1:])
        spread = GRID_SPREAD if name.startswith("grid") or ".tile." in name else sqrt(3 / inputs)
        made[name] = (2 * torch.rand(size, generator=generator) - 1) * spread
    return made


class Network:
    """A network paints the frames of a clip from weights that are handed to it, as they are or rounded."""

    def __init__(self, shape: Shape, frames: int, height: int, width: int) -> None:
        self.shape, self._frames = shape, frames
        self.rows, self.columns = (Span.whole(size) for size in padded(shape, height, width))

    def paint(self, weights: Weights, index: int, rows: Span | None = None, columns: Span | None = None) -> Tensor:
        """Return these rows and columns of frame `index`, by default all of the padded frame: colours [h, w, 3] in [0, 1]."""
        across = needs_of(self.shape.stages, columns or self.columns)
        down = needs_of(self.shape.stages, rows or self.rows)
        x = self._stem(weights, index, down[0].source, across[0].source)
        for number, (above, beside) in enumerate(zip(down, across, strict=True)):
            x = self._stage(weights, x, number, index, above, beside)
        return torch.sigmoid(F.linear(x, weights["head.weight"], weights["head.bias"]))

    def _features(self, weights: Weights, name: str, levels: int, index: int) -> Tensor:
        """Return the levels' features at a frame, one after the other, [features, rows, columns]."""
        found = []
        for level in range(levels):
            keys = weights[f"{name}.{level}"]
            first, second, share = between(index, self._frames, len(keys))
            found.append(torch.lerp(keys[first], keys[second], share))
        return torch.cat(found)

    def _stem(self, weights: Weights, index: int, rows: Span, columns: Span) -> Tensor:
        grid = self._features(weights, "grid", GRID_LEVELS, index)[None]
        kernel = weights["stem.weight"].permute(0, 3, 1, 2)
        made = F.conv2d(grid, kernel, weights["stem.bias"], padding=1)[0].permute(1, 2, 0)
        return made[rows.start : rows.stop, columns.start : columns.stop]

    def _stage(self, weights: Weights, x: Tensor, number: int, index: int, rows: Needs, columns: Needs) -> Tensor:
        """Return a stage's result [h, w, out] of its source [h, w, in]."""
        stage, name = self.shape.stages[number], f"stage{number}"
        large = F.interpolate(_normalised(x).permute(2, 0, 1)[None], scale_factor=stage.scale, mode="bilinear")[0]
        tops, lefts = (_grown(axis.source, stage.scale) for axis in (rows, columns))
        x = large.permute(1, 2, 0)[rows.work.within(tops), columns.work.within(lefts)]
        tile = self._features(weights, f"{name}.tile", TILE_LEVELS, index).permute(1, 2, 0)
        x = x + _repeated(F.linear(tile, weights[f"{name}.mix"]), rows.work, columns.work)
        for block in range(stage.depth):
            x = _block(weights, x, f"{name}.block{block}")
        return x[rows.result.within(rows.work), columns.result.within(columns.work)]


def _normalised(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


def _grown(span: Span, scale: int) -> Span:
    return Span(span.start * scale, span.stop * scale, span.size * scale)


def _repeated(tile: Tensor, rows: Span, columns: Span) -> Tensor:
    """Return the tile [S, S, C] at each pixel modulo S, [h, w, C]."""
    scale, _, channels = tile.shape
    down, across = rows.stop // scale - rows.start // scale + 1, columns.stop // scale - columns.start // scale + 1
    many = tile[None, :, None].expand(down, scale, across, scale, channels).reshape(down * scale, across * scale, channels)
    top, left = rows.start % scale, columns.start % scale
    return many[top : top + rows.stop - rows.start, left : left + columns.stop - columns.start]


def _block(weights: Weights, x: Tensor, name: str) -> Tensor:
    kernel = weights[f"{name}.kernel"].permute(2, 0, 1)[:, None]
    filtered = F.conv2d(x.permute(2, 0, 1)[None], kernel, padding=1, groups=x.shape[2])[0].permute(1, 2, 0)
    hidden = F.gelu(F.linear(_normalised(filtered), weights[f"{name}.widen"]))
    made = F.linear(hidden, weights[f"{name}.narrow"])
    return x + made if made.shape == x.shape else made
