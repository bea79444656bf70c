"""Rays are marched through voxels on CUDA, in Triton: with the roundings of `march_cpu` in the same order, so that samples lie in
the same places."""

# Another compiler reads what the kernels say.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportOperatorIssue=false

from __future__ import annotations

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from nerfsem_method.raycast.marching import SKIPPED
from nerfsem_method.training.loops.march_cpu import FEWEST_OPAQUE

RAYS = 32
"""One program follows so many rays: a warp, of which each thread has a ray."""
COMPILATION = {"num_warps": 1, "enable_fp_fusion": False}
"""No product may melt into a sum, or samples would lie in other places than on the CPU."""


@triton.jit
def _span(origins, directions, ray, there):
    """Return the entry and exit distance of rays and the unit cube; entry > exit: no hit."""
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
def _voxel(x, y, z, side):
    """Return the number of the voxel that holds a point, of side^3."""
    return (_place(x, side) * side + _place(y, side)) * side + _place(z, side)


@triton.jit
def _place(position, side):
    """Return which of `side` voxels along an axis holds a position."""
    return tl.minimum(tl.maximum((position * side.to(tl.float32)).to(tl.int32), 0), side - 1)


@triton.jit
def _march(
    origins, directions, offsets, empty, density, starts, rays, distances, positions,
    count, side, finer, step, skip, thickest, limit,
    ENDS: tl.constexpr, WRITE: tl.constexpr, RAYS: tl.constexpr,
):  # fmt: skip
    """Count the samples of rays into starts[1:], or write them when their numbers are known."""
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
        x, y, z = ox + distance * dx, oy + distance * dy, oz + distance * dz
        away = tl.load(empty + _voxel(x, y, z, side), mask=going, other=0).to(tl.int32)
        taken = going & (away == 0)
        if WRITE:
            tl.store(rays + found, ray, mask=taken)
            tl.store(distances + found, distance, mask=taken)
            tl.store(positions + 3 * found, tl.minimum(tl.maximum(x, 0.0), 1.0), mask=taken)
            tl.store(positions + 3 * found + 1, tl.minimum(tl.maximum(y, 0.0), 1.0), mask=taken)
            tl.store(positions + 3 * found + 2, tl.minimum(tl.maximum(z, 0.0), 1.0), mask=taken)
        found += taken.to(tl.int64)
        if ENDS:
            optical = tl.load(density + _voxel(x, y, z, finer), mask=taken, other=0.0) * step
            depth += tl.minimum(optical, thickest).to(tl.float64)
        k += tl.where(away > 0, ((away - 1).to(tl.float32) * skip).to(tl.int64), 0)
        distance = near + (k.to(tl.float32) + offset) * step
        going = going & (distance < far) & (depth <= limit)
    if not WRITE:
        tl.store(starts + 1 + ray, found, mask=there)


def march(
    origins: Tensor, directions: Tensor, empty: Tensor, density: Tensor | None, step: float, offsets: Tensor, limit: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return starts, rays, distances and positions of `training.march.Samples`, for the arguments of `training.march.march`.

    A ray ends at the optical depth `limit`. The device is asked once: how many samples there are.
    """
    count, side, finer = len(origins), empty.shape[0], 0 if density is None else density.shape[0]
    starts = torch.zeros(count + 1, dtype=torch.int64, device=origins.device)
    single = np.float32(step)
    skip = SKIPPED / (np.float32(side) * single)
    space = empty, origins if density is None else density
    given = origins.contiguous(), directions.contiguous(), offsets, *space
    rest = count, side, finer, float(single), float(skip), limit / FEWEST_OPAQUE, limit

    def follow(*out: Tensor, write: bool) -> None:
        grid = (triton.cdiv(count, RAYS),)
        if count:
            _march[grid](*given, starts, *out, *rest, ENDS=density is not None, WRITE=write, RAYS=RAYS, **COMPILATION)

    follow(starts, origins, origins, write=False)
    starts = starts.cumsum(0)
    total = int(starts[-1])
    rays = torch.empty(total, dtype=torch.int64, device=origins.device)
    distances, positions = origins.new_empty(total), origins.new_empty(total, 3)
    follow(rays, distances, positions, write=True)
    return starts, rays, distances, positions


VARIANTS = [(_march, {"ENDS": True, "WRITE": write, "RAYS": RAYS}, COMPILATION) for write in (False, True)]
"""The kernels with their constants and compile options: a test compiles them where there is no GPU."""
