"""The rendering heads: features to density and colour (method, section 3), with weights on an integer grid when asked."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from nerfsem_method.field.spec import FieldSpec
from nerfsem_method.field.state import QuantisedTensor


class _TruncatedExp(torch.autograd.Function):
    """exp with a bounded gradient, exp(min(x, 15)), as in Instant-NGP (Mueller et al. 2022)."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(max=15).exp()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * x.clamp(max=15).exp()


def spherical_harmonics(directions: Tensor, degrees: int) -> Tensor:
    """Real spherical harmonics of unit directions [R, 3]: [R, degrees ** 2], the bands 0 ... degrees - 1 (degrees <= 4).

    Unnormalised polynomials: the first layer of the colour head carries the constants.
    """
    x, y, z = directions.unbind(-1)
    bands = [torch.ones_like(x)]
    if degrees > 1:
        bands += [y, z, x]
    if degrees > 2:
        bands += [x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y]
    if degrees > 3:
        bands += [y * (3 * x * x - y * y), x * y * z, y * (5 * z * z - 1), z * (5 * z * z - 3), x * (5 * z * z - 1)]
        bands += [z * (x * x - y * y), x * (x * x - 3 * y * y)]
    return torch.stack(bands, -1)


def positional_encoding(positions: Tensor, frequencies: int) -> Tensor:
    """sin and cos of 2^k pi p, k = 0 ... frequencies - 1, of positions [S, 3]: [S, 6 * frequencies]."""
    scaled = positions[:, :, None] * (torch.pi * 2.0 ** torch.arange(frequencies, device=positions.device))
    return torch.cat([scaled.sin(), scaled.cos()], -1).flatten(1)


class Heads(nn.Module):
    """The density head and the colour head.

    While `quantised` is set, the forward pass uses weights rounded to the grid that the bundle stores (straight-through
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

    def _weight(self, name: str) -> Tensor:
        tensor = self.tensors[name.replace(".", "_")]
        if not self.quantised:
            return tensor
        step = 2.0 ** self._exponent(name, tensor)
        return tensor + ((tensor / step).round() * step - tensor).detach()

    def _exponent(self, name: str, tensor: Tensor) -> int:
        """The step of a tensor, fixed when quantisation starts: its largest weight gets `bits` bits with sign."""
        if name in self._exponents:
            return self._exponents[name]
        exponent = _step_exponent(float(tensor.detach().abs().max()), self.bits)
        if self.quantised:
            self._exponents[name] = exponent
        return exponent

    def _layer(self, x: Tensor, name: str) -> Tensor:
        return functional.linear(x, self._weight(f"{name}.weight"), self._weight(f"{name}.bias"))

    def density_layers(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weight and bias of the density head's two layers, as used in the forward pass."""
        names = ("density.0.weight", "density.0.bias", "density.1.weight", "density.1.bias")
        first, first_bias, second, second_bias = (self._weight(name) for name in names)
        return first, first_bias, second, second_bias

    def density(self, features: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Density [S] per unit length and geometry feature [S, geometry] of encoded points [S, F] at positions [S, 3]."""
        if self.spec.frequencies:
            features = torch.cat([features, positional_encoding(positions, self.spec.frequencies)], 1)
        out = self._layer(functional.relu(self._layer(features, "density.0")), "density.1")
        return _TruncatedExp.apply(out[:, 0] + 3.0), out[:, 1:]

    def color(self, geometry: Tensor, directions: Tensor) -> Tensor:
        """RGB [R, 3] in [0, 1] of geometry features [R, geometry] seen along unit directions [R, 3]."""
        x = torch.cat([geometry, spherical_harmonics(directions, self.spec.directions)], 1)
        for layer in range(self.spec.color_layers):
            x = functional.relu(self._layer(x, f"color.{layer}"))
        return self._layer(x, f"color.{self.spec.color_layers}").sigmoid()

    def state(self) -> dict[str, QuantisedTensor]:
        """The weights as the bundle stores them."""
        result = {}
        for name in self.spec.head_shapes():
            tensor = self.tensors[name.replace(".", "_")].detach().cpu()
            exponent = self._exponent(name, tensor)
            result[name] = QuantisedTensor((tensor / 2.0**exponent).round().to(torch.int32).numpy(), exponent)
        return result

    def load(self, state: dict[str, QuantisedTensor]) -> None:
        """Take decoded weights over."""
        with torch.no_grad():
            for name, tensor in state.items():
                self.tensors[name.replace(".", "_")].copy_(torch.from_numpy(tensor.values))
        self._exponents = {name: tensor.exponent for name, tensor in state.items()}

    def get_extra_state(self) -> dict:
        """The quantisation steps travel in checkpoints."""
        return {"exponents": self._exponents, "quantised": self.quantised}

    def set_extra_state(self, state: dict) -> None:
        """Counterpart of `get_extra_state`."""
        self._exponents, self.quantised = dict(state["exponents"]), bool(state["quantised"])


def _step_exponent(largest: float, bits: int) -> int:
    """Smallest power-of-two step's exponent with which `largest` fits into `bits` bits including the sign."""

    return math.ceil(math.log2(max(largest, 2.0**-12) / (2 ** (bits - 1) - 1)))
