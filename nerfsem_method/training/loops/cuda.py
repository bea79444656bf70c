"""The field's loops on CUDA, in Triton: look-up, marching, and sums along rays, each with its gradient in one launch.

What they compute is what the compiled CPU loops compute: `lookup` and `scatter`, `kernels.march_rays`, and `render`, which
hold the formulas. Marching does the same roundings in the same order, so that samples lie in the same places. Without a GPU
Triton's interpreter runs them (TRITON_INTERPRET=1); that is how tests compare.
"""

# What kernels say is read by another compiler.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportOperatorIssue=false

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from nerfsem_method.field.hashing import PRIMES
from nerfsem_method.raycast.lookup import FEATURES
from nerfsem_method.raycast.marching import FEWEST_OPAQUE, SKIPPED

if TYPE_CHECKING:
    from nerfsem_method.training.encoding import BinaryGrids
    from nerfsem_method.training.march import Samples

POINTS = 128
"""Samples that one program looks up."""
RAYS = 32
"""Rays that one program follows: a warp, of which each thread has a ray."""

MARCHING = {"num_warps": 1, "enable_fp_fusion": False}
"""How marching is compiled: no product may melt into a sum, or samples would lie in other places than on the CPU."""

_Y, _Z = tl.constexpr(PRIMES[1]), tl.constexpr(PRIMES[2])
_COLUMNS = tl.constexpr(12)
"""Numbers a part of a table is described by: those of `lookup.table_parts`, and its first column of the output."""


@triton.jit
def _place(positions, sample, there, axis, resolution):
    """Lower vertex and fraction along one axis; the last cell is closed."""
    scaled = tl.load(positions + 3 * sample + axis, mask=there, other=0.0) * resolution.to(tl.float32)
    base = tl.minimum(tl.maximum(scaled.to(tl.int32), 0), resolution.to(tl.int32) - 1)
    return base.to(tl.int64), tl.minimum(tl.maximum(scaled - base.to(tl.float32), 0.0), 1.0)


@triton.jit
def _look_up(
    positions, parts, places, theta, coded, values, gradient, count, columns, size, BACKWARD: tl.constexpr, POINTS: tl.constexpr
):
    """Features of one part of a table at some points; or, of their gradient, that of theta."""
    sample = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    there = sample < count
    row = parts + tl.program_id(1) * _COLUMNS
    dimensions, resolution, features = tl.load(row + 3), tl.load(row + 4), tl.load(row + 5)
    entries, hashed = tl.load(row + 6), tl.load(row + 7)
    first_entry, first_feature, column = tl.load(row + 9), tl.load(row + 10), tl.load(row + 11)
    x, fx = _place(positions, sample, there, tl.load(row), resolution)
    y, fy = _place(positions, sample, there, tl.load(row + 1), resolution)
    z, fz = _place(positions, sample, there, tl.load(row + 2), resolution)
    if dimensions == 2:
        z, fz = z * 0, fz * 0
    side = resolution + 1
    feature = tl.arange(0, 8)
    chosen = there[:, None] & (feature < features)[None, :]
    output = values + sample[:, None] * columns + (column + feature)[None, :]
    given = tl.load(output, mask=chosen, other=0.0) if BACKWARD else tl.zeros([POINTS, 8], tl.float32)
    for corner in range(0, 1 << dimensions):
        dx, dy = corner >> (dimensions - 1), (corner >> (dimensions - 2)) & 1
        dz = (corner & 1) * (dimensions - 2)
        u, v, w = x + dx, y + dy, z + dz
        weight = tl.where(dx > 0, fx, 1 - fx) * tl.where(dy > 0, fy, 1 - fy) * tl.where(dz > 0, fz, 1 - fz)
        entry = (u * side + v) * side + w if dimensions == 3 else u * side + v
        if hashed > 0:
            entry = (u ^ (v * _Y) ^ (w * _Z)) % entries
        first = tl.load(places + first_entry + entry, mask=there, other=size).to(tl.int64) + first_feature
        place = first[:, None] + feature[None, :]
        known = chosen & (place < size)
        real = tl.load(theta + place, mask=known, other=0.0)
        found = tl.load(coded + place, mask=known, other=0).to(tl.float32)
        if BACKWARD:  # straight through where |theta| <= 1
            passed = known & (found > 0) & (tl.abs(real) <= 1)
            tl.atomic_add(gradient + place, weight[:, None] * given, mask=passed, sem="relaxed")
        else:
            given += weight[:, None] * tl.where(real >= 0, found, -found)
    if not BACKWARD:
        tl.store(output, given, mask=chosen)


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, theta, positions, coded, places, parts, columns):
        out = positions.new_empty(len(positions), columns)
        ctx.save_for_backward(theta, positions, coded, places, parts)
        _launch_look_up(positions, parts, places, theta, coded, out, out, BACKWARD=False)
        return out

    @staticmethod
    def backward(ctx, gradient):
        theta, positions, coded, places, parts = ctx.saved_tensors
        out = torch.zeros_like(theta)
        _launch_look_up(positions, parts, places, theta, coded, gradient.contiguous(), out, BACKWARD=True)
        return out, None, None, None, None, None


