"""The rate model is the trainable twin of the codec's context models: it estimates the tables' bits (method, section 4).

`nerfsem_method.codec.context` is the specification; here the same contexts are evaluated in float on a random part of the
entries, with weights rounded to the codec's grid (straight-through): for dense tables compiled on the CPU (`loops.rate_cpu`) and
in Triton on CUDA (`loops.rate_triton`), in plain torch otherwise. `tests/test_training_rate.py` ties them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nerfsem_method.codec.context import Contexts
from nerfsem_method.codec.fixed_point import ACTIVATION_BITS, BIAS_LIMIT, UNIT, WEIGHT_EXPONENT, WEIGHT_LIMIT
from nerfsem_method.field.layout import TableLayout, part_layout
from nerfsem_method.field.spec import CONTEXT_LEVELS, FieldSpec
from nerfsem_method.field.state import QuantisedTensor
from nerfsem_method.training import neighbours
from nerfsem_method.training.backend import compiled, fused
from nerfsem_method.training.drawn import Sharing, draw, spread, wanted
from nerfsem_method.training.encoding import BinaryGrids
from nerfsem_method.training.rate_dense import DenseBitsCPU, DenseTables, Nets, describe_tables, neighbour_offsets

if TYPE_CHECKING:
    from nerfsem_method.training.loops.rate_triton import DenseContexts

LISTED = 1 << 24
"""A hashed table keeps at most about so many vertices at a time, and takes turns with the parts of its entries where the hull is
larger; under a final occupancy that a bundle may hold, all are kept."""

_LAYERS = ("0.weight", "0.bias", "1.weight", "1.bias")


def _without(columns: int, gradient: Tensor) -> Tensor:
    """Return the gradient with zeros in the first columns."""
    return torch.cat([torch.zeros_like(gradient[:, :columns]), gradient[:, columns:]], 1)


class RateModel(nn.Module):
    """The rate model has the context models and, per table, the list of entries that are coded under the present occupancy.

    Attributes:
        layouts: per table its coded entries, or a part of them where they are too many (LISTED).
        counts: per table the number of all coded entries.
        values: per table, where the signs of the listed ones lie in theta: int64 [entries, features].
        mixing: what the coder's regressions have learnt, see `neighbours.unlearnt`.
        turn: so many times the entries were listed; the next parts depend on it.
    """

    mixing: Tensor
    _steps: Tensor
    _limits: Tensor

    def __init__(self, spec: FieldSpec, context_levels: int = CONTEXT_LEVELS) -> None:
        super().__init__()
        self.spec = spec
        self.tensors = nn.ParameterDict()
        for name, shape in spec.context_shapes().items():
            first = name.endswith("0.weight")
            values = torch.randn(shape) / shape[-1] ** 0.5 if first else torch.zeros(shape)
            self.tensors[name.replace(".", "_")] = nn.Parameter(values)
        self._read_fewer(context_levels)
        weights = [name.endswith("weight") for name in spec.context_shapes()]
        self._sizes = [math.prod(shape) for shape in spec.context_shapes().values()]
        grid = [(2.0**WEIGHT_EXPONENT, WEIGHT_LIMIT) if weight else (2.0**-ACTIVATION_BITS, BIAS_LIMIT) for weight in weights]
        steps, limits = torch.tensor(grid).repeat_interleave(torch.tensor(self._sizes), 0).T
        self.register_buffer("_steps", steps, persistent=False)
        self.register_buffer("_limits", limits, persistent=False)
        self.register_buffer("mixing", neighbours.unlearnt(spec), persistent=False)
        self.layouts: list[TableLayout] = []
        self.counts: list[int] = []
        self.values: list[np.ndarray] = []
        self._projected: list[np.ndarray] = []
        self._dense: DenseTables | None = None
        self._contexts: dict[torch.device, DenseContexts] = {}
        self._tensors_of: dict[tuple[torch.device, int], _OnDevice] = {}
        self.turn = 0

    def _read_fewer(self, levels: int) -> None:
        """Let contexts read `levels` previous levels alone: the others' weights are 0 and stay so, which costs hardly a byte."""
        for index in range(len(self.spec.volume) + len(self.spec.planes)):
            previous = self.spec.previous(index)
            unread = sum(self.spec.tables[p].features for p in previous[: max(len(previous) - levels, 0)])
            weight = self.tensors[f"{self.spec.context_name(index)}.0.weight".replace(".", "_")]
            if unread:
                weight.data[:, :unread] = 0
                weight.register_hook(partial(_without, unread))

    def coded(self) -> dict[str, Tensor]:
        """Return all tensors by name as the bundle can hold them; the gradient passes straight through."""
        return self._named(self._flat())

    def _flat(self) -> Tensor:
        """Return what `coded` returns as one array.

        The tensors are rounded together: on a GPU a pass over all of them takes as long as one over a single bias.
        """
        flat = torch.cat([tensor.flatten() for tensor in self.tensors.values()])
        nearest = (flat / self._steps).round().clamp(-self._limits, self._limits) * self._steps
        return flat + (nearest - flat).detach()

    def weight_bits(self) -> Tensor:
        """Return about how many bits more than zeros the context models take, a differentiable scalar.

        The coder's unary prefix and suffix grow with log2 of an integer (`codec.coder`), and zeros make each other cheap.
        """
        flat = torch.cat([tensor.flatten() for tensor in self.tensors.values()])
        return (1 + flat.abs() / self._steps).log2().sum()

    def _named(self, flat: Tensor) -> dict[str, Tensor]:
        shapes = self.spec.context_shapes().items()
        return {name: part.view(shape) for (name, shape), part in zip(shapes, flat.split(self._sizes), strict=True)}

    def set_occupancy(self, grids: BinaryGrids, occupancy: np.ndarray) -> None:
        """List the coded entries anew; uncoded ones read 0 from then on."""
        listed = [part_layout(table, occupancy, LISTED, self.turn) for table in self.spec.tables]
        self.turn += 1
        self.layouts = [layout for layout, _ in listed]
        self.counts = [len(entries) for _, entries in listed]
        grids.set_coded([entries for _, entries in listed])
        self.values = [grids.slots.indices(i, layout.entries) for i, layout in enumerate(self.layouts)]
        self._tensors_of.clear()
        self.refresh_projection(grids)

    def refresh_projection(self, grids: BinaryGrids) -> None:
        """Project the finest 3D level's present signs onto the planes (PVF); held constant between refreshes."""
        contexts = Contexts(self.spec, {})
        last = len(self.spec.volume) - 1
        tables = grids.tables()
        contexts.remember_volume(self.layouts[last], tables[last])
        self._dense = None
        self._contexts.clear()
        self._tensors_of = {key: own for key, own in self._tensors_of.items() if key[1] <= last}
        self._projected = [contexts.projected(i, self.layouts[i]) for i in range(last + 1, len(self.spec.tables))]

    def learn(self, grids: BinaryGrids) -> None:
        """Learn what the coder's regressions have learnt when the tables are coded as they are now.

        From then on the rate counts what signs tell about their neighbours.
        """
        contexts = Contexts(self.spec, {name: tensor.integers for name, tensor in self.state().items()})
        neighbours.learn(contexts, self.spec, self.layouts, list(grids.tables()), self.mixing)
        self._dense = None
        self._contexts.clear()

    @property
    def symbols(self) -> int:
        """Return the number of coded binary symbols under the present occupancy."""
        return sum(count * table.features for count, table in zip(self.counts, self.spec.tables, strict=True))

    def bits(self, grids: BinaryGrids, samples: int, generator: np.random.Generator, told: bool = True) -> Tensor:
        """Return the estimated bits of all tables: -log2 p summed over about `samples` drawn entries, scaled up to the tables.

        Each table has as many of these as its size asks for, and `drawn.FEWEST` at least. The scalar is differentiable with
        respect to the symbols (straight-through), the context symbols and the models. Where it is not `told`, its gradient alone
        is right.
        """
        share, theta = samples / max(sum(self.counts), 1), grids.theta
        sizes = [wanted(layout, share * count) for layout, count in zip(self.layouts, self.counts, strict=True)]
        chances = draw(sum(sizes), generator, theta.device).split(sizes)
        fast = compiled(theta)
        looped = fast or fused(theta)
        dense = [i for i, table in enumerate(self.spec.tables) if looped and sizes[i] and not table.hashed]
        rest = [index for index, size in enumerate(sizes) if size and index not in dense]
        flat = self._flat() if rest or not fast else theta.new_zeros(0)
        total = theta.new_zeros(())
        if dense:
            total = self._dense_bits(grids, dense, [chances[index] for index in dense], flat, told)
        if rest:
            coded = self._named(flat)
            picks = [spread(chances[index], len(self.layouts[index].entries)) for index in rest]
            total = sum((self.table_bits(grids, *own, coded) for own in zip(rest, picks, strict=True)), total)
        return total

    def _dense_bits(
        self, grids: BinaryGrids, tables: Sequence[int], chances: Sequence[Tensor], flat: Tensor, told: bool
    ) -> Tensor:
        """Return the bits of the dense tables; those that are compiled round the context models themselves."""
        if compiled(grids.theta):
            picks = [spread(own, len(self.layouts[i].entries)).numpy() for i, own in zip(tables, chances, strict=True)]
            return DenseBitsCPU.apply(grids.theta, self._dense_tables(grids), grids, picks, told, *self.tensors.values())
        from nerfsem_method.training.loops import rate_triton

        given = grids.theta, flat, torch.cat(list(chances)), grids.coded, grids.offsets
        return rate_triton.bits(*given, self._dense_contexts(grids), [len(own) for own in chances])

    def table_bits(self, grids: BinaryGrids, index: int, picked: Tensor, coded: dict[str, Tensor] | None = None) -> Tensor:
        """Return the bits of one table in plain torch, estimated from the entries `picked` [n] by number in its layout.

        `coded` is what the method of that name returns, for callers that have it already.
        """
        coded = coded or self.coded()
        own = self._table_on(grids.theta.device, index)
        vertices, entry, weights = (picked, None, None) if own.sharing is None else own.sharing.of(picked)
        previous = grids.encode(own.positions[vertices], self.spec.previous(index))
        inputs = torch.cat([previous, own.extra[vertices].float() / UNIT], 1)
        first, first_bias, last, last_bias = (coded[f"{self.spec.context_name(index)}.{part}"] for part in _LAYERS)
        logits = functional.linear(functional.linear(inputs, first, first_bias).relu(), last, last_bias)
        if entry is not None and weights is not None:
            fused = logits.new_zeros(len(picked), logits.shape[1])
            logits = fused.index_add(0, entry, logits * weights[:, None])
        phi = grids.signs_at(own.values[picked])
        if not self.spec.tables[index].hashed:
            logits = neighbours.mixed(grids, index, self.mixing[index], own.positions[picked], phi, logits)
        nats = functional.softplus(logits) - logits * (1 + phi) / 2
        return nats.sum() * (self.counts[index] / len(picked) / math.log(2))

    def extra(self, index: int) -> np.ndarray:
        """Return the integer part of the context that needs no look-up: moments (3D) or projected features (2D)."""
        count = len(self.spec.volume)
        return self.layouts[index].moments if index < count else self._projected[index - count]

    def _table_on(self, device: torch.device, index: int) -> _OnDevice:
        """Return what of a table stays as it is from step to step, on a device."""
        if (device, index) not in self._tensors_of:
            table, layout = self.spec.tables[index], self.layouts[index]
            positions = np.zeros((len(layout.vertices), 3), np.float32)
            positions[:, list(table.axes)] = layout.vertices / np.float32(table.resolution)
            arrays = positions, self.extra(index).astype(np.int16), self.values[index]
            first, second, third = (torch.from_numpy(array).to(device) for array in arrays)
            sharing = Sharing(layout, device) if table.hashed else None
            self._tensors_of[device, index] = _OnDevice(first, second, third, sharing)
        return self._tensors_of[device, index]

    def _dense_tables(self, grids: BinaryGrids) -> DenseTables:
        """Return the tables that are not hashed, as `rate_cpu.tables_nats` reads them."""
        if self._dense is None:
            others = [self.extra(index) for index in range(len(self.layouts))]
            self._dense = DenseTables(grids, self.layouts, self.values, others, Nets(self.spec), self.mixing)
        return self._dense

    def _dense_contexts(self, grids: BinaryGrids) -> DenseContexts:
        """Return what `rate_triton.bits` reads of these tables, on the device of theta."""
        from nerfsem_method.training.loops.rate_triton import DenseContexts

        device = grids.theta.device
        if device not in self._contexts:
            others = [self.extra(index) for index in range(len(self.layouts))]
            chosen, rows = describe_tables(grids, self.layouts, others, Nets(self.spec, int))
            tables, most = [self._table_on(device, index) for index in chosen], int(rows["others"].max())
            extra = [functional.pad(table.extra.float() / UNIT, (0, most - table.extra.shape[1])) for table in tables]
            columns = [table.positions for table in tables], [table.values[:, 0] for table in tables], extra
            positions, firsts, contexts = map(torch.cat, columns)
            around = torch.from_numpy(neighbour_offsets(self.spec, chosen)).to(device)
            given = rows, grids.parts, positions, firsts, contexts, around, self.mixing[chosen]
            self._contexts[device] = DenseContexts(*given)
        return self._contexts[device]

    def state(self) -> dict[str, QuantisedTensor]:
        """Return the context models as the bundle stores them."""
        result = {}
        for name, tensor in self.coded().items():
            weight = name.endswith("weight")
            exponent = WEIGHT_EXPONENT if weight else -ACTIVATION_BITS
            integers = (tensor.detach().cpu() * 2.0**-exponent).round().to(torch.int32)
            result[name] = QuantisedTensor(integers.numpy(), exponent)
        return result

    def load(self, state: dict[str, QuantisedTensor]) -> None:
        """Take decoded models over."""
        with torch.no_grad():
            for name, tensor in state.items():
                self.tensors[name.replace(".", "_")].copy_(torch.from_numpy(tensor.values))


class _OnDevice(NamedTuple):
    """A table's part of the rate estimate that is held on a device.

    Attributes:
        positions: [V, 3] float32, the vertices in the unit cube.
        extra: [V, C] int16, what of their contexts needs no look-up, in units of 1/256.
        values: [E, F] int64, where the listed entries' signs lie in theta.
        sharing: which vertices share an entry; None in a dense table.
    """

    positions: Tensor
    extra: Tensor
    values: Tensor
    sharing: Sharing | None
