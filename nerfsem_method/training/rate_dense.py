"""The rate of dense tables is estimated in compiled loops: here are the arrays that `loops.rate_cpu` reads, and its gradient.

`loops.rate_triton` reads the same rows of tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from nerfsem_method.codec.fixed_point import ACTIVATION_BITS, BIAS_LIMIT, UNIT, WEIGHT_EXPONENT, WEIGHT_LIMIT
from nerfsem_method.codec.neighbours import OFFSETS
from nerfsem_method.compiled.threads import THREADS, in_parts
from nerfsem_method.field.layout import TableLayout
from nerfsem_method.field.spec import FieldSpec
from nerfsem_method.raycast.perceptron import padded
from nerfsem_method.training.encoding import BinaryGrids
from nerfsem_method.training.loops.encode_cpu import Tables
from nerfsem_method.training.loops.rate_cpu import MOST_AROUND, TABLE, Drawn, Entries, Neighbours, tables_nats


class Nets:
    """The loops read the context models as one array, which is as easily added up: of all padded ones where they are compiled.

    `pad` says how long a side of a matrix is in that array.
    """

    def __init__(self, spec: FieldSpec, pad: Callable[[int], int] = padded) -> None:
        shapes = spec.context_shapes()
        slices, self._size = [], 0
        for shape in shapes.values():
            whole = tuple(map(pad, shape))
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


def describe_tables(
    grids: BinaryGrids, layouts: Sequence[TableLayout], others: Sequence[np.ndarray], nets: Nets
) -> tuple[list[int], np.ndarray]:
    """Return the tables that are not hashed and have entries, and what loops read of each: a row of TABLE."""
    spec, entry = grids.spec, 0
    chosen = [i for i, table in enumerate(spec.tables) if not table.hashed and len(layouts[i].entries)]
    rows = np.zeros(len(chosen), TABLE)
    for row, index in zip(rows, chosen, strict=True):
        table, previous, count = spec.tables[index], spec.previous(index), len(layouts[index].entries)
        part = grids.first_part(previous[0]) if previous else 0
        row["first"], row["stop"] = entry, entry + count
        row["axes"][: len(table.axes)], row["dimensions"] = table.axes, len(table.axes)
        row["resolution"], row["features"], row["others"] = table.resolution, table.features, others[index].shape[1]
        row["first_part"], row["stop_part"] = part, part + len(grids.parts_of(previous))
        row["first_entry"] = grids.parts["first_entry"][grids.first_part(index)]
        row["around"] = len(OFFSETS[len(table.axes)])
        nets.describe(spec.context_name(index), row)
        entry += count
    return chosen, rows


def neighbour_offsets(spec: FieldSpec, tables: Sequence[int]) -> np.ndarray:
    """Return at which offsets the coder looks for neighbours in each of these tables, int64 [tables, MOST_AROUND, 3]."""
    offsets = np.zeros((len(tables), MOST_AROUND, 3), np.int64)
    for row, index in zip(offsets, tables, strict=True):
        own = OFFSETS[len(spec.tables[index].axes)]
        row[: len(own)] = own
    return offsets


class DenseTables:
    """Dense tables are what `rate_cpu.tables_nats` reads that stays as it is from step to step.

    Attributes:
        chosen: indices of the tables.
        rows, entries, neighbours: the arguments of that function.
    """

    def __init__(
        self, grids: BinaryGrids, layouts: Sequence[TableLayout], values: Sequence[np.ndarray], others: Sequence[np.ndarray],
        nets: Nets, mixing: Tensor,
    ) -> None:  # fmt: skip
        self.nets = nets
        self.chosen, self.rows = describe_tables(grids, layouts, others, nets)
        most = max((others[i].shape[1] for i in self.chosen), default=0)
        vertices, firsts, rest = [np.zeros((0, 3), np.int32)], [np.zeros(0, np.int64)], [np.zeros((0, most), np.float32)]
        for index in self.chosen:
            extra, own = others[index], layouts[index].vertices.astype(np.int32)
            vertices.append(np.pad(own, ((0, 0), (0, 3 - own.shape[1]))))
            firsts.append(values[index][:, 0])
            rest.append(np.pad(extra.astype(np.float32) / UNIT, ((0, 0), (0, most - extra.shape[1]))))
        self.entries = Entries(*map(np.concatenate, (vertices, firsts, rest)))
        around = neighbour_offsets(grids.spec, self.chosen)
        self.neighbours = Neighbours(around, mixing.numpy()[self.chosen], grids.coded.numpy())


class DenseBitsCPU(torch.autograd.Function):
    """The bits of all tables that are not hashed are compiled."""

    @staticmethod
    def forward(ctx, theta, dense, grids, picks, told, *tensors):
        """Return the bits, or 0 where nobody is `told`: their gradient does not hang on them, and they take half of the time."""
        counts = np.array([len(own) for own in picks], np.int64)
        scales = ((dense.rows["stop"] - dense.rows["first"]) / counts / math.log(2)).astype(np.float32)
        drawn = Drawn(np.concatenate([np.zeros(0, np.int64), *picks]), np.append(0, counts.cumsum()), scales)
        ctx.save_for_backward(theta)
        ctx.given = dense, grids, drawn, grids.packed_tables(), dense.nets.coded(tensors)
        return torch.tensor(_nats(theta, *ctx.given, None) if told else 0.0, dtype=torch.float32)

    @staticmethod
    def backward(ctx, gradient):
        """Go over the entries again: only now is it known what a bit weighs, and gradients of all values need not be scaled."""
        (theta,) = ctx.saved_tensors
        dense, grids, drawn, tables, flat = ctx.given
        gradients = dense.nets.zeros(THREADS)
        _nats(theta, dense, grids, drawn._replace(scales=drawn.scales * np.float32(gradient)), tables, flat, gradients)
        return grids.gradient(theta), None, None, None, None, *dense.nets.tensors(gradients.sum(0))


def _nats(
    theta: Tensor, dense: DenseTables, grids: BinaryGrids, drawn: Drawn, tables: Tables, flat: np.ndarray,
    gradients: np.ndarray | None,
) -> float:  # fmt: skip
    """Return the sum of the drawn entries' nats times their tables' scales; add its gradients where `gradients` are given."""
    learning, sums = gradients is not None, np.zeros(THREADS)
    values = theta.detach().numpy()
    added = dense.nets.zeros(THREADS) if gradients is None else gradients

    def work(thread: int, *_: int) -> None:
        given = dense.rows, drawn, dense.entries, dense.neighbours, tables, values, flat, thread, THREADS, learning
        sums[thread] = tables_nats(*given, grids.sums(thread), added[thread])

    in_parts(THREADS, work)
    return float(sums.sum())