def _launch_look_up(positions, parts, places, theta, coded, values, gradient, **options) -> None:
    grid = (triton.cdiv(len(positions), POINTS), len(parts))
    if grid[0] and grid[1]:
        sizes = len(positions), values.shape[1], len(theta)
        _look_up[grid](positions, parts, places, theta, coded, values, gradient, *sizes, **options, POINTS=POINTS)


def encode(grids: BinaryGrids, positions: Tensor, tables: Sequence[int]) -> Tensor:
    """`BinaryGrids.encode`."""
    chosen = grids.parts_of(tables)
    if not len(chosen):
        return positions.new_empty(len(positions), 0)
    parts = _described(chosen.tobytes(), len(chosen), positions.device)
    given = positions.contiguous(), grids.coded, grids.places, parts
    return _Encode.apply(grids.theta, *given, int(chosen[:, FEATURES].sum()))


@lru_cache(maxsize=64)
def _described(parts: bytes, count: int, device: torch.device) -> Tensor:
    """Rows of `lookup.table_parts`, and the column of the output at which each begins, on a device."""
    rows = np.frombuffer(parts, np.int64).reshape(count, -1)
    columns = rows[:, FEATURES].cumsum() - rows[:, FEATURES]
    return torch.from_numpy(np.column_stack([rows, columns])).to(device)


@triton.jit
def _span(origins, directions, ray, there):
    """Entry and exit distance of rays and the unit cube; entry > exit: no hit."""
    near, far = tl.zeros_like(ray).to(tl.float32), tl.zeros_like(ray).to(tl.float32) + 1e9
    for axis in tl.static_range(3):
        origin = tl.load(origins + 3 * ray + axis, mask=there, other=0.0)
        direction = tl.load(directions + 3 * ray + axis, mask=there, other=1.0)
        along = tl.abs(direction) < 1e-9
        safe = tl.where(along, 1.0, direction)
        a, b = tl.div_rn(0.0 - origin, safe), tl.div_rn(1.0 - origin, safe)
        outside = (origin < 0) | (origin > 1)
        near = tl.where(along, near, tl.maximum(near, tl.minimum(a, b)))
        far = tl.where(along, tl.where(outside, -1.0, far), tl.minimum(far, tl.maximum(a, b)))
    return near, far


@triton.jit
def _voxel(origin, direction, distance, side):
    """The voxel along one axis in which a point of a ray lies."""
    inside = ((origin + distance * direction) * side.to(tl.float32)).to(tl.int32)
    return tl.minimum(tl.maximum(inside, 0), side - 1)


