"""A bundle holds weights as whole numbers of a step, which is a power of two; this module finds steps and rounds to them."""

from __future__ import annotations

import math

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


def rounded(tensor: Tensor, exponent: int, limit: int | None = None) -> Tensor:
    """Return a tensor at whole steps, at most `limit` of them where one is given; the gradient passes straight through."""
    return tensor + (_integers(tensor, exponent, limit) * 2.0**exponent - tensor).detach()


def stored(tensor: Tensor, exponent: int, limit: int | None = None) -> QuantisedTensor:
    """Return a tensor as a bundle holds it, with the values that `rounded` gives."""
    return QuantisedTensor(_integers(tensor.detach().cpu(), exponent, limit).to(torch.int32).numpy(), exponent)


def _integers(tensor: Tensor, exponent: int, limit: int | None) -> Tensor:
    steps = (tensor / 2.0**exponent).round()
    return steps if limit is None else steps.clamp(-limit, limit)
