"""Sums along rays on CUDA, in Triton, with their gradients: each in one launch. `accumulate_cpu` computes the same."""

# Another compiler reads what the kernels say.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportOperatorIssue=false

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

RAYS = 32
"""One program follows so many rays: a warp, of which each thread has a ray."""


@triton.jit
def _own_samples(starts, count, RAYS: tl.constexpr):
    """Return a program's rays, which of them there are, where the samples of each begin, and how many there are."""
    ray = tl.program_id(0).to(tl.int64) * RAYS + tl.arange(0, RAYS)
    there = ray < count
    start = tl.load(starts + ray, mask=there, other=0)
    return ray, there, start, tl.load(starts + 1 + ray, mask=there, other=0) - start


@triton.jit
def _accumulate(
    density, values, distances, starts, weights, summed, distortion, count, channels, step,
    RAYS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Do as `accumulate_cpu.accumulate` does, with each ray's own distortion."""
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
    """Do as `accumulate_cpu.accumulate_backward` does; d_distortion is the gradient of each ray's distortion."""
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
        column, mask = at[:, None] * channels + channel[None, :], going[:, None] & used
        value = tl.load(values + column, mask=mask, other=0.0)
        tl.store(d_values + column, weight.to(tl.float32)[:, None] * given, mask=mask)
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


def accumulate(density: Tensor, values: Tensor, starts: Tensor, distances: Tensor, step: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return what `training.render.accumulate` returns, for the arrays of its samples."""
    return _Accumulate.apply(density, values, starts, distances, step)


VARIANTS = [(kernel, {"RAYS": RAYS, "CHANNELS": 16}, {"num_warps": 1}) for kernel in (_accumulate, _accumulate_backward)]
"""The kernels with their constants and compile options: a test compiles them where there is no GPU."""
