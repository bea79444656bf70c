"""Volume rendering sums packed samples along their rays (method, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nerfsem_method.compiled.threads import THREADS, in_parts
from nerfsem_method.training.backend import compiled, fused
from nerfsem_method.training.heads import Heads
from nerfsem_method.training.loops import accumulate_cpu
from nerfsem_method.training.loops.accumulate_cpu import Packed
from nerfsem_method.training.march import Samples


@dataclass(frozen=True)
class Rendering:
    """A rendering is what rays see.

    Attributes:
        color: [R, 3] premultiplied by the accumulation.
        accumulation: [R] alpha of the object.
        depth: [R] mean distance of the light's origin (premultiplied).
        weights: [S] share of each sample in its ray's colour, without gradient.
        distortion: scalar, see `distortion_loss`.
        samples: the S samples themselves.
    """

    color: Tensor
    accumulation: Tensor
    depth: Tensor
    weights: Tensor
    distortion: Tensor
    samples: Samples


def sample_weights(density: Tensor, samples: Samples) -> Tensor:
    """Return w_k = T_k (1 - exp(-sigma_k delta)), T_k = exp(-sum_{j<k} sigma_j delta): [S] of densities [S]."""
    optical = density * samples.step
    # one running sum serves all rays: its value where a ray begins is subtracted, and float64 keeps the difference exact enough
    running = optical.double().cumsum(0)
    before = running - optical
    first = torch.ones_like(samples.rays, dtype=torch.bool)
    first[1:] = samples.rays[1:] != samples.rays[:-1]
    ray_start = before[first][first.cumsum(0) - 1]
    transmittance = torch.exp(ray_start - before).to(density.dtype)
    return transmittance * (1 - torch.exp(-optical))


def composite(weights: Tensor, values: Tensor, samples: Samples) -> Tensor:
    """Return sum_k w_k v_k per ray: [R, C] of values [S, C]."""
    out = values.new_zeros(samples.count, values.shape[1])
    return out.index_add(0, samples.rays, weights[:, None] * values)


def accumulate(density: Tensor, values: Tensor, samples: Samples) -> tuple[Tensor, Tensor, Tensor]:
    """Return everything that sums over the samples of a ray, given density [S] and values [S, C].

    Returns:
        [R, C + 2]: the values, 1 (the accumulation) and the distance, weighted by `sample_weights` and summed; the weights
        [S], without gradient; and `distortion_loss`.
    """
    if compiled(density):
        return _AccumulateCPU.apply(density, values, samples)
    if fused(density):
        from nerfsem_method.training.loops import accumulate_triton

        return accumulate_triton.accumulate(density, values, samples.starts, samples.distances, samples.step)
    weights = sample_weights(density, samples)
    extra = torch.stack([torch.ones_like(weights), samples.distances], 1)
    summed = composite(weights, torch.cat([values, extra], 1), samples)
    return summed, weights.detach(), distortion_loss(weights, samples)


def render(heads: Heads, density: Tensor, geometry: Tensor, samples: Samples, directions: Tensor) -> Rendering:
    """Render samples of density [S] and geometry feature [S, geometry] on rays with unit directions [R, 3]."""
    if heads.spec.shading == "ray":
        summed, weights, distortion = accumulate(density, geometry, samples)
        accumulation = summed[:, -2]
        mean = summed[:, :-2] / accumulation[:, None].clamp(min=1e-3)
        color = heads.color(mean, directions) * accumulation[:, None]
    else:
        colors = heads.color(geometry, directions[samples.rays])
        summed, weights, distortion = accumulate(density, colors, samples)
        color, accumulation = summed[:, :-2], summed[:, -2]
    return Rendering(color, accumulation, summed[:, -1], weights, distortion, samples)


def distortion_loss(weights: Tensor, samples: Samples) -> Tensor:
    """Return Mip-NeRF 360's distortion (Barron et al. 2022, eq. 15), mean over rays: it draws each ray's weight to one depth.

    It is sum_ij w_i w_j |t_i - t_j| + step / 3 sum_i w_i^2, by running sums over the sorted samples of each ray.
    """
    w, t = weights.double(), samples.distances.double()
    wt = w * t
    first = torch.ones_like(samples.rays, dtype=torch.bool)
    first[1:] = samples.rays[1:] != samples.rays[:-1]
    ray = first.cumsum(0) - 1
    before_w, before_wt = w.cumsum(0) - w, wt.cumsum(0) - wt
    before_w = before_w - before_w[first][ray]
    before_wt = before_wt - before_wt[first][ray]
    pairs = 2 * (w * (t * before_w - before_wt)).sum() + samples.step / 3 * w.square().sum()
    return (pairs / samples.count).to(weights.dtype)


class _AccumulateCPU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, density, values, samples):
        weights, summed = torch.empty_like(density), torch.empty(samples.count, values.shape[1] + 2)
        distortion = np.zeros(THREADS)
        packed = Packed(samples.starts.numpy(), samples.distances.numpy(), samples.step)
        given, out = (density.numpy(), values.contiguous().numpy()), (weights.numpy(), summed.numpy())

        def work(thread: int, start: int, stop: int) -> None:
            distortion[thread] = accumulate_cpu.accumulate(packed, *given, start, stop, *out)

        in_parts(samples.count, work)
        ctx.save_for_backward(values, weights)
        ctx.packed = packed
        ctx.mark_non_differentiable(weights)
        return summed, weights, torch.tensor(distortion.sum() / samples.count, dtype=torch.float32)

    @staticmethod
    def backward(ctx, d_summed, _, d_distortion):
        values, weights = ctx.saved_tensors
        count = len(ctx.packed.starts) - 1
        d_density, d_values = torch.empty_like(weights), torch.empty(values.shape)
        given = values.contiguous().numpy(), weights.numpy(), d_summed.contiguous().numpy(), float(d_distortion) / count

        def work(_: int, start: int, stop: int) -> None:
            accumulate_cpu.accumulate_backward(ctx.packed, *given, start, stop, d_density.numpy(), d_values.numpy())

        in_parts(count, work)
        return d_density, d_values, None
