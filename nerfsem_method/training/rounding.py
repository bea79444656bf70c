"""A bundle holds weights as whole numbers of a step, which is a power of two; this module finds steps and rounds to them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from nerfsem_method.field.state import QuantisedTensor

SMALLEST_WEIGHT = 2.0**-12
"""A tensor of zeros gets the step of one whose largest weight is this."""


def largest_integer(bits: int) -> int:
    """Return the largest integer of `bits` bits with sign."""
    return 2 ** (bits - 1) - 1


def step_exponent(tensor: Tensor, bits: int) -> int:
    """Return the exponent of a tensor's step, the smallest with which its largest weight fits into `bits` bits with sign."""
    largest = float(tensor.detach().abs().max())
    return math.ceil(math.log2(max(largest, SMALLEST_WEIGHT) / largest_integer(bits)))


def rounded(tensors: Sequence[Tensor], exponents: Sequence[int], limit: int | None = None) -> tuple[Tensor, ...]:
    """Return tensors at whole steps, at most `limit` of them where one is given; the gradients pass straight through.

    They are rounded together: on a GPU a pass over all of them takes as long as one over a single bias.
    """
    return _Rounded.apply([2.0**exponent for exponent in exponents], limit, *tensors)


def stored(tensor: Tensor, exponent: int, limit: int | None = None) -> QuantisedTensor:
    """Return a tensor as a bundle holds it, with the values that `rounded` gives."""
    (integers,) = _integers([tensor.detach().cpu()], [2.0**exponent], limit)
    return QuantisedTensor(integers.to(torch.int32).numpy(), exponent)


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx, steps: list[float], limit: int | None, *tensors: Tensor) -> tuple[Tensor, ...]:
        nearest = _integers(tensors, steps, limit)
        torch._foreach_mul_(nearest, steps)
        return tuple(nearest)

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> tuple[None, None, *tuple[Tensor, ...]]:
        return None, None, *gradients


def _integers(tensors: Sequence[Tensor], steps: list[float], limit: int | None) -> list[Tensor]:
    nearest = list(torch._foreach_div(tuple(tensors), steps))
    torch._foreach_round_(nearest)
    return nearest if limit is None else [values.clamp_(-limit, limit) for values in nearest]
