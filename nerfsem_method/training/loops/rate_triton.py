"""The rate estimate of dense tables on CUDA, in Triton, with its gradient: each in one launch. `rate_cpu` computes the same."""

# Another compiler reads what the kernels say.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportOperatorIssue=false

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from nerfsem_method.training.loops.encode_triton import (
    PART_COLUMN,
    PART_FEATURES,
    PART_ROW,
    field_of,
    look_up_part,
    part_rows,
)
from nerfsem_method.training.loops.rate_cpu import MOST_AROUND, TABLE

ENTRIES = 64
"""One program estimates the bits of so many entries of a table."""
_LANES = tl.constexpr(16)
"""Products of matrices want sides of 16 at least: a part of a table, or a feature vector, fills some of these columns."""

_BITS = tl.constexpr(1 / math.log(2))

# On the device a table is a row of TABLE, followed by the number of entries drawn and that of those drawn before it.
_FIRST, _STOP, _FEATURES = field_of(TABLE, "first"), field_of(TABLE, "stop"), field_of(TABLE, "features")
_FIRST_PART, _STOP_PART = field_of(TABLE, "first_part"), field_of(TABLE, "stop_part")
_OTHERS, _NET = field_of(TABLE, "others"), field_of(TABLE, "net")
_WIDTH, _INPUTS = field_of(TABLE, "width"), field_of(TABLE, "inputs")
_AXES, _DIMENSIONS, _RESOLUTION = field_of(TABLE, "axes"), field_of(TABLE, "dimensions"), field_of(TABLE, "resolution")
_FIRST_ENTRY, _AROUND = field_of(TABLE, "first_entry"), field_of(TABLE, "around")
_MOST_AROUND = tl.constexpr(MOST_AROUND)
_NEAR, _EARLIER = tl.constexpr(2), tl.constexpr(2 + MOST_AROUND)
_DRAWN, _BEFORE = tl.constexpr(TABLE.itemsize // 8), tl.constexpr(TABLE.itemsize // 8 + 1)
_ROW = tl.constexpr(TABLE.itemsize // 8 + 2)


class DenseContexts(NamedTuple):
    """What the contexts of dense tables read that stays as it is from step to step.

    Attributes:
        rows, parts: [tables] TABLE and [parts] PART, on the host; the nets lie in the flat array without padding.
        positions: float32 [E, 3], the vertices of all coded entries in the unit cube, table after table.
        firsts: int64 [E], where in theta an entry's first value lies.
        others: float32 [E, C], the values of its context that no look-up gives.
        around: int64 [tables, MOST_AROUND, 3], the offsets at which the coder looks for neighbours.
        mixing: float32 [tables, F, 2 + MOST_AROUND + F], see `neighbours.unlearnt`.
    """

    rows: np.ndarray
    parts: np.ndarray
    positions: Tensor
    firsts: Tensor
    others: Tensor
    around: Tensor
    mixing: Tensor


@triton.jit
def _draw(row, number, chances):
    """Return the entries that were drawn with these numbers, as `drawn.spread` does, and what one of them counts."""
    first, drawn = tl.load(row + _FIRST), tl.load(row + _DRAWN)
    count = tl.load(row + _STOP) - first
    chance = tl.load(chances + tl.load(row + _BEFORE) + number, mask=number < drawn, other=0.0)
    stretch = count.to(tl.float64) / drawn.to(tl.float64)
    picked = tl.minimum(((number.to(tl.float64) + chance) * stretch).to(tl.int64), count - 1)
    return first + tl.where(drawn == count, number, picked), stretch.to(tl.float32) * _BITS


@triton.jit
def _into_hidden(x, weights, count, width, inputs, lane, unit):
    """Return what `count` inputs x [entries, LANES] add to the hidden units; `weights` points to those of the first input."""
    there = (lane < count)[:, None] & (unit < width)[None, :]
    weight = tl.load(weights + unit[None, :] * inputs + lane[:, None], mask=there, other=0.0)
    return tl.dot(x, weight, input_precision="ieee")


@triton.jit
def _out_of_hidden(x, d_hidden, weights, gradient, count, width, inputs, lane, unit):
    """Add the gradient of the weights of `count` inputs x, and return that of x [entries, LANES]."""
    there = (lane < count)[:, None] & (unit < width)[None, :]
    at = unit[None, :] * inputs + lane[:, None]
    weight = tl.load(weights + at, mask=there, other=0.0)
    tl.atomic_add(gradient + at, tl.dot(tl.trans(x), d_hidden, input_precision="ieee"), mask=there, sem="relaxed")
    return tl.dot(d_hidden, tl.trans(weight), input_precision="ieee")


@triton.jit
def _vertex(positions, entry, there, row, axis, offset):
    """Return where neighbours of entries lie along an axis of their table, and which of them lie within it."""
    resolution = tl.load(row + _RESOLUTION)
    place = tl.load(positions + 3 * entry + tl.load(row + _AXES + axis), mask=there, other=0.0) * resolution.to(tl.float32)
    vertex = (place + 0.5).to(tl.int64) + tl.load(offset + axis)
    return vertex, there & (vertex >= 0) & (vertex <= resolution)


@triton.jit
def _near(positions, entry, there, row, offset, offsets, coded, size):
    """Return where in theta the first values of the neighbours at an offset lie, and which of these are coded."""
    side = tl.load(row + _RESOLUTION) + 1
    x, there = _vertex(positions, entry, there, row, 0, offset)
    y, there = _vertex(positions, entry, there, row, 1, offset)
    number = x * side + y
    if tl.load(row + _DIMENSIONS) == 3:
        z, there = _vertex(positions, entry, there, row, 2, offset)
        number = number * side + z
    first = tl.load(offsets + tl.load(row + _FIRST_ENTRY) + number, mask=there, other=size).to(tl.int64)
    there &= first < size
    return first, there & (tl.load(coded + first, mask=there, other=0) != 0)


@triton.jit
def _mix(logit, weights, row_of, positions, entry, there, first, row, around, offsets, theta, coded, gradient, size,
         BACKWARD: tl.constexpr):  # fmt: skip
    """Return the coder's logits [entries, LANES] for the context model's; or add the gradient of the signs around.

    `weights` points to those of the table, of which each feature has a row of `row_of`. When BACKWARD, `logit` is the gradient
    of the coder's logits.
    """
    lane, features = tl.arange(0, _LANES), tl.load(row + _FEATURES)
    own, real_lane = weights + lane * row_of, lane < features
    mixed = logit
    if not BACKWARD:
        scale, constant = tl.load(own, mask=real_lane, other=0.0), tl.load(own + 1, mask=real_lane, other=0.0)
        mixed = logit * scale[None, :] + constant[None, :]
    for n in range(0, tl.load(row + _AROUND)):
        value, known = _near(positions, entry, there, row, around + 3 * n, offsets, coded, size)
        value, known = value[:, None] + lane[None, :], known[:, None] & real_lane[None, :]
        real, weight = tl.load(theta + value, mask=known, other=0.0), tl.load(own + _NEAR + n, mask=real_lane, other=0.0)[None, :]
        if BACKWARD:
            tl.atomic_add(gradient + value, logit * weight, mask=known & (tl.abs(real) <= 1), sem="relaxed")
        else:
            mixed += tl.where(known, tl.where(real >= 0, weight, -weight), 0.0)
    for g in range(0, features):
        real, later = tl.load(theta + first + g, mask=there, other=0.0), real_lane & (lane > g)
        weight = tl.load(own + _EARLIER + g, mask=later, other=0.0)[None, :]
        if BACKWARD:
            tl.atomic_add(gradient + first + g, tl.sum(logit * weight, 1), mask=there & (tl.abs(real) <= 1), sem="relaxed")
        else:
            mixed += tl.where((real >= 0)[:, None], weight, -weight)
    return mixed


@triton.jit
def _rate(
    programs, rows, parts, positions, firsts, others, arounds, mixings, theta, nets, chances, coded, offsets, bits, gradient,
    d_nets, columns, most, size, BACKWARD: tl.constexpr, ENTRIES: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Write the bits of a program's entries, scaled up; or add the gradients of theta and the nets.

    When BACKWARD, `bits` is one number, the gradient of the sum of all programs' bits.
    """
    program = programs + 2 * tl.program_id(0)
    table, number = tl.load(program), tl.load(program + 1) + tl.arange(0, ENTRIES)
    row, around, row_of = rows + table * _ROW, arounds + table * 3 * _MOST_AROUND, _EARLIER + most
    mixing = mixings + table * most * row_of
    there = number < tl.load(row + _DRAWN)
    entry, scale = _draw(row, number, chances)
    features, width, inputs, own = tl.load(row + _FEATURES), tl.load(row + _WIDTH), tl.load(row + _INPUTS), tl.load(row + _OTHERS)
    weight0, bias0 = tl.load(row + _NET), tl.load(row + _NET + 1)
    weight1, bias1 = tl.load(row + _NET + 2), tl.load(row + _NET + 3)
    first_part, stop_part = tl.load(row + _FIRST_PART), tl.load(row + _STOP_PART)
    first_column = tl.load(parts + first_part * PART_ROW + PART_COLUMN)
    lane, unit = tl.arange(0, _LANES), tl.arange(0, WIDTH)
    nothing = tl.zeros([ENTRIES, _LANES], tl.float32)

    real_unit = unit < width
    hidden = tl.zeros([ENTRIES, WIDTH], tl.float32) + tl.load(nets + bias0 + unit, mask=real_unit, other=0.0)[None, :]
    for p in range(first_part, stop_part):
        part = parts + p * PART_ROW
        weights = nets + weight0 + tl.load(part + PART_COLUMN) - first_column
        x = look_up_part(positions, entry, there, part, offsets, theta, coded, nothing, gradient, size, False, _LANES)
        hidden += _into_hidden(x, weights, tl.load(part + PART_FEATURES), width, inputs, lane, unit)
    other = tl.load(others + entry[:, None] * columns + lane[None, :], mask=there[:, None] & (lane < own)[None, :], other=0.0)
    last = weight0 + inputs - own
    hidden += _into_hidden(other, nets + last, own, width, inputs, lane, unit)
    hidden = tl.maximum(hidden, 0.0)

    real_lane = lane < features
    at, mask = lane[:, None] * width + unit[None, :], real_lane[:, None] & real_unit[None, :]
    second = tl.load(nets + weight1 + at, mask=mask, other=0.0)
    bias = tl.load(nets + bias1 + lane, mask=real_lane, other=0.0)
    logit = tl.dot(hidden, tl.trans(second), input_precision="ieee") + bias[None, :]
    first = tl.load(firsts + entry, mask=there, other=0)
    logit = _mix(
        logit, mixing, row_of, positions, entry, there, first, row, around, offsets, theta, coded, gradient, size, False
    )
    value = first[:, None] + lane[None, :]
    chosen = there[:, None] & real_lane[None, :]
    real = tl.load(theta + value, mask=chosen, other=0.0)
    plus, small = tl.where(real >= 0, 1.0, 0.0), tl.exp(-tl.abs(logit))
    if not BACKWARD:
        nats = tl.maximum(logit, 0.0) - logit * plus + tl.log(1 + small)
        tl.store(bits + tl.program_id(0), tl.sum(tl.sum(tl.where(chosen, nats, 0.0), 1), 0) * scale)
    else:
        scale *= tl.load(bits)
        tl.atomic_add(gradient + value, logit * (-0.5 * scale), mask=chosen & (tl.abs(real) <= 1), sem="relaxed")
        d_logit = tl.where(chosen, (tl.where(logit >= 0, 1.0, small) / (1 + small) - plus) * scale, 0.0)
        _mix(d_logit, mixing, row_of, positions, entry, there, first, row, around, offsets, theta, coded, gradient, size, True)
        d_logit *= tl.load(mixing + lane * row_of, mask=real_lane, other=0.0)[None, :]
        tl.atomic_add(d_nets + weight1 + at, tl.dot(tl.trans(d_logit), hidden, input_precision="ieee"), mask=mask, sem="relaxed")
        tl.atomic_add(d_nets + bias1 + lane, tl.sum(d_logit, 0), mask=real_lane, sem="relaxed")
        d_hidden = tl.where(hidden > 0, tl.dot(d_logit, second, input_precision="ieee"), 0.0)
        tl.atomic_add(d_nets + bias0 + unit, tl.sum(d_hidden, 0), mask=real_unit, sem="relaxed")
        _out_of_hidden(other, d_hidden, nets + last, d_nets + last, own, width, inputs, lane, unit)
        for p in range(first_part, stop_part):
            part = parts + p * PART_ROW
            begin, count = weight0 + tl.load(part + PART_COLUMN) - first_column, tl.load(part + PART_FEATURES)
            x = look_up_part(positions, entry, there, part, offsets, theta, coded, nothing, gradient, size, False, _LANES)
            d_x = _out_of_hidden(x, d_hidden, nets + begin, d_nets + begin, count, width, inputs, lane, unit)
            look_up_part(positions, entry, there, part, offsets, theta, coded, d_x, gradient, size, True, _LANES)


class _Bits(torch.autograd.Function):
    @staticmethod
    def forward(ctx, theta, nets, chances, coded, offsets, contexts, drawn):
        given = theta, nets, chances, coded, offsets
        ctx.save_for_backward(*given)
        ctx.given = contexts, drawn
        out = theta.new_empty(sum(triton.cdiv(count, ENTRIES) for count in drawn))
        _launch(*ctx.given, given, out, out, out, BACKWARD=False)
        return out.sum()

    @staticmethod
    def backward(ctx, gradient):
        theta, nets, *_ = ctx.saved_tensors
        d_theta, d_nets = torch.zeros_like(theta), torch.zeros_like(nets)
        _launch(*ctx.given, ctx.saved_tensors, gradient, d_theta, d_nets, BACKWARD=True)
        return d_theta, d_nets, None, None, None, None, None


def _launch(contexts, drawn, tensors, bits, gradient, d_nets, **options) -> None:
    theta = tensors[0]
    programs, rows = _tables(contexts.rows.tobytes(), drawn, theta.device)
    if len(programs):
        parts = part_rows(contexts.parts.tobytes(), theta.device)
        fixed = programs, rows, parts, *contexts[2:]
        sizes = contexts.others.shape[1], contexts.mixing.shape[1], len(theta)
        width = max(16, triton.next_power_of_2(int(contexts.rows["width"].max())))
        _rate[(len(programs),)](*fixed, *tensors, bits, gradient, d_nets, *sizes, **options, ENTRIES=ENTRIES, WIDTH=width)


def bits(
    theta: Tensor, nets: Tensor, chances: Tensor, coded: Tensor, offsets: Tensor, contexts: DenseContexts, drawn: Sequence[int]
) -> Tensor:
    """Return the bits of dense tables, estimated from `drawn` entries of each; differentiable with respect to theta and nets.

    Args:
        theta, coded, offsets: as in `encode_triton`.
        nets: all context models on the codec's grid, flat.
        chances: float64, a number in [0, 1) for each drawn entry, table after table, which `drawn.spread` explains.
    """
    return _Bits.apply(theta, nets, chances, coded, offsets, contexts, tuple(drawn))


@lru_cache(maxsize=8)
def _tables(rows: bytes, drawn: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return per program the number of its table and of the first entry drawn there, and the tables' rows."""
    counts = np.array(drawn, np.int64)
    programs = [(table, begin) for table, count in enumerate(drawn) for begin in range(0, count, ENTRIES)]
    integers = np.frombuffer(rows, np.int64).reshape(len(drawn), -1)
    table_rows = np.column_stack([integers, counts, counts.cumsum() - counts])
    return torch.tensor(programs, dtype=torch.int64, device=device).view(-1, 2), torch.from_numpy(table_rows).to(device)


VARIANTS = [(_rate, {"BACKWARD": backward, "ENTRIES": ENTRIES, "WIDTH": 16}, {}) for backward in (False, True)]
"""The kernels with their constants and compile options: a test compiles them where there is no GPU."""
