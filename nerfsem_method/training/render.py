"""Volume rendering of packed samples (method, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nerfsem_method.compiled import njit
from nerfsem_method.compiled.threads import THREADS, in_parts
from nerfsem_method.raycast.lookup import FAST
from nerfsem_method.training.backend import compiled, fused
from nerfsem_method.training.heads import Heads
from nerfsem_method.training.march import Samples


@dataclass(frozen=True)
class Rendering:
    """What rays see.

    Attributes:
        color: [R, 3] premultiplied by the accumulation.
        accumulation: [R] alpha of the artefact.
        depth: [R] mean distance of the light's origin (premultiplied).
        weights: [S] share of each sample in its ray's colour, without gradient.
        distortion: scalar, see `distortion_loss`.
    """

    color: Tensor
    accumulation: Tensor
    depth: Tensor
    weights: Tensor
    distortion: Tensor


def sample_weights(density: Tensor, samples: Samples) -> Tensor:
    """w_k = T_k (1 - exp(-sigma_k delta)), T_k = exp(-sum_{j<k} sigma_j delta): [S] of densities [S]."""
    optical = density * samples.step
    # one running sum over all rays, minus its value where the ray begins; float64 keeps the difference exact enough
    running = optical.double().cumsum(0)
    before = running - optical
    first = torch.ones_like(samples.rays, dtype=torch.bool)
    first[1:] = samples.rays[1:] != samples.rays[:-1]
    ray_start = before[first][first.cumsum(0) - 1]
    transmittance = torch.exp(ray_start - before).to(density.dtype)
    return transmittance * (1 - torch.exp(-optical))


def composite(weights: Tensor, values: Tensor, samples: Samples) -> Tensor:
    """sum_k w_k v_k per ray: [R, C] of values [S, C]."""
    out = values.new_zeros(samples.count, values.shape[1])
    return out.index_add(0, samples.rays, weights[:, None] * values)


def accumulate(density: Tensor, values: Tensor, samples: Samples) -> tuple[Tensor, Tensor, Tensor]:
    """Everything that sums over the samples of a ray, given density [S] and values [S, C].

    Returns:
        [R, C + 2]: the values, 1 (the accumulation) and the distance, weighted by `sample_weights` and summed; the weights
        [S], without gradient; and `distortion_loss`.
    """
    if compiled(density):
        return _AccumulateCPU.apply(density, values, samples)
    if fused(density):
        from nerfsem_method.training.loops import cuda

        return cuda.accumulate(density, values, samples)
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
    return Rendering(color, accumulation, summed[:, -1], weights, distortion)


def distortion_loss(weights: Tensor, samples: Samples) -> Tensor:
    """Mip-NeRF 360's distortion (Barron et al. 2022, eq. 15), mean over rays: draws each ray's weight to one depth.

    sum_ij w_i w_j |t_i - t_j| + step / 3 sum_i w_i^2 by running sums over the sorted samples of each ray.
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
        given = density.numpy(), values.contiguous().numpy(), samples.distances.numpy(), samples.starts.numpy(), samples.step
        out = weights.numpy(), summed.numpy()

        def work(thread: int, start: int, stop: int) -> None:
            distortion[thread] = _accumulate(*given, start, stop, *out)

        in_parts(samples.count, work)
        ctx.save_for_backward(values, weights)
        ctx.samples = samples
        ctx.mark_non_differentiable(weights)
        return summed, weights, torch.tensor(distortion.sum() / samples.count, dtype=torch.float32)

    @staticmethod
    def backward(ctx, d_summed, _, d_distortion):
        values, weights = ctx.saved_tensors
        samples = ctx.samples
        d_density, d_values = torch.empty_like(weights), torch.empty(values.shape)
        given = values.contiguous().numpy(), weights.numpy(), samples.distances.numpy(), samples.starts.numpy(), samples.step
        gradients = d_summed.contiguous().numpy(), float(d_distortion) / samples.count

        def work(_: int, start: int, stop: int) -> None:
            _accumulate_backward(*given, *gradients, start, stop, d_density.numpy(), d_values.numpy())

        in_parts(samples.count, work)
        return d_density, d_values, None


@njit(cache=True, nogil=True, fastmath=FAST)
def _accumulate(density, values, distances, starts, step, start, stop, weights, summed):
    """The rays start ... stop - 1; returns their distortion."""
    channels = values.shape[1]
    distortion = 0.0
    for ray in range(start, stop):
        out = summed[ray]
        out[:] = 0
        light = np.float32(1)
        before, before_depth = 0.0, 0.0
        for k in range(starts[ray], starts[ray + 1]):
            left = np.exp(-density[k] * np.float32(step))
            weight, distance = light * (np.float32(1) - left), distances[k]
            light *= left
            weights[k] = weight
            for c in range(channels):
                out[c] += weight * values[k, c]
            distortion += 2 * weight * (distance * before - before_depth) + step / 3 * weight * weight
            before += weight
            before_depth += np.float64(weight) * distance
        out[channels], out[channels + 1] = before, before_depth
    return distortion


@njit(cache=True, nogil=True, fastmath=FAST)
def _accumulate_backward(
    values, weights, distances, starts, step, d_summed, d_distortion, start, stop, d_density, d_values
):
    """From the far end of each ray: dw_j / dsigma_k is step * (light behind k) for j = k and -step * w_j for j > k."""
    channels = values.shape[1]
    for ray in range(start, stop):
        given = d_summed[ray]
        before, before_depth = 0.0, 0.0
        for k in range(starts[ray], starts[ray + 1]):
            before += weights[k]
            before_depth += np.float64(weights[k]) * distances[k]
        after, after_depth, behind = 0.0, 0.0, 0.0
        for k in range(starts[ray + 1] - 1, starts[ray] - 1, -1):
            weight, distance = np.float64(weights[k]), np.float64(distances[k])
            light = 1 - before
            before -= weight
            before_depth -= weight * distance
            spread = distance * (before - after) - before_depth + after_depth + step / 3 * weight
            d_weight = np.float32(given[channels] + distance * given[channels + 1] + 2 * d_distortion * spread)
            for c in range(channels):
                d_weight += values[k, c] * given[c]
                d_values[k, c] = weights[k] * given[c]
            d_density[k] = step * (light * d_weight - behind)
            behind += weight * d_weight
            after += weight
            after_depth += weight * distance
