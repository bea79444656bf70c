"""Binary feature grids are trainable: real parameters whose signs are looked up and interpolated (method, section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nerfsem_method.compiled.threads import THREADS, in_parts
from nerfsem_method.field.hashing import PRIMES
from nerfsem_method.field.spec import FieldSpec
from nerfsem_method.raycast.lookup import table_parts
from nerfsem_method.training.backend import compiled, fused, tiny
from nerfsem_method.training.loops import encode_cpu
from nerfsem_method.training.loops.encode_cpu import Tables
from nerfsem_method.training.loops.scatter import RUN, Sums
from nerfsem_method.training.slots import PADDING, Slots

INITIAL_RANGE = 1e-2
"""Parameters begin this near to 0, so that a sign may change at once."""


class SignSTE(torch.autograd.Function):
    """SignSTE is the sign, with sign(0) = +1; the gradient passes straight through where |x| <= 1 (BiRF, Shin and Park 2023)."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * (x.abs() <= 1)


class _SignsCPU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, theta: Tensor, grids: BinaryGrids, values: Tensor) -> Tensor:
        ctx.save_for_backward(theta, values)
        ctx.grids = grids
        return torch.where(theta[values] >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, None, None]:
        theta, values = ctx.saved_tensors
        sums = ctx.grids.sums(0)
        torch.from_numpy(sums.values).index_add_(0, values.flatten(), gradient.flatten())
        sums.touched[values.flatten().numpy() // RUN] = 1
        return ctx.grids.gradient(theta), None, None


class _EncodeCPU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, theta: Tensor, positions: Tensor, grids: BinaryGrids, parts: np.ndarray) -> Tensor:
        ctx.save_for_backward(theta, positions)
        ctx.grids, ctx.tables = grids, grids.packed_tables(parts)
        out = torch.empty(len(positions), int(parts["features"].sum()))

        def work(_: int, start: int, stop: int) -> None:
            encode_cpu.encode(positions.numpy(), start, stop, ctx.tables, out.numpy())

        in_parts(len(positions), work)
        return out

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, None, None, None]:
        theta, positions = ctx.saved_tensors
        given = gradient.contiguous().numpy()

        def work(thread: int, start: int, stop: int) -> None:
            encode_cpu.encode_backward(positions.numpy(), start, stop, ctx.tables, given, ctx.grids.sums(thread))

        in_parts(len(positions), work)
        return ctx.grids.gradient(theta), None, None, None


