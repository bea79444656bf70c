"""The trainable twin of the codec's context models: a differentiable estimate of the tables' bits (method, section 4).

`nerfsem_method.codec.context` is the specification; here the same contexts are evaluated in float on a random part of the
entries, with weights rounded to the codec's grid (straight-through). `tests/test_field_rate.py` ties the two.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nerfsem_method.codec.context import Contexts
from nerfsem_method.codec.fixed_point import ACTIVATION_BITS, BIAS_LIMIT, UNIT, WEIGHT_EXPONENT, WEIGHT_LIMIT
from nerfsem_method.codec.layout import TableLayout, table_layout
from nerfsem_method.field.encoding import BinaryGrids, SignSTE
from nerfsem_method.field.spec import FieldSpec
from nerfsem_method.field.state import QuantisedTensor


def _on_grid(tensor: Tensor, exponent: int, limit: int) -> Tensor:
    """The nearest coded value; the gradient passes straight through."""
    coded = (tensor * 2.0**-exponent).round().clamp(-limit, limit) * 2.0**exponent
    return tensor + (coded - tensor).detach()


class RateModel(nn.Module):
    """The context models and, per table, the list of entries that are coded under the current occupancy."""

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__()
        self.spec = spec
        self.tensors = nn.ParameterDict()
        for name, shape in spec.context_shapes().items():
            first = name.endswith("0.weight")
            values = torch.randn(shape) / shape[-1] ** 0.5 if first else torch.zeros(shape)
            self.tensors[name.replace(".", "_")] = nn.Parameter(values)
        self.layouts: list[TableLayout] = []
        self._values: list[np.ndarray] = []
        self._projected: list[np.ndarray] = []

    def _weight(self, name: str) -> Tensor:
        tensor = self.tensors[name.replace(".", "_")]
        if name.endswith("weight"):
            return _on_grid(tensor, WEIGHT_EXPONENT, WEIGHT_LIMIT)
        return _on_grid(tensor, -ACTIVATION_BITS, BIAS_LIMIT)

    def _net(self, name: str, inputs: Tensor) -> Tensor:
        """Logits [V, features] of contexts [V, inputs]."""
        hidden = functional.linear(inputs, self._weight(f"{name}.0.weight"), self._weight(f"{name}.0.bias")).relu()
        return functional.linear(hidden, self._weight(f"{name}.1.weight"), self._weight(f"{name}.1.bias"))

    def set_occupancy(self, grids: BinaryGrids, occupancy: np.ndarray) -> None:
        """List the coded entries anew; uncoded ones read 0 from then on."""
        self.layouts = [table_layout(table, occupancy) for table in self.spec.tables]
        grids.set_coded(self.layouts)
        self._values = [grids.slots.indices(i, layout.entries) for i, layout in enumerate(self.layouts)]
        self.refresh_projection(grids)

    def refresh_projection(self, grids: BinaryGrids) -> None:
        """Project the finest 3D level's present signs onto the planes (PVF); held constant between refreshes."""
        contexts = Contexts(self.spec, {})
        last = len(self.spec.volume) - 1
        tables = grids.tables()
        contexts.remember_volume(self.layouts[last], tables[last])
        zero = [np.zeros_like(table) for table in tables]
        width = self.spec.volume[-1].features
        self._projected = [
            contexts.inputs(i, self.layouts[i], zero)[:, -width:] for i in range(last + 1, len(self.spec.tables))
        ]

    @property
    def symbols(self) -> int:
        """Coded binary symbols under the current occupancy."""
        return sum(values.size for values in self._values)

    def groups(self, samples: int, generator: np.random.Generator) -> list[_Group]:
        """Draw about `samples` entries, from each table in proportion to its size (at least 256)."""
        total = sum(len(layout.entries) for layout in self.layouts)
        drawn = []
        for index, layout in enumerate(self.layouts):
            count = len(layout.entries)
            take = min(count, max(256, math.ceil(samples * count / max(total, 1))))
            picked = np.arange(count) if take == count else generator.integers(0, count, take)
            drawn.append(_Group(self.spec, index, layout, picked, self._values[index], self._extra(index)))
        return drawn

    def _extra(self, index: int) -> np.ndarray:
        """The integer part of the context that needs no look-up: moments (3D) or projected features (2D)."""
        count = len(self.spec.volume)
        return self.layouts[index].moments if index < count else self._projected[index - count]

    def bits(self, grids: BinaryGrids, groups: list[_Group], looked_up: tuple[Tensor, ...]) -> Tensor:
        """Estimated bits of all tables.

        Args:
            groups: from `groups`.
            looked_up: the encodings of `group.lookup`, in the same order (empty tensors where a group has none).

        Returns:
            Scalar; -log2 p summed over the drawn entries, scaled up to the tables. Differentiable with respect to the
            symbols (straight-through), the context symbols and the models.
        """
        device = grids.theta.device
        flat = torch.from_numpy(np.concatenate([group.values.ravel() for group in groups])).to(device)
        symbols = SignSTE.apply(grids.theta[flat])
        total, start = symbols.new_zeros(()), 0
        for group, previous in zip(groups, looked_up, strict=True):
            if not group.values.size:
                continue
            phi = symbols[start : start + group.values.size].view(group.values.shape)
            start += group.values.size
            extra = torch.from_numpy(group.extra).to(device, torch.float32) / UNIT
            logits = self._net(self.spec.context_name(group.index), torch.cat([previous, extra], 1))
            logits = group.fuse(logits)
            nats = functional.softplus(logits) - logits * (1 + phi) / 2
            total = total + nats.sum() * (group.scale / math.log(2))
        return total

    def state(self) -> dict[str, QuantisedTensor]:
        """The context models as the bundle stores them."""
        result = {}
        for name in self.spec.context_shapes():
            weight = name.endswith("weight")
            exponent = WEIGHT_EXPONENT if weight else -ACTIVATION_BITS
            integers = (self._weight(name).detach().cpu() * 2.0**-exponent).round().to(torch.int32)
            result[name] = QuantisedTensor(integers.numpy(), exponent)
        return result

    def load(self, state: dict[str, QuantisedTensor]) -> None:
        """Take decoded models over."""
        with torch.no_grad():
            for name, tensor in state.items():
                self.tensors[name.replace(".", "_")].copy_(torch.from_numpy(tensor.values))