@triton.jit
def _march(
    origins, directions, offsets, empty, density, starts, rays, distances, positions,
    count, side, step, skip, thickest, limit,
    ENDS: tl.constexpr, WRITE: tl.constexpr, RAYS: tl.constexpr,
):  # fmt: skip
    """Samples of rays: counted into starts[1:], or, when these are known, written."""
    ray = tl.program_id(0).to(tl.int64) * RAYS + tl.arange(0, RAYS)
    there = ray < count
    near, far = _span(origins, directions, ray, there)
    ox, dx = tl.load(origins + 3 * ray, mask=there, other=0.0), tl.load(directions + 3 * ray, mask=there, other=1.0)
    oy, dy = tl.load(origins + 3 * ray + 1, mask=there, other=0.0), tl.load(directions + 3 * ray + 1, mask=there, other=1.0)
    oz, dz = tl.load(origins + 3 * ray + 2, mask=there, other=0.0), tl.load(directions + 3 * ray + 2, mask=there, other=1.0)
    offset = tl.load(offsets + ray, mask=there, other=0.0)
    found = tl.zeros([RAYS], tl.int64)
    if WRITE:
        found = tl.load(starts + ray, mask=there, other=0)
    k, depth = tl.zeros([RAYS], tl.int64), tl.zeros([RAYS], tl.float64)
    distance = near + offset * step
    going = there & (distance < far)
    while tl.max(going.to(tl.int32), 0) > 0:
        k += 1
        x, y, z = _voxel(ox, dx, distance, side), _voxel(oy, dy, distance, side), _voxel(oz, dz, distance, side)
        voxel = (x * side + y) * side + z
        away = tl.load(empty + voxel, mask=going, other=0).to(tl.int32)
        taken = going & (away == 0)
        if WRITE:
            tl.store(rays + found, ray, mask=taken)
            tl.store(distances + found, distance, mask=taken)
            tl.store(positions + 3 * found, tl.minimum(tl.maximum(ox + distance * dx, 0.0), 1.0), mask=taken)
            tl.store(positions + 3 * found + 1, tl.minimum(tl.maximum(oy + distance * dy, 0.0), 1.0), mask=taken)
            tl.store(positions + 3 * found + 2, tl.minimum(tl.maximum(oz + distance * dz, 0.0), 1.0), mask=taken)
        found += taken.to(tl.int64)
        if ENDS:
            optical = tl.load(density + voxel, mask=taken, other=0.0) * step
            depth += tl.minimum(optical, thickest).to(tl.float64)
        k += tl.where(away > 0, ((away - 1).to(tl.float32) * skip).to(tl.int64), 0)
        distance = near + (k.to(tl.float32) + offset) * step
        going = going & (distance < far) & (depth <= limit)
    if not WRITE:
        tl.store(starts + 1 + ray, found, mask=there)


