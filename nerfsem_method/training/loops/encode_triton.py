"""Look-up of binary features on CUDA, in Triton, with its gradient: each in one launch. `encode_cpu` computes the same."""

# Another compiler reads what the kernels say.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportOperatorIssue=false

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from nerfsem_method.field.hashing import PRIMES
from nerfsem_method.raycast.lookup import PART

POINTS = 128
"""One program looks up so many samples."""

_Y, _Z = tl.constexpr(PRIMES[1]), tl.constexpr(PRIMES[2])


def field_of(row: np.dtype, name: str) -> tl.constexpr:
    """Return where a field stands in a row of integers."""
    assert row.fields is not None
    return tl.constexpr(row.fields[name][1] // 8)


# On the device a part of a table is such a row, followed by the column of the output at which the part begins.
_AXES, _DIMENSIONS, _RESOLUTION = field_of(PART, "axes"), field_of(PART, "dimensions"), field_of(PART, "resolution")
PART_FEATURES, _ENTRIES, _HASHED = field_of(PART, "features"), field_of(PART, "entries"), field_of(PART, "hashed")
_FIRST_ENTRY, _FIRST_FEATURE = field_of(PART, "first_entry"), field_of(PART, "first_feature")
PART_COLUMN, PART_ROW = tl.constexpr(PART.itemsize // 8), tl.constexpr(PART.itemsize // 8 + 1)


@triton.jit
def _place(positions, sample, there, axis, resolution):
    """Return the lower vertex and the fraction along one axis; the last cell is closed."""
    scaled = tl.load(positions + 3 * sample + axis, mask=there, other=0.0) * resolution.to(tl.float32)
    base = tl.minimum(tl.maximum(scaled.to(tl.int32), 0), resolution.to(tl.int32) - 1)
    return base.to(tl.int64), tl.minimum(tl.maximum(scaled - base.to(tl.float32), 0.0), 1.0)


@triton.jit
def look_up_part(
    positions, sample, there, row, offsets, theta, coded, given, gradient, size, BACKWARD: tl.constexpr, LANES: tl.constexpr
):
    """Add one part's features at some points to `given` [points, LANES], and return that; or add the gradient of theta.

    `there` tells which points there are, and `row` is the part's. When BACKWARD, `given` is the gradient of the features.
    """
    dimensions, resolution, features = tl.load(row + _DIMENSIONS), tl.load(row + _RESOLUTION), tl.load(row + PART_FEATURES)
    entries, hashed = tl.load(row + _ENTRIES), tl.load(row + _HASHED)
    first_entry, first_feature = tl.load(row + _FIRST_ENTRY), tl.load(row + _FIRST_FEATURE)
    x, fx = _place(positions, sample, there, tl.load(row + _AXES), resolution)
    y, fy = _place(positions, sample, there, tl.load(row + _AXES + 1), resolution)
    z, fz = _place(positions, sample, there, tl.load(row + _AXES + 2), resolution)
    if dimensions == 2:
        z, fz = z * 0, fz * 0
    side = resolution + 1
    feature = tl.arange(0, LANES)
    chosen = there[:, None] & (feature < features)[None, :]
    for corner in range(0, 1 << dimensions):
        dx, dy = corner >> (dimensions - 1), (corner >> (dimensions - 2)) & 1
        dz = (corner & 1) * (dimensions - 2)
        u, v, w = x + dx, y + dy, z + dz
        weight = tl.where(dx > 0, fx, 1 - fx) * tl.where(dy > 0, fy, 1 - fy) * tl.where(dz > 0, fz, 1 - fz)
        entry = (u * side + v) * side + w if dimensions == 3 else u * side + v
        if hashed > 0:
            entry = (u ^ (v * _Y) ^ (w * _Z)) % entries
        first = tl.load(offsets + first_entry + entry, mask=there, other=size).to(tl.int64) + first_feature
        value = first[:, None] + feature[None, :]
        known = chosen & (value < size)
        real = tl.load(theta + value, mask=known, other=0.0)
        found = tl.load(coded + value, mask=known, other=0).to(tl.float32)
        if BACKWARD:  # the gradient passes straight through where |theta| <= 1
            passed = known & (found > 0) & (tl.abs(real) <= 1)
            tl.atomic_add(gradient + value, weight[:, None] * given, mask=passed, sem="relaxed")
        else:
            given += weight[:, None] * tl.where(real >= 0, found, -found)
    return given


@triton.jit
def _look_up(
    positions, parts, offsets, theta, coded, values, gradient, count, columns, size, BACKWARD: tl.constexpr, POINTS: tl.constexpr
):
    """Write the features of one part of a table at some points; or add, of their gradient, that of theta."""
    sample = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    there = sample < count
    row = parts + tl.program_id(1) * PART_ROW
    feature = tl.arange(0, 8)
    chosen = there[:, None] & (feature < tl.load(row + PART_FEATURES))[None, :]
    output = values + sample[:, None] * columns + (tl.load(row + PART_COLUMN) + feature)[None, :]
    given = tl.load(output, mask=chosen, other=0.0) if BACKWARD else tl.zeros([POINTS, 8], tl.float32)
    given = look_up_part(positions, sample, there, row, offsets, theta, coded, given, gradient, size, BACKWARD, 8)
    if not BACKWARD:
        tl.store(output, given, mask=chosen)


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, theta, positions, coded, offsets, parts, columns):
        out = positions.new_empty(len(positions), columns)
        ctx.save_for_backward(theta, positions, coded, offsets, parts)
        _launch(positions, parts, offsets, theta, coded, out, out, BACKWARD=False)
        return out

    @staticmethod
    def backward(ctx, gradient):
        theta, positions, coded, offsets, parts = ctx.saved_tensors
        out = torch.zeros_like(theta)
        _launch(positions, parts, offsets, theta, coded, gradient.contiguous(), out, BACKWARD=True)
        return out, None, None, None, None, None


def _launch(positions, parts, offsets, theta, coded, values, gradient, **options) -> None:
    grid = (triton.cdiv(len(positions), POINTS), len(parts))
    if grid[0] and grid[1]:
        sizes = len(positions), values.shape[1], len(theta)
        _look_up[grid](positions, parts, offsets, theta, coded, values, gradient, *sizes, **options, POINTS=POINTS)


def encode(positions: Tensor, theta: Tensor, coded: Tensor, offsets: Tensor, parts: np.ndarray) -> Tensor:
    """Return the features [S, features] of `parts` [parts] PART at positions [S, 3]; differentiable with respect to theta.

    Args:
        theta, coded: [values] the real parameters, and 1 where a value is coded.
        offsets: int32 [entries], where in theta an entry's first value lies.
    """
    if not len(parts):
        return positions.new_empty(len(positions), 0)
    rows = part_rows(parts.tobytes(), positions.device)
    return _Encode.apply(theta, positions.contiguous(), coded, offsets, rows, int(parts["features"].sum()))


@lru_cache(maxsize=64)
def part_rows(parts: bytes, device: torch.device) -> Tensor:
    """Return the parts as rows of integers, each with the column of the output at which it begins."""
    rows = np.frombuffer(parts, PART)
    columns = rows["features"].cumsum() - rows["features"]
    integers = np.frombuffer(parts, np.int64).reshape(len(rows), -1)
    return torch.from_numpy(np.column_stack([integers, columns])).to(device)


VARIANTS = [(_look_up, {"BACKWARD": backward, "POINTS": POINTS}, {}) for backward in (False, True)]
"""The kernels with their constants and compile options: a test compiles them where there is no GPU."""
