"""The rate model is the trainable twin of the codec's context models: it estimates the tables' bits (method, section 4).

`nerfsem_method.codec.context` is the specification; here the same contexts are evaluated in float on a random part of the
entries, with weights rounded to the codec's grid (straight-through): compiled for dense tables on the CPU (`loops.rate_cpu`), in
plain torch otherwise. `tests/test_training_rate.py` ties them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nerfsem_method.codec.context import Contexts
from nerfsem_method.codec.fixed_point import ACTIVATION_BITS, BIAS_LIMIT, UNIT, WEIGHT_EXPONENT, WEIGHT_LIMIT
from nerfsem_method.compiled.threads import THREADS, in_parts
from nerfsem_method.field.layout import TableLayout, table_layout
from nerfsem_method.field.spec import FieldSpec
from nerfsem_method.field.state import QuantisedTensor
from nerfsem_method.raycast.perceptron import padded
from nerfsem_method.training.backend import compiled
from nerfsem_method.training.encoding import BinaryGrids, SignSTE
from nerfsem_method.training.loops.rate_cpu import TABLE, Drawn, Entries, tables_nats

FEWEST = 256
"""So many entries of each table are looked at in a step, if it has them: the small ones shape the coarse levels."""


def _coded(name: str, tensor: Tensor) -> Tensor:
    """Return the nearest values that the bundle can hold."""
    exponent, limit = (WEIGHT_EXPONENT, WEIGHT_LIMIT) if name.endswith("weight") else (-ACTIVATION_BITS, BIAS_LIMIT)
    return (tensor * 2.0**-exponent).round().clamp(-limit, limit) * 2.0**exponent


class RateModel(nn.Module):
    """The rate model has the context models and, per table, the list of entries that are coded under the present occupancy.

    Attributes:
        layouts: per table its coded entries.
        values: per table, where the signs of these lie in theta: int64 [entries, features].
    """

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__()
        self.spec = spec
        self.tensors = nn.ParameterDict()
        for name, shape in spec.context_shapes().items():
            first = name.endswith("0.weight")
            values = torch.randn(shape) / shape[-1] ** 0.5 if first else torch.zeros(shape)
            self.tensors[name.replace(".", "_")] = nn.Parameter(values)
        self.nets = _Nets(spec)
        self.layouts: list[TableLayout] = []
        self.values: list[np.ndarray] = []
        self._projected: list[np.ndarray] = []
        self._dense: _DenseTables | None = None
        self._tensors_of: dict[tuple[torch.device, int], tuple[Tensor, Tensor, Tensor]] = {}

    def _weight(self, name: str) -> Tensor:
        """Return a tensor on the codec's grid; the gradient passes straight through."""
        tensor = self.tensors[name.replace(".", "_")]
        return tensor + (_coded(name, tensor) - tensor).detach()

    def _net(self, name: str, inputs: Tensor) -> Tensor:
        """Return the logits [V, features] of contexts [V, inputs]."""
        hidden = functional.linear(inputs, self._weight(f"{name}.0.weight"), self._weight(f"{name}.0.bias")).relu()
        return functional.linear(hidden, self._weight(f"{name}.1.weight"), self._weight(f"{name}.1.bias"))

    def set_occupancy(self, grids: BinaryGrids, occupancy: np.ndarray) -> None:
        """List the coded entries anew; uncoded ones read 0 from then on."""
        self.layouts = [table_layout(table, occupancy) for table in self.spec.tables]
        grids.set_coded(self.layouts)
        self.values = [grids.slots.indices(i, layout.entries) for i, layout in enumerate(self.layouts)]
        self.refresh_projection(grids)

    def refresh_projection(self, grids: BinaryGrids) -> None:
        """Project the finest 3D level's present signs onto the planes (PVF); held constant between refreshes."""
        contexts = Contexts(self.spec, {})
        last = len(self.spec.volume) - 1
        tables = grids.tables()
        contexts.remember_volume(self.layouts[last], tables[last])
        zero = [np.zeros_like(table) for table in tables]
        width = self.spec.volume[-1].features
        self._dense = None
        self._tensors_of.clear()
        self._projected = [
            contexts.inputs(i, self.layouts[i], zero)[:, -width:] for i in range(last + 1, len(self.spec.tables))
        ]

    @property
    def symbols(self) -> int:
        """Return the number of coded binary symbols under the present occupancy."""
        return sum(values.size for values in self.values)

    def bits(self, grids: BinaryGrids, samples: int, generator: np.random.Generator) -> Tensor:
        """Return the estimated bits of all tables: -log2 p summed over about `samples` drawn entries, scaled up to the tables.

        Each table has as many of these as its size asks for, and FEWEST at least. The scalar is differentiable with respect to
        the symbols (straight-through), the context symbols and the models.
        """
        total = sum(len(layout.entries) for layout in self.layouts)
        picks = [_draw(len(layout.entries), samples / max(total, 1), generator) for layout in self.layouts]
        fast = compiled(grids.theta)
        bits = grids.theta.new_zeros(())
        if fast:
            bits = bits + _DenseBitsCPU.apply(grids.theta, self, grids, picks, *self.tensors.values())
        for index, (table, picked) in enumerate(zip(self.spec.tables, picks, strict=True)):
            if len(picked) and (table.hashed or not fast):
                bits = bits + self.table_bits(grids, index, picked)
        return bits

    def table_bits(self, grids: BinaryGrids, index: int, picked: np.ndarray) -> Tensor:
        """Return the bits of one table in plain torch, estimated from the entries `picked` by number in its layout."""
        device, layout = grids.theta.device, self.layouts[index]
        positions, extra, values = self._table_on(device, index)
        entries = torch.from_numpy(picked).to(device)
        shared = _Shared(layout, picked, device) if self.spec.tables[index].hashed else None
        vertices = entries if shared is None else shared.vertices
        previous = grids.encode(positions[vertices], self.spec.previous(index))
        logits = self._net(self.spec.context_name(index), torch.cat([previous, extra[vertices]], 1))
        if shared is not None:
            logits = shared.fuse(logits)
        phi = SignSTE.apply(grids.theta[values[entries]])
        nats = functional.softplus(logits) - logits * (1 + phi) / 2
        return nats.sum() * (len(layout.entries) / len(picked) / math.log(2))

    def extra(self, index: int) -> np.ndarray:
        """Return the integer part of the context that needs no look-up: moments (3D) or projected features (2D)."""
        count = len(self.spec.volume)
        return self.layouts[index].moments if index < count else self._projected[index - count]

    def _table_on(self, device: torch.device, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return a table's vertices [V, 3], what of their contexts needs no look-up [V, C], and its values' indices [E, F]."""
        if (device, index) not in self._tensors_of:
            table, layout = self.spec.tables[index], self.layouts[index]
            positions = np.zeros((len(layout.vertices), 3), np.float32)
            positions[:, list(table.axes)] = layout.vertices / np.float32(table.resolution)
            extra = self.extra(index).astype(np.float32) / UNIT
            arrays = positions, extra, self.values[index]
            first, second, third = (torch.from_numpy(array).to(device) for array in arrays)
            self._tensors_of[device, index] = first, second, third
        return self._tensors_of[device, index]

    def dense_tables(self, grids: BinaryGrids) -> _DenseTables:
        """Return the tables that are not hashed, as `rate_cpu.tables_nats` reads them."""
        if self._dense is None:
            self._dense = _DenseTables(self, grids)
        return self._dense

    def state(self) -> dict[str, QuantisedTensor]:
        """Return the context models as the bundle stores them."""
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


def _draw(count: int, share: float, generator: np.random.Generator) -> np.ndarray:
    """Draw about `share` of `count` entries, FEWEST at least: one from each of even stretches, which leaves less to chance and
    reads memory in order."""
    take = min(count, max(FEWEST, math.ceil(share * count)))
    drawn = (np.arange(take) + generator.random(take)) * (count / max(take, 1))
    return np.arange(count) if take == count else np.minimum(drawn.astype(np.int64), count - 1)


class _Shared:
    """Vertices [V] share the drawn entries of a hashed table; they are listed entry by entry."""

    def __init__(self, layout: TableLayout, picked: np.ndarray, device: torch.device) -> None:
        lengths = layout.starts[picked + 1] - layout.starts[picked]
        entry = np.repeat(np.arange(len(picked)), lengths)
        offsets = np.arange(len(entry)) - np.repeat(lengths.cumsum() - lengths, lengths)
        vertices = layout.starts[picked][entry] + offsets
        weights = layout.weights[vertices].astype(np.float32)
        weights /= np.bincount(entry, weights)[entry].astype(np.float32)
        self._count = len(picked)
        given = vertices, entry, weights
        self.vertices, self._entry, self._weights = (torch.from_numpy(values).to(device) for values in given)

    def fuse(self, logits: Tensor) -> Tensor:
        """Return [n, F] of the entries from [V, F] of the vertices that share them, weighted by occupied volume."""
        out = logits.new_zeros(self._count, logits.shape[1])
        return out.index_add(0, self._entry, logits * self._weights[:, None])


class _Nets:
    """The compiled loops read the context models as one array of all padded ones, which is as easily added up."""

    def __init__(self, spec: FieldSpec) -> None:
        shapes = spec.context_shapes()
        slices, self._size = [], 0
        for shape in shapes.values():
            whole = tuple(map(padded, shape))
            slices.append((slice(self._size, self._size + math.prod(whole)), whole, tuple(map(slice, shape))))
            self._size += math.prod(whole)
        self._slices = dict(zip(shapes, slices, strict=True))
        weights = np.array([name.endswith("weight") for name in shapes])
        sizes = [math.prod(whole) for _, whole, _ in slices]
        exponent, limit = np.where(weights, WEIGHT_EXPONENT, -ACTIVATION_BITS), np.where(weights, WEIGHT_LIMIT, BIAS_LIMIT)
        self._step = np.repeat(2.0**exponent, sizes).astype(np.float32)
        self._limit = np.repeat(limit, sizes).astype(np.float32)

    def coded(self, tensors: Sequence[Tensor]) -> np.ndarray:
        """Return all parameters on the codec's grid, flat."""
        flat = np.zeros(self._size, np.float32)
        for (own, whole, part), tensor in zip(self._slices.values(), tensors, strict=True):
            flat[own].reshape(whole)[part] = tensor.detach().numpy()
        return np.clip(np.rint(flat / self._step), -self._limit, self._limit) * self._step

    def zeros(self, count: int) -> np.ndarray:
        """Return memory for `count` gradients of all parameters."""
        return np.zeros((count, self._size), np.float32)

    def describe(self, name: str, row: np.ndarray) -> None:
        """Tell a row of TABLE where its net lies, and the net's padded sizes."""
        found = [self._slices[f"{name}.{layer}.{kind}"] for layer in range(2) for kind in ("weight", "bias")]
        row["net"] = [own.start for own, _, _ in found]
        (row["width"], row["inputs"]), (row["outputs"],) = found[0][1], found[3][1]

    def tensors(self, flat: np.ndarray) -> list[Tensor]:
        """Return the tensors of which `coded` made one array."""
        return [torch.from_numpy(flat[own].reshape(whole)[part]) for own, whole, part in self._slices.values()]


class _DenseTables:
    """Dense tables are what `rate_cpu.tables_nats` reads that stays as it is from step to step.

    Attributes:
        chosen: indices of the tables.
        rows, entries: the arguments of that function.
    """

    def __init__(self, model: RateModel, grids: BinaryGrids) -> None:
        spec, layouts = model.spec, model.layouts
        self.chosen = [i for i, table in enumerate(spec.tables) if not table.hashed and len(layouts[i].entries)]
        most = max((model.extra(i).shape[1] for i in self.chosen), default=0)
        self.rows, entry = np.zeros(len(self.chosen), TABLE), 0
        vertices, firsts, others = [np.zeros((0, 3), np.int32)], [np.zeros(0, np.int64)], [np.zeros((0, most), np.float32)]
        for row, index in zip(self.rows, self.chosen, strict=True):
            table, layout, previous = spec.tables[index], layouts[index], spec.previous(index)
            count, dimensions, extra = len(layout.entries), len(table.axes), model.extra(index)
            part = grids.first_part(previous[0]) if previous else 0
            row["first"], row["stop"] = entry, entry + count
            row["axes"][:dimensions], row["dimensions"] = table.axes, dimensions
            row["resolution"], row["features"], row["others"] = table.resolution, table.features, extra.shape[1]
            row["first_part"], row["stop_part"] = part, part + len(grids.parts_of(previous))
            model.nets.describe(spec.context_name(index), row)
            vertices.append(np.pad(layout.vertices.astype(np.int32), ((0, 0), (0, 3 - dimensions))))
            firsts.append(model.values[index][:, 0])
            others.append(np.pad(extra.astype(np.float32) / UNIT, ((0, 0), (0, most - extra.shape[1]))))
            entry += count
        self.entries = Entries(*map(np.concatenate, (vertices, firsts, others)))


class _DenseBitsCPU(torch.autograd.Function):
    """The bits of all tables that are not hashed are compiled; value and gradient come in one pass."""

    @staticmethod
    def forward(ctx, theta, model, grids, picks, *tensors):
        dense, flat, gradients = model.dense_tables(grids), model.nets.coded(tensors), model.nets.zeros(THREADS)
        picked = [picks[index] for index in dense.chosen]
        counts = np.array([len(own) for own in picked], np.int64)
        scales = ((dense.rows["stop"] - dense.rows["first"]) / counts / math.log(2)).astype(np.float32)
        drawn = Drawn(np.concatenate([np.zeros(0, np.int64), *picked]), np.append(0, counts.cumsum()), scales)
        tables, bits, values = grids.packed_tables(), np.zeros(THREADS), theta.detach().numpy()

        def work(thread: int, *_: int) -> None:
            given = dense.rows, drawn, dense.entries, tables, values, flat, thread
            bits[thread] = tables_nats(*given, grids.partial[thread], gradients[thread])

        in_parts(THREADS, work)
        ctx.save_for_backward(grids.gradient(theta))
        ctx.nets, ctx.gradients = model.nets, gradients.sum(0)
        return torch.tensor(bits.sum(), dtype=torch.float32)

    @staticmethod
    def backward(ctx, gradient):
        (d_theta,) = ctx.saved_tensors
        return gradient * d_theta, None, None, None, *ctx.nets.tensors(ctx.gradients * float(gradient))
