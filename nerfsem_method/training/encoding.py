"""Binary feature grids, trainable: real parameters whose signs are looked up and interpolated (method, section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nerfsem_method.compiled import njit
from nerfsem_method.compiled.threads import THREADS, in_parts
from nerfsem_method.field.hashing import PRIMES
from nerfsem_method.field.spec import FieldSpec
from nerfsem_method.raycast.lookup import CODED, ENTRIES, FEATURES, FIRST_CODE, FIRST_ENTRY, FIRST_FEATURE, encode, table_parts
from nerfsem_method.training.backend import compiled, fused
from nerfsem_method.training.loops.scatter import encode_backward
from nerfsem_method.training.slots import PADDING, Slots

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
    @staticmethod
    def forward(ctx, theta: Tensor, positions: Tensor, grids: BinaryGrids, parts: np.ndarray) -> Tensor:
        ctx.save_for_backward(theta, positions)
        ctx.grids, ctx.parts = grids, parts
        out = torch.empty(len(positions), int(parts[:, FEATURES].sum()))
        codes = grids.codes()

        def work(_: int, start: int, stop: int) -> None:
            encode(positions.numpy(), start, stop, parts, codes, out.numpy())

        in_parts(len(positions), work)
        return out

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        theta, positions = ctx.saved_tensors
        partial, places, given = ctx.grids.partial, ctx.grids.slots.places, gradient.contiguous().numpy()

        def work(thread: int, start: int, stop: int) -> None:
            encode_backward(positions.numpy(), start, stop, ctx.parts, places, given, partial[thread])

        in_parts(len(positions), work)
        return ctx.grids.gradient(theta), None, None, None


@njit(cache=True, nogil=True)
def _pack(theta, coded, parts, slots, entries, thread, codes):
    """Codes of a thread's share of each part, from the real parameters; see `lookup`.

    `slots` [parts, 4] tells where a part's begin in `entries` and how many there are, and in theta their first value and the
    way to the next.
    """
    for p in range(parts.shape[0]):
        begin, count, first, stride = slots[p]
        own, features = codes[parts[p, FIRST_CODE] :], parts[p, FEATURES]
        start, stop = count * thread // THREADS, count * (thread + 1) // THREADS
        if features == 1:  # most are
            for slot in range(start, stop):
                value = np.uint64(first + slot * stride)
                own[np.uint64(entries[np.uint64(begin + slot)])] = (CODED | (theta[value] >= 0)) if coded[value] != 0 else 0
            continue
        for slot in range(start, stop):
            value, code = np.uint64(first + slot * stride), CODED
            for f in range(features):
                code |= np.int64(theta[value + np.uint64(f)] >= 0) << f
            own[np.uint64(entries[np.uint64(begin + slot)])] = code if coded[value] != 0 else 0


@njit(cache=True)
def _collect(theta, coded, partial, out):
    """Sum partial [threads, values + PADDING] over threads into out [values], and leave zeros behind."""
    for i in range(out.size):
        out[i] = partial[0, i]
    for thread in range(1, partial.shape[0]):
        for i in range(out.size):
            out[i] += partial[thread, i]
    for i in range(out.size):  # the gradient of the straight-through sign
        out[i] = out[i] if coded[i] != 0 and abs(theta[i]) <= 1 else np.float32(0)
    partial[:] = 0


class BinaryGrids(nn.Module):
    """The tables of a field.

    `theta` [values] float32 holds the real parameters of the slots that the hull, the largest occupancy there will be, can
    reach (`Slots`). `parts` describes the tables to the compiled loops (`lookup.table_parts`); in `partial` [threads, values +
    PADDING], zeros otherwise, these add up gradients of the signs.
    """

    coded: Tensor
    places: Tensor

    def __init__(self, spec: FieldSpec, hull: np.ndarray) -> None:
        super().__init__()
        self.spec = spec
        self.slots = Slots(spec, hull)
        self.parts, self._owners = table_parts(spec)
        counts = np.array([len(entries) for entries in self.slots.entries])
        firsts = np.array([part.start for part in self.slots.slices])[self._owners] + self.parts[:, FIRST_FEATURE]
        strides = np.array([table.features for table in spec.tables])[self._owners]
        plan = np.stack([(counts.cumsum() - counts)[self._owners], counts[self._owners], firsts, strides], 1)
        self._slots = plan, np.concatenate(self.slots.entries).astype(np.int32)
        self._chosen: dict[tuple[int, ...], np.ndarray] = {}
        self.theta = nn.Parameter((torch.rand(self.slots.size) * 2 - 1) * INITIAL_RANGE)
        self.register_buffer("coded", torch.ones(self.slots.size, dtype=torch.int8), persistent=False)
        self.register_buffer("places", torch.from_numpy(self.slots.places), persistent=False)
        self._codes = np.zeros(int(self.parts[:, ENTRIES].sum()), np.uint8)
        self._lasting = self._packed = False
        self.partial = np.zeros((THREADS, self.slots.size + PADDING), np.float32)

    def signs(self) -> np.ndarray:
        """Current symbols [values] int8: -1, +1, and 0 where no occupied voxel touches."""
        return torch.where(self.theta.detach() >= 0, self.coded, -self.coded).cpu().numpy()

    def codes(self) -> np.ndarray:
        """The symbols as they are now, as the compiled loops read them: uint8, in one array that the next call overwrites.

        Nothing tells whether theta has changed (fused optimisers leave torch's version counter alone): see `unchanged`.
        """
        if not self._packed:
            in_parts(THREADS, self._pack_share)
            self._packed = self._lasting
        return self._codes

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Promises that theta stays as it is: within, the symbols are packed once."""
        self._lasting = True
        try:
            yield
        finally:
            self._lasting = self._packed = False

    def _pack_share(self, thread: int, *_: int) -> None:
        """A thread's share of the slots of every table."""
        _pack(self.theta.detach().numpy(), self.coded.numpy(), self.parts, *self._slots, thread, self._codes)

    def gradient(self, theta: Tensor) -> Tensor:
        """The gradient of `theta` [values] from what the threads have added to `partial`: straight through where |theta| <= 1 and
        the value is coded."""
        out = torch.empty_like(theta)
        _collect(theta.detach().numpy(), self.coded.numpy(), self.partial, out.numpy())
        return out

    def parts_of(self, tables: Sequence[int]) -> np.ndarray:
        """The rows of `parts` that belong to some tables."""
        chosen = tuple(tables)
        if chosen not in self._chosen:
            self._chosen[chosen] = self.parts[np.isin(self._owners, chosen)]
        return self._chosen[chosen]

    def first_part(self, table: int) -> int:
        """The first row of `parts` that belongs to a table."""
        return int(np.searchsorted(self._owners, table))

    def set_coded(self, layouts: Sequence) -> None:
        """Keep only the entries of these `TableLayout`s; all others read 0."""
        coded = np.zeros(len(self.theta), np.int8)
        for index, layout in enumerate(layouts):
            coded[self.slots.indices(index, layout.entries)] = 1
        self.coded.copy_(torch.from_numpy(coded))

    def tables(self) -> tuple[np.ndarray, ...]:
        """The symbols as the codec wants them: per table [entries, features] int8."""
        return self.slots.tables(self.signs())

    def load_tables(self, tables: Sequence[np.ndarray]) -> None:
        """Take decoded symbols over: theta becomes the symbol itself."""
        symbols = torch.from_numpy(self.slots.flat(tables))
        with torch.no_grad():
            self.theta.copy_(symbols)
        self.coded.copy_((symbols != 0).to(torch.int8))

    def encode(self, positions: Tensor, tables: Sequence[int]) -> Tensor:
        """Interpolated features [S, sum of the tables' features] float32 at positions [S, 3] float32 in [0, 1].

        Differentiable with respect to `theta`.
        """
        if compiled(self.theta):
            return _EncodeCPU.apply(self.theta, positions, self, self.parts_of(tables))
        if fused(self.theta):
            from nerfsem_method.training.loops import cuda

            return cuda.encode(self, positions, tables)
        return self.encode_plain(positions, tables)

    def encode_plain(self, positions: Tensor, tables: Sequence[int]) -> Tensor:
        """`encode` in plain torch, on any device."""
        signs = functional.pad(SignSTE.apply(self.theta) * self.coded, (0, PADDING))
        none = positions.new_zeros(len(positions), 0)
        return torch.cat([none, *(self._lookup(signs, positions, table) for table in tables)], 1)

    def _lookup(self, signs: Tensor, positions: Tensor, index: int) -> Tensor:
        """`signs` [values + PADDING] at positions [S, 3] to [S, features] of one table."""
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
        first_entry = int(self.parts[self._owners == index][0, FIRST_ENTRY])
        firsts = self.places[first_entry + entries].long()
        values = firsts[..., None] + torch.arange(table.features, device=positions.device)  # [S, 2^d, F]
        found = signs.index_select(0, values.flatten()).view(values.shape)
        return (found * weights[..., None]).sum(1)