def march(
    origins: Tensor, directions: Tensor, empty: Tensor, density: Tensor | None, step: float, offsets: Tensor, limit: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """starts, rays, distances and positions of `march.Samples`, for the arguments of `march.march`; a ray ends at the optical
    depth `limit`. Asks the device once: how many samples there are."""
    count, side = len(origins), empty.shape[0]
    starts = torch.zeros(count + 1, dtype=torch.int64, device=origins.device)
    single = np.float32(step)
    skip = SKIPPED / (np.float32(side) * single)
    space = empty, origins if density is None else density
    given = origins.contiguous(), directions.contiguous(), offsets, *space
    rest = count, side, float(single), float(skip), limit / FEWEST_OPAQUE, limit

    def follow(*out: Tensor, write: bool) -> None:
        grid = (triton.cdiv(count, RAYS),)
        if count:
            _march[grid](*given, starts, *out, *rest, ENDS=density is not None, WRITE=write, RAYS=RAYS, **MARCHING)

    follow(starts, origins, origins, write=False)
    starts = starts.cumsum(0)
    total = int(starts[-1])
    rays = torch.empty(total, dtype=torch.int64, device=origins.device)
    distances, positions = origins.new_empty(total), origins.new_empty(total, 3)
    follow(rays, distances, positions, write=True)
    return starts, rays, distances, positions


@triton.jit
def _own_samples(starts, count, RAYS: tl.constexpr):
    """A program's rays, which of them there are, where the samples of each begin, and how many there are."""
    ray = tl.program_id(0).to(tl.int64) * RAYS + tl.arange(0, RAYS)
    there = ray < count
    start = tl.load(starts + ray, mask=there, other=0)
    return ray, there, start, tl.load(starts + 1 + ray, mask=there, other=0) - start


@triton.jit
def _accumulate(
    density, values, distances, starts, weights, summed, distortion, count, channels, step,
    RAYS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """As `render._accumulate`; each ray's own part of the distortion."""
    ray, there, start, number = _own_samples(starts, count, RAYS)
    channel = tl.arange(0, CHANNELS)
    used = (channel < channels)[None, :]
    light, total = tl.zeros([RAYS], tl.float32) + 1, tl.zeros([RAYS, CHANNELS], tl.float32)
    before, before_depth = tl.zeros([RAYS], tl.float64), tl.zeros([RAYS], tl.float64)
    spread = tl.zeros([RAYS], tl.float64)
    for k in range(0, tl.max(number, 0)):
        at, going = start + k, there & (k < number)
        left = tl.exp(-tl.load(density + at, mask=going, other=0.0) * step)
        weight, distance = light * (1 - left), tl.load(distances + at, mask=going, other=0.0)
        light *= left
        tl.store(weights + at, weight, mask=going)
        value = tl.load(values + at[:, None] * channels + channel[None, :], mask=going[:, None] & used, other=0.0)
        total += weight[:, None] * value
        w, t = weight.to(tl.float64), distance.to(tl.float64)
        spread += 2 * w * (t * before - before_depth) + w * w * step / 3
        before += w
        before_depth += w * t
    row = summed + ray * (channels + 2)
    tl.store(row[:, None] + channel[None, :], total, mask=there[:, None] & used)
    tl.store(row + channels, before.to(tl.float32), mask=there)
    tl.store(row + channels + 1, before_depth.to(tl.float32), mask=there)
    tl.store(distortion + ray, spread, mask=there)


@triton.jit
def _accumulate_backward(
    values, weights, distances, starts, d_summed, d_distortion, d_density, d_values, count, channels, step,
    RAYS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """As `render._accumulate_backward`; d_distortion is that of each ray's part."""
    ray, there, start, number = _own_samples(starts, count, RAYS)
    longest = tl.max(number, 0)
    channel = tl.arange(0, CHANNELS)
    used = (channel < channels)[None, :]
    row = d_summed + ray * (channels + 2)
    given = tl.load(row[:, None] + channel[None, :], mask=there[:, None] & used, other=0.0)
    given_light = tl.load(row + channels, mask=there, other=0.0).to(tl.float64)
    given_depth = tl.load(row + channels + 1, mask=there, other=0.0).to(tl.float64)
    pull = tl.load(d_distortion).to(tl.float64)
    before, before_depth = tl.zeros([RAYS], tl.float64), tl.zeros([RAYS], tl.float64)
    for k in range(0, longest):
        at, going = start + k, there & (k < number)
        weight = tl.load(weights + at, mask=going, other=0.0).to(tl.float64)
        before += weight
        before_depth += weight * tl.load(distances + at, mask=going, other=0.0).to(tl.float64)
    after, after_depth = tl.zeros([RAYS], tl.float64), tl.zeros([RAYS], tl.float64)
    behind = tl.zeros([RAYS], tl.float64)
    for k in range(0, longest):
        at, going = start + number - 1 - k, there & (k < number)
        weight = tl.load(weights + at, mask=going, other=0.0).to(tl.float64)
        distance = tl.load(distances + at, mask=going, other=0.0).to(tl.float64)
        light = 1 - before
        before -= weight
        before_depth -= weight * distance
        spread = distance * (before - after) - before_depth + after_depth + weight * step / 3
        place, mask = at[:, None] * channels + channel[None, :], going[:, None] & used
        value = tl.load(values + place, mask=mask, other=0.0)
        tl.store(d_values + place, weight.to(tl.float32)[:, None] * given, mask=mask)
        d_weight = given_light + distance * given_depth + 2 * pull * spread + tl.sum(value * given, 1).to(tl.float64)
        tl.store(d_density + at, (step * (light * d_weight - behind)).to(tl.float32), mask=going)
        behind += weight * d_weight
        after += weight
        after_depth += weight * distance


class _Accumulate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, density, values, starts, distances, step):
        values, count = values.contiguous(), len(starts) - 1
        weights, summed = torch.empty_like(density), values.new_empty(count, values.shape[1] + 2)
        distortion = torch.empty(count, dtype=torch.float64, device=values.device)
        given = density.contiguous(), values, distances, starts, weights, summed, distortion
        _launch_sums(_accumulate, values, starts, step, *given)
        ctx.save_for_backward(values, weights, starts, distances)
        ctx.step = step
        ctx.mark_non_differentiable(weights)
        return summed, weights, (distortion.sum() / count).float()

    @staticmethod
    def backward(ctx, d_summed, _, d_distortion):
        values, weights, starts, distances = ctx.saved_tensors
        d_density, d_values = torch.empty_like(weights), torch.empty_like(values)
        gradients = d_summed.contiguous(), d_distortion / (len(starts) - 1), d_density, d_values
        _launch_sums(_accumulate_backward, values, starts, ctx.step, values, weights, distances, starts, *gradients)
        return d_density, d_values, None, None, None


def _launch_sums(kernel, values: Tensor, starts: Tensor, step: float, *given: Tensor) -> None:
    count, channels = len(starts) - 1, values.shape[1]
    if count:
        sizes = dict(RAYS=RAYS, CHANNELS=triton.next_power_of_2(channels), num_warps=1)
        kernel[(triton.cdiv(count, RAYS),)](*given, count, channels, step, **sizes)


def accumulate(density: Tensor, values: Tensor, samples: Samples) -> tuple[Tensor, Tensor, Tensor]:
    """`render.accumulate`."""
    return _Accumulate.apply(density, values, samples.starts, samples.distances, samples.step)