class _Group:
    """The drawn entries of one table: their vertices, contexts and symbols."""

    def __init__(self, spec: FieldSpec, index: int, layout: TableLayout, picked, values, extra) -> None:
        self.index = index
        self.values = values[picked]  # [n, features] indices into theta
        self.scale = len(layout.entries) / max(len(picked), 1)
        table = spec.tables[index]
        if table.hashed:
            lengths = layout.starts[picked + 1] - layout.starts[picked]
            self._entry = np.repeat(np.arange(len(picked)), lengths)
            offsets = np.arange(len(self._entry)) - np.repeat(lengths.cumsum() - lengths, lengths)
            vertices = layout.starts[picked][self._entry] + offsets
            weights = layout.weights[vertices].astype(np.float32)
            self._weights = weights / np.bincount(self._entry, weights)[self._entry].astype(np.float32)
        else:
            vertices, self._entry, self._weights = picked, None, None
        self.extra = extra[vertices]
        positions = np.zeros((len(vertices), 3), np.float32)
        positions[:, list(table.axes)] = layout.vertices[vertices] / np.float32(table.resolution)
        self.lookup = (torch.from_numpy(positions), spec.previous(index))

    def fuse(self, logits: Tensor) -> Tensor:
        """[V, F] of the vertices to [n, F] of the entries they share, weighted by occupied volume."""
        if self._entry is None:
            return logits
        weights = torch.from_numpy(self._weights).to(logits.device)[:, None]
        out = logits.new_zeros(len(self.values), logits.shape[1])
        return out.index_add(0, torch.from_numpy(self._entry).to(logits.device), logits * weights)
