"""The rendering heads turn features into density and colour (method, section 3), with weights on an integer grid when asked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from nerfsem_method.field.activation import DENSITY_LIMIT, DENSITY_SHIFT, HARMONICS
from nerfsem_method.field.spec import FieldSpec
from nerfsem_method.field.state import QuantisedTensor
from nerfsem_method.training.backend import tiny
from nerfsem_method.training.rounding import rounded, step_exponent, stored

COARSEST = -4
"""A step is 2^COARSEST at most, however large a tensor's largest weight: one of 6 would round the others to eighths."""


class _TruncatedExp(torch.autograd.Function):
    """This is exp(min(x, DENSITY_LIMIT)), whose gradient is bounded likewise, as in Instant-NGP (Mueller et al. 2022)."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        density = x.clamp(max=DENSITY_LIMIT).exp()
        ctx.save_for_backward(density)
        return density

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (density,) = ctx.saved_tensors
        return gradient * density


def spherical_harmonics(directions: Tensor, degrees: int) -> Tensor:
    """Return `field.activation.HARMONICS` 0 ... degrees - 1 of unit directions [R, 3]: [R, degrees ** 2]."""
    bands = [band(*directions.unbind(-1)) for band in HARMONICS[:degrees]]
    return torch.stack([value for band in bands for value in band], -1)


def positional_encoding(positions: Tensor, frequencies: int) -> Tensor:
    """Return sin and cos of 2^k pi p, k = 0 ... frequencies - 1, of positions [S, 3]: [S, 6 * frequencies]."""
    scaled = positions[:, :, None] * (torch.pi * 2.0 ** torch.arange(frequencies, device=positions.device))
    return torch.cat([scaled.sin(), scaled.cos()], -1).flatten(1)


class Heads(nn.Module):
    """A field has two heads, one for density and one for colour.

    Once `quantise` was called, the forward pass uses weights rounded to the grid that the bundle stores (straight-through
    gradient), so that what is trained is what is coded.
    """

    def __init__(self, spec: FieldSpec, bits: int = 7) -> None:
        super().__init__()
        self.spec = spec
        self.bits = bits
        self.quantised = False
        self.tensors = nn.ParameterDict()
        for name, shape in spec.head_shapes().items():
            bound = (6 / shape[-1]) ** 0.5 if len(shape) == 2 else 0.0
            self.tensors[name.replace(".", "_")] = nn.Parameter((torch.rand(shape) * 2 - 1) * bound)
        self._exponents: dict[str, int] = {}

    def quantise(self) -> None:
        """Fix the step of each tensor, by its weights as they are, and round from now on."""
        self._exponents = {name: self._exponent(name) for name in self.spec.head_shapes()}
        self.quantised = True

    def _tensor(self, name: str) -> Tensor:
        return self.tensors[name.replace(".", "_")]

    def _used(self, layers: Sequence[str]) -> tuple[Tensor, ...]:
        """Return weight, bias, weight, ... of some layers as the forward pass uses them."""
        names = [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]
        tensors = tuple(self._tensor(name) for name in names)
        if not self.quantised:
            return tensors
        return rounded(tensors, [self._exponents[name] for name in names])

    def _exponent(self, name: str) -> int:
        """Return the exponent of a tensor's step, as it was fixed, or by the weights as they are."""
        if name in self._exponents:
            return self._exponents[name]
        return min(step_exponent(self._tensor(name), self.bits), COARSEST)

    def _network(self, x: Tensor, *names: str) -> Tensor:
        """Return the outputs of some layers, with ReLU between them."""
        used = self._used(names)
        layers = list(zip(used[::2], used[1::2], strict=True))
        if tiny(x):
            from nerfsem_method.training.loops import network_tcnn

            return network_tcnn.run(layers, x)
        for weight, bias in layers[:-1]:
            x = functional.relu(functional.linear(x, weight, bias))
        return functional.linear(x, *layers[-1])

    def density_layers(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return weight and bias of the density head's two layers, as used in the forward pass."""
        first, first_bias, second, second_bias = self._used(("density.0", "density.1"))
        return first, first_bias, second, second_bias

    def density(self, features: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return density [S] per unit length and geometry features [S, geometry] of features [S, F] at positions [S, 3]."""
        if self.spec.frequencies:
            features = torch.cat([features, positional_encoding(positions, self.spec.frequencies)], 1)
        out = self._network(features, "density.0", "density.1")
        return _TruncatedExp.apply(out[:, 0] + DENSITY_SHIFT), out[:, 1:]

    def color(self, geometry: Tensor, directions: Tensor) -> Tensor:
        """Return RGB [R, 3] in [0, 1] of geometry features [R, geometry] seen along unit directions [R, 3]."""
        x = torch.cat([geometry, spherical_harmonics(directions, self.spec.directions)], 1)
        return self._network(x, *(f"color.{layer}" for layer in range(self.spec.color_layers + 1))).sigmoid()

    def state(self) -> dict[str, QuantisedTensor]:
        """Return the weights as the bundle stores them."""
        return {name: stored(self._tensor(name), self._exponent(name)) for name in self.spec.head_shapes()}

    def load(self, state: dict[str, QuantisedTensor]) -> None:
        """Take decoded weights over."""
        with torch.no_grad():
            for name, tensor in state.items():
                self._tensor(name).copy_(torch.from_numpy(tensor.values))
        self._exponents = {name: tensor.exponent for name, tensor in state.items()}

    def get_extra_state(self) -> dict:
        """Return the quantisation steps: they travel in checkpoints."""
        return {"exponents": self._exponents, "quantised": self.quantised}

    def set_extra_state(self, state: dict) -> None:
        """Take the quantisation steps of a checkpoint over."""
        self._exponents, self.quantised = dict(state["exponents"]), bool(state["quantised"])
