"""Heads by tiny-cuda-nn, whose networks have no biases: these are the weights of an input that is always 1.

A unit of each hidden layer passes the 1 on, so that the next layer finds it, too. The fully fused network has 128 units at most;
wider heads take the one of CUTLASS. Both compute in half precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

ALIGNMENT = 16
"""Inputs, outputs and units are padded to a multiple of this."""
FUSED_UNITS = (16, 32, 64, 128)
"""The fully fused network has so many units a layer."""

Layers = Sequence[tuple[Tensor, Tensor]]
"""Weights [out, in] and biases [out], layer by layer."""


def aligned(count: int) -> int:
    """Return the next multiple of ALIGNMENT."""
    return -(-count // ALIGNMENT) * ALIGNMENT


def units_of(width: int) -> int:
    """Return how many units a network has that stands for one of `width` units and a constant one."""
    return next((units for units in FUSED_UNITS if units > width), aligned(width + 1))


def config_of(width: int, hidden: int) -> dict[str, Any]:
    """Return the configuration of a network with so many hidden layers (tiny-cuda-nn's DOCUMENTATION.md)."""
    units = units_of(width)
    fused = units in FUSED_UNITS and hidden > 0
    return {
        "otype": "FullyFusedMLP" if fused else "CutlassMLP", "activation": "ReLU", "output_activation": "None",
        "n_neurons": units, "n_hidden_layers": hidden,
    }  # fmt: skip


def parameters(layers: Layers) -> Tensor:
    """Return tiny-cuda-nn's parameters, flat: one matrix [out, in] a layer, row by row; differentiable."""
    units, flat = units_of(len(layers[0][1])), []
    for number, (weight, bias) in enumerate(layers):
        last, inputs = number == len(layers) - 1, weight.shape[1]
        wide = aligned(inputs + 1) if number == 0 else units
        matrix = torch.cat([weight, bias[:, None]], 1)
        if not last:
            one = torch.zeros_like(matrix[:1])
            one[0, -1] = 1
            matrix = torch.cat([matrix, one])
        tall = aligned(len(matrix)) if last else units
        flat.append(functional.pad(matrix, (0, wide - matrix.shape[1], 0, tall - len(matrix))).flatten())
    return torch.cat(flat)


def run(layers: Layers, inputs: Tensor) -> Tensor:
    """Return the outputs [S, out] float32 of layers with ReLU between them, for inputs [S, in]."""
    count, outputs = inputs.shape[1] + 1, len(layers[-1][1])
    if not len(inputs):
        return inputs.new_zeros(0, outputs)
    import tinycudann

    bindings: Any = tinycudann
    network = _network(bindings, count, outputs, len(layers[0][1]), len(layers) - 1)
    one = torch.ones_like(inputs[:, :1])
    return functional_call(network, {"params": parameters(layers)}, (torch.cat([inputs, one], 1),)).float()


@lru_cache(maxsize=16)
def _network(tinycudann: Any, inputs: int, outputs: int, width: int, hidden: int) -> Any:
    return tinycudann.Network(inputs, outputs, config_of(width, hidden))
