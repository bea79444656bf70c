"""Binary feature grids, trainable: real parameters whose signs are looked up and interpolated (method, section 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nerfsem_method.field import kernels
from nerfsem_method.field.hashing import PRIMES
from nerfsem_method.field.slots import PADDING, Slots
from nerfsem_method.field.spec import FieldSpec

INITIAL_RANGE = 1e-2


class SignSTE(torch.autograd.Function):
    """sign with sign(0) = +1; the gradient passes straight through where |x| <= 1 (BiRF, Shin and Park 2023)."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * (x.abs() <= 1)


class _EncodeCPU(torch.autograd.Function):
    """All look-ups of a step in one graph node, so that the gradient of the tables is one buffer."""

    @staticmethod
    def forward(ctx, theta: Tensor, grids: BinaryGrids, groups) -> tuple[Tensor, ...]:
        ctx.save_for_backward(theta)
        ctx.grids, ctx.groups = grids, groups
        outputs = []
        for positions, tables in groups:
            out = torch.empty(len(positions), sum(grids.spec.tables[t].features for t in tables))
            arrays = positions.numpy(), grids.slots.rows[list(tables)], grids.slots.map, grids.signs()
            kernels.encode(*arrays, numba.get_num_threads(), out.numpy())
            outputs.append(out)
        return tuple(outputs)

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (theta,) = ctx.saved_tensors
        partial = torch.zeros(numba.get_num_threads(), len(theta) + PADDING)
        for (positions, tables), gradient in zip(ctx.groups, gradients, strict=True):
            arrays = positions.numpy(), ctx.grids.slots.rows[list(tables)], ctx.grids.slots.map
            kernels.encode_backward(*arrays, gradient.contiguous().numpy(), partial.numpy())
        return partial.sum(0)[: len(theta)] * (theta.abs() <= 1), None, None


class BinaryGrids(nn.Module):
    """The tables of a field.

    `theta` [values] float32 holds the real parameters of the slots that the hull, the largest occupancy there will be, can
    reach (`Slots`).
    """

    coded: Tensor
    _slot_map: Tensor

    def __init__(self, spec: FieldSpec, hull: np.ndarray) -> None:
        super().__init__()
        self.spec = spec
        self.slots = Slots(spec, hull)
        self.theta = nn.Parameter((torch.rand(self.slots.size) * 2 - 1) * INITIAL_RANGE)
        self.register_buffer("coded", torch.ones(self.slots.size, dtype=torch.int8), persistent=False)
        self.register_buffer("_slot_map", torch.from_numpy(self.slots.map), persistent=False)
        self._signs: tuple[int, np.ndarray] | None = None

    def signs(self) -> np.ndarray:
        """Current symbols [values + PADDING] int8: -1, +1, and 0 where no occupied voxel touches."""
        version = self.theta._version
        if self._signs is None or self._signs[0] != version:
            signs = torch.where(self.theta.detach() >= 0, self.coded, -self.coded)
            self._signs = (version, np.pad(signs.cpu().numpy(), (0, PADDING)))
        return self._signs[1]

    def set_coded(self, layouts: Sequence) -> None:
        """Keep only the entries of these `TableLayout`s; all others read 0."""
        coded = np.zeros(len(self.theta), np.int8)
        for index, layout in enumerate(layouts):
            coded[self.slots.indices(index, layout.entries)] = 1
        self.coded.copy_(torch.from_numpy(coded))
        self._signs = None

    def tables(self) -> tuple[np.ndarray, ...]:
        """The symbols as the codec wants them: per table [entries, features] int8."""
        return self.slots.tables(self.signs())

    def load_tables(self, tables: Sequence[np.ndarray]) -> None:
        """Take decoded symbols over: theta becomes the symbol itself."""
        symbols = torch.from_numpy(self.slots.flat(tables))
        with torch.no_grad():
            self.theta.copy_(symbols)
        self.coded.copy_((symbols != 0).to(torch.int8))
        self._signs = None

    def encode(self, groups: Sequence[tuple[Tensor, Sequence[int]]]) -> tuple[Tensor, ...]:
        """Interpolated features of several groups of points.

        Args:
            groups: pairs of positions [S, 3] float32 in [0, 1] and indices of the tables to read there.

        Returns:
            Per group [S, sum of the tables' features] float32, differentiable with respect to `theta`.
        """
        if self.theta.device.type == "cpu":
            return _EncodeCPU.apply(self.theta, self, groups)
        signs = functional.pad(SignSTE.apply(self.theta) * self.coded, (0, PADDING))
        return tuple(torch.cat([self._lookup(signs, x, t) for t in tables], 1) for x, tables in groups)

    def _lookup(self, signs: Tensor, positions: Tensor, index: int) -> Tensor:
        """Plain torch: `signs` [values + PADDING] at positions [S, 3] to [S, features] of one table."""
        table = self.spec.tables[index]
        dimensions, side = len(table.axes), table.resolution + 1
        scaled = positions[:, list(table.axes)] * table.resolution
        base = scaled.long().clamp(0, table.resolution - 1)
        fraction = (scaled - base).clamp(0, 1)
        corners = torch.tensor([[(c >> a) & 1 for a in range(dimensions)] for c in range(1 << dimensions)])
        corners = corners.to(positions.device)
        vertices = base[:, None] + corners  # [S, 2^d, d]
        weights = torch.where(corners.bool(), fraction[:, None], 1 - fraction[:, None]).prod(-1)
        first_value, first_slot = self.slots.rows[index, -2:]
        if table.hashed:
            slots = vertices[..., 0] * PRIMES[0]
            for axis in range(1, dimensions):
                slots = slots ^ (vertices[..., axis] * PRIMES[axis])
            slots = slots % table.entries
            firsts = int(first_value) + slots * table.features
        else:
            strides = torch.tensor([side ** (dimensions - 1 - a) for a in range(dimensions)], device=positions.device)
            firsts = self._slot_map[int(first_slot) + (vertices * strides).sum(-1)].long()
        values = firsts[..., None] + torch.arange(table.features, device=positions.device)  # [S, 2^d, F]
        return (signs[values] * weights[..., None]).sum(1)
