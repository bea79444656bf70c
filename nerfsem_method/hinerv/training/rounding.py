"""Rounding makes real weights those that a file holds, and counts the bits that they will take, both with gradients.

Each tensor has a step, which is learned. Weights are rounded straight-through, all but a few at each training step, which stay as
they are (Quant-Noise, Stock et al., 2021), and their bits are those of a Laplace distribution as wide as the tensor's own.
"""

from __future__ import annotations

from math import log, prod

import numpy as np
import torch
from torch import Tensor

from nerfsem_method.codec import hinerv as section

NOISE = 0.9
"""This share of the weights is rounded in a step of training, as HiNeRV has it."""
FIRST_STEPS = 8
"""Steps begin at a tensor's root mean square over this."""
_NARROWEST = 0.02  # A tensor of zeros would have a distribution of no width.


class Rounding:
    """A rounding knows where each tensor lies in the vector of all weights, which it rounds at once."""

    def __init__(self, shapes: section.Shapes) -> None:
        self._shapes = shapes
        self._sizes = torch.tensor([prod(shape) for shape in shapes.values()])
        self._tensor_of = torch.repeat_interleave(torch.arange(len(shapes)), self._sizes)

    def flat(self, weights: dict[str, Tensor]) -> Tensor:
        """Return the vector [P] of all weights."""
        return torch.cat([weights[name].reshape(-1) for name in self._shapes])

    def apart(self, flat: Tensor) -> dict[str, Tensor]:
        """Return the tensors of a vector [P] by name."""
        parts = flat.split(self._sizes.tolist())
        return {name: part.view(shape) for part, (name, shape) in zip(parts, self._shapes.items(), strict=True)}

    def first_steps(self, flat: Tensor) -> Tensor:
        """Return the steps to begin with, [tensors], as logarithms to base 2."""
        return torch.log2(self._means(flat.detach() ** 2).sqrt().clamp(min=2.0**-16) / FIRST_STEPS).clamp(max=0)

    def rounded(self, flat: Tensor, steps: Tensor, kept: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the vector that a file would hold, but for weights that are `kept`, bool [P], and the bits it takes."""
        eighths = steps.clamp(section.LOWEST_STEP / section.STEPS_PER_OCTAVE, 0) * section.STEPS_PER_OCTAVE
        step = torch.exp2(_through(eighths) / section.STEPS_PER_OCTAVE)[self._tensor_of]
        scaled = flat / step
        made = (scaled + (scaled.round() - scaled).detach()) * step
        return made if kept is None else torch.where(kept, flat, made), self._bits(scaled)

    def stored(self, flat: Tensor, steps: Tensor) -> dict[str, section.Tensor]:
        """Return the integers that a file holds, and their steps."""
        exponents = (steps * section.STEPS_PER_OCTAVE).round().clamp(section.LOWEST_STEP, 0).int().tolist()
        found = {}
        for (name, values), exponent in zip(self.apart(flat.detach()).items(), exponents, strict=True):
            scaled = np.rint(values.cpu().numpy() / np.float32(2.0 ** (exponent / section.STEPS_PER_OCTAVE)))
            limit = section.INTEGER_LIMIT - 1
            found[name] = section.Tensor(scaled.clip(-limit, limit).astype(np.int32), exponent)
        return found

    def _means(self, flat: Tensor) -> Tensor:
        """Return each tensor's mean of a vector [P], [tensors]."""
        return torch.zeros(len(self._sizes)).index_add(0, self._tensor_of, flat) / self._sizes

    def _bits(self, scaled: Tensor) -> Tensor:
        """Return the bits of integers near `scaled` [P], Laplace-distributed in each tensor."""
        size = scaled.abs()
        width = self._means(size).clamp(min=_NARROWEST)[self._tensor_of]
        outer = log(0.5) - (size - 0.5).clamp(min=0) / width + torch.log(-torch.expm1(-1 / width))
        inner = torch.log1p(-0.5 * (torch.exp((size.clamp(max=0.5) - 0.5) / width) + torch.exp((-size - 0.5) / width)) + 1e-9)
        return torch.where(size < 0.5, inner, outer).sum() / -log(2)


def _through(values: Tensor) -> Tensor:
    """Round, and pass the gradient straight through."""
    return values + (values.round() - values).detach()