class BinaryGrids(nn.Module):
    """Binary grids are the trainable tables of a field.

    `theta` [values] float32 holds the real parameters of the slots that the hull, the largest occupancy there will be, can
    reach (`Slots`). `parts` describes the tables to the compiled loops (`lookup.table_parts`); in `partial` [threads, values +
    PADDING], zeros otherwise but for the padding, the threads add up gradients of the signs, and mark where in `touched`
    [threads, runs]; while `keeping`, backward passes leave both there. `turned` [runs] uint8 marks the runs of theta in which
    signs have turned meanwhile, since they were packed.
    """

    coded: Tensor
    offsets: Tensor

    def __init__(self, spec: FieldSpec, hull: np.ndarray) -> None:
        super().__init__()
        self.spec = spec
        self.slots = Slots(spec, hull)
        self.parts, self._owners = table_parts(spec)
        counts = np.array([len(entries) for entries in self.slots.entries])
        firsts = np.array([part.start for part in self.slots.slices])[self._owners] + self.parts["first_feature"]
        strides = np.array([table.features for table in spec.tables])[self._owners]
        entries = np.concatenate(self.slots.entries).astype(np.int32)
        begins = (counts.cumsum() - counts)[self._owners]
        self._part_slots = encode_cpu.Slots(begins, counts[self._owners], firsts, strides, entries)
        self._chosen: dict[tuple[int, ...], np.ndarray] = {}
        self.theta = nn.Parameter((torch.rand(self.slots.size) * 2 - 1) * INITIAL_RANGE)
        self.register_buffer("coded", torch.ones(self.slots.size, dtype=torch.int8), persistent=False)
        self.register_buffer("offsets", torch.from_numpy(self.slots.offsets), persistent=False)
        self._codes = np.zeros(int(self.parts["entries"].sum()), np.uint8)
        self._lasting = self._packed = False
        self.turned = np.ones(_runs(self.slots.size), np.uint8)
        self._packed_from: tuple[int, int] | None = None
        self._tiny: dict[int, Tensor] = {}
        self.partial = np.zeros((THREADS, self.slots.size + PADDING), np.float32)
        self.touched = np.zeros((THREADS, _runs(self.slots.size + PADDING)), np.uint8)
        self.keeping = False
        none = torch.zeros(1, 0, dtype=torch.int64), torch.zeros(0)
        self._mark = torch.sparse_coo_tensor(*none, (self.slots.size,), check_invariants=False)

    def signs(self) -> np.ndarray:
        """Return the present symbols [values] int8: -1, +1, and 0 where no occupied voxel touches."""
        return torch.where(self.theta.detach() >= 0, self.coded, -self.coded).cpu().numpy()

    def packed_tables(self, parts: np.ndarray | None = None) -> Tables:
        """Return some parts of tables, all by default, with the present symbols; the next call overwrites these.

        Nothing tells whether theta has changed (fused optimisers leave torch's version counter alone): see `unchanged`. While
        gradients are kept, the optimiser that takes them marks in `turned` what has changed, and that alone is packed.
        """
        if not self._packed:
            # These two tell of what else changes theta, but not of writes to `theta.data`, which nobody does while training.
            now = (self.theta._version, self.theta.data_ptr()) if self.keeping else None
            if now is None or now != self._packed_from:
                self.turned[:] = 1
            in_parts(THREADS, self._pack)
            self.turned[:] = 0
            self._packed, self._packed_from = self._lasting, now
        return Tables(self.parts if parts is None else parts, self._codes, self.slots.offsets)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Promise that no optimiser changes theta: within the block the symbols are packed once, until they are set anew."""
        outer, self._lasting = self._lasting, True
        try:
            yield
        finally:
            self._lasting = outer
            if not outer:
                self._look_again()

    def _look_again(self) -> None:
        """Pack next time what has changed by then."""
        self._packed = False
        self._tiny.clear()

    def _forget(self) -> None:
        """Pack all symbols anew next time."""
        self._packed_from = None
        self._look_again()

    def _pack(self, thread: int, *_: int) -> None:
        theta, coded = self.theta.detach().numpy(), self.coded.numpy()
        encode_cpu.pack(theta, coded, self.parts, self._part_slots, self.turned, thread, THREADS, self._codes)

    def sums(self, thread: int) -> Sums:
        """Return where a thread adds up gradients of the signs."""
        return Sums(self.partial[thread], self.touched[thread])

    def gradient(self, theta: Tensor) -> Tensor | None:
        """Return the gradient of `theta` [values] from what the threads have added to `partial`, and empty that.

        While that is kept, return None, and mark the parameter as one that has a gradient.
        """
        if self.keeping:
            if self.theta.grad is None:
                self.theta.grad = self._mark
            return None
        out, values, coded = torch.empty_like(theta), theta.detach().numpy(), self.coded.numpy()

        def work(_: int, start: int, stop: int) -> None:
            encode_cpu.collect(values, coded, self.partial, start, stop, out.numpy()[start:stop])

        in_parts(len(theta), work)
        return out

    def signs_at(self, values: Tensor) -> Tensor:
        """Return the signs of theta's values at these indices, differentiable (straight-through)."""
        if compiled(self.theta):
            return _SignsCPU.apply(self.theta, self, values)
        return SignSTE.apply(self.theta[values])

    def parts_of(self, tables: Sequence[int]) -> np.ndarray:
        """Return the rows of `parts` that belong to some tables."""
        chosen = tuple(tables)
        if chosen not in self._chosen:
            self._chosen[chosen] = self.parts[np.isin(self._owners, chosen)]
        return self._chosen[chosen]

    def first_part(self, table: int) -> int:
        """Return the first row of `parts` that belongs to a table."""
        return int(np.searchsorted(self._owners, table))

    def set_coded(self, entries: Sequence[np.ndarray]) -> None:
        """Keep only these entries [E] int64 of each table; all others read 0."""
        coded = np.zeros(len(self.theta), np.int8)
        for index, kept in enumerate(entries):
            coded[self.slots.indices(index, kept)] = 1
        self.coded.copy_(torch.from_numpy(coded))
        self._forget()

    def tables(self) -> tuple[np.ndarray, ...]:
        """Return the symbols as the codec wants them: per table [entries, features] int8."""
        return self.slots.tables(self.signs())

    def load_tables(self, tables: Sequence[np.ndarray]) -> None:
        """Take decoded symbols over: theta becomes the symbol itself."""
        symbols = torch.from_numpy(self.slots.flat(tables))
        with torch.no_grad():
            self.theta.copy_(symbols)
        self.coded.copy_((symbols != 0).to(torch.int8))
        self._forget()

    def encode(self, positions: Tensor, tables: Sequence[int]) -> Tensor:
        """Return the interpolated features [S, sum of the tables' features] float32 at positions [S, 3] float32 in [0, 1].

        They are differentiable with respect to `theta`.
        """
        if compiled(self.theta):
            return _EncodeCPU.apply(self.theta, positions, self, self.parts_of(tables))
        if tiny(self.theta):
            return self._encode_tiny(positions, tables)
        if fused(self.theta):
            from nerfsem_method.training.loops import encode_triton

            return encode_triton.encode(positions, self.theta, self.coded, self.offsets, self.parts_of(tables))
        return self.encode_plain(positions, tables)

    def _encode_tiny(self, positions: Tensor, tables: Sequence[int]) -> Tensor:
        """Do as `encode` does by tiny-cuda-nn, table by table; within `unchanged`, its parameters are made once."""
        from nerfsem_method.training.loops import encode_tcnn

        made = self._tiny if self._lasting else {}
        found = [positions.new_zeros(len(positions), 0)]
        for index in tables:
            table, part = self.spec.tables[index], self.slots.slices[index]
            if index not in made:
                signs = SignSTE.apply(self.theta[part]) * self.coded[part]
                entries = torch.from_numpy(self.slots.entries[index]).to(self.theta.device)
                made[index] = encode_tcnn.parameters(table, signs.view(-1, table.features), entries)
            found.append(encode_tcnn.look_up(positions, table, made[index]))
        return torch.cat(found, 1)

    def encode_plain(self, positions: Tensor, tables: Sequence[int]) -> Tensor:
        """Do as `encode` does in plain torch, on any device."""
        signs = functional.pad(SignSTE.apply(self.theta) * self.coded, (0, PADDING))
        none = positions.new_zeros(len(positions), 0)
        return torch.cat([none, *(self._look_up(signs, positions, table) for table in tables)], 1)

    def _look_up(self, signs: Tensor, positions: Tensor, index: int) -> Tensor:
        """Return the features [S, features] of one table, from `signs` [values + PADDING]."""
        table = self.spec.tables[index]
        dimensions, side = len(table.axes), table.resolution + 1
        scaled = positions[:, list(table.axes)] * table.resolution
        base = scaled.long().clamp(0, table.resolution - 1)
        fraction = (scaled - base).clamp(0, 1)
        corners = torch.tensor([[(c >> a) & 1 for a in range(dimensions)] for c in range(1 << dimensions)])
        corners = corners.to(positions.device)
        vertices = base[:, None] + corners  # [S, 2^d, d]
        weights = torch.where(corners.bool(), fraction[:, None], 1 - fraction[:, None]).prod(-1)
        if table.hashed:
            entries = vertices[..., 0] * PRIMES[0]
            for axis in range(1, dimensions):
                entries = entries ^ (vertices[..., axis] * PRIMES[axis])
            entries = entries % table.entries
        else:
            strides = torch.tensor([side ** (dimensions - 1 - a) for a in range(dimensions)], device=positions.device)
            entries = (vertices * strides).sum(-1)
        firsts = self.offsets[int(self.parts["first_entry"][self.first_part(index)]) + entries].long()
        values = firsts[..., None] + torch.arange(table.features, device=positions.device)  # [S, 2^d, F]
        found = signs.index_select(0, values.flatten()).view(values.shape)
        return (found * weights[..., None]).sum(1)


def _runs(values: int) -> int:
    """Return how many runs so many values make."""
    return -(-values // RUN)
