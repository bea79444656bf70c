"""A plain model of tiny-cuda-nn's documented grids and networks stands in for it where there is no GPU: NumPy for the addressing.

It is written from its DOCUMENTATION.md and from what its sources say of the order of things (grid resolution, offset of half a
cell, strides, hash, alignment; rows of weight matrices), and shares no code with the package.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

FACTORS = np.array([1, 2654435761, 805459861], np.uint32)


def grid_shape(config: dict, dimensions: int) -> tuple[np.float32, int, int]:
    """Return scale, vertices along an axis and entries of the only level."""
    scale = np.float32(config["base_resolution"]) - np.float32(1)
    resolution = int(np.ceil(scale)) + 1
    dense = -(-(resolution**dimensions) // 8) * 8
    return scale, resolution, min(dense, 1 << config["log2_hashmap_size"])


def grid_index(vertices: np.ndarray, config: dict) -> np.ndarray:
    """Return the entries [...] of vertices [..., d] uint32, in 32-bit arithmetic."""
    dimensions = vertices.shape[-1]
    _, resolution, entries = grid_shape(config, dimensions)
    if resolution**dimensions > entries:
        index = np.zeros(vertices.shape[:-1], np.uint32)
        for axis in range(dimensions):
            index ^= vertices[..., axis] * FACTORS[axis]
    else:
        index = np.zeros(vertices.shape[:-1], np.uint32)
        for axis in range(dimensions):
            index += vertices[..., axis] * np.uint32(resolution**axis)
    return index % np.uint32(entries)


def cells(positions: np.ndarray, scale: np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Return lower vertices uint32 and fractions float32 of positions float32 in the grid; the product is not rounded."""
    scaled = (positions.astype(np.float64) * np.float64(scale) + 0.5).astype(np.float32)
    base = np.floor(scaled)
    return base.astype(np.int64).astype(np.uint32), scaled - base


class Encoding(nn.Module):
    """This class is `tinycudann.Encoding` for one linear level of a grid."""

    def __init__(self, n_input_dims: int, encoding_config: dict, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        assert encoding_config["otype"] == "Grid" and encoding_config["interpolation"] == "Linear"
        assert encoding_config["n_levels"] == 1 and encoding_config["n_features_per_level"] in (1, 2, 4, 8)
        self.config, self.dimensions, self.dtype = encoding_config, n_input_dims, dtype
        _, _, entries = grid_shape(encoding_config, n_input_dims)
        self.params = nn.Parameter(torch.zeros(entries * encoding_config["n_features_per_level"]))

    def forward(self, x: Tensor) -> Tensor:
        scale, _, entries = grid_shape(self.config, self.dimensions)
        assert x.shape[1] == self.dimensions and self.params.numel() == entries * self.config["n_features_per_level"]
        table = self.params.view(entries, -1)
        base, fraction = cells(x.detach().numpy(), scale)
        out = torch.zeros(len(x), table.shape[1])
        for corner in range(1 << self.dimensions):
            upper = np.array([(corner >> axis) & 1 for axis in range(self.dimensions)], np.uint32)
            weights = np.where(upper > 0, fraction, 1 - fraction).prod(1)
            found = grid_index(base + upper, self.config).astype(np.int64)
            out = out + torch.from_numpy(weights)[:, None] * table[torch.from_numpy(found)]
        return out


class Network(nn.Module):
    """This class is `tinycudann.Network`, in single precision: matrices [out, in], rows contiguous, padded inputs are 1."""

    def __init__(self, n_input_dims: int, n_output_dims: int, network_config: dict) -> None:
        super().__init__()
        units, hidden = network_config["n_neurons"], network_config["n_hidden_layers"]
        if network_config["otype"] == "FullyFusedMLP":
            assert units in (16, 32, 64, 128) and hidden > 0
        assert network_config["activation"] == "ReLU" and network_config["output_activation"] == "None"
        wide, tall = -(-n_input_dims // 16) * 16, -(-n_output_dims // 16) * 16
        sizes = [wide, *[units] * hidden, tall]
        self.shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
        self.inputs, self.outputs = n_input_dims, n_output_dims
        self.params = nn.Parameter(torch.zeros(sum(rows * columns for rows, columns in self.shapes)))

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == self.inputs and self.params.numel() == sum(rows * columns for rows, columns in self.shapes)
        x, first = nn.functional.pad(x, (0, self.shapes[0][1] - self.inputs), value=1.0), 0
        for layer, (rows, columns) in enumerate(self.shapes):
            matrix = self.params[first : first + rows * columns].view(rows, columns)
            first += rows * columns
            x = x @ matrix.T
            x = x.relu() if layer < len(self.shapes) - 1 else x
        return x[:, : self.outputs]
