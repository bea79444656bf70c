"""Volume rendering of packed samples (method, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nerfsem_method.field.heads import Heads
from nerfsem_method.field.march import Samples


@dataclass(frozen=True)
class Rendering:
    """What rays see.

    Attributes:
        color: [R, 3] premultiplied by the accumulation.
        accumulation: [R] alpha of the artefact.
        depth: [R] mean distance of the light's origin (premultiplied).
        weights: [S] share of each sample in its ray's colour.
    """

    color: Tensor
    accumulation: Tensor
    depth: Tensor
    weights: Tensor


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


def render(heads: Heads, features: Tensor, samples: Samples, directions: Tensor) -> Rendering:
    """Render encoded samples.

    Args:
        features: [S, F] of `samples.positions`.
        directions: [R, 3] unit directions of the rays.
    """
    density, geometry = heads.density(features, samples.positions)
    weights = sample_weights(density, samples)
    extra = torch.stack([torch.ones_like(weights), samples.distances], 1)
    if heads.spec.shading == "ray":
        summed = composite(weights, torch.cat([geometry, extra], 1), samples)
        accumulation, depth = summed[:, -2], summed[:, -1]
        mean = summed[:, :-2] / accumulation[:, None].clamp(min=1e-3)
        color = heads.color(mean, directions) * accumulation[:, None]
    else:
        colors = heads.color(geometry, directions[samples.rays])
        summed = composite(weights, torch.cat([colors, extra], 1), samples)
        color, accumulation, depth = summed[:, :-2], summed[:, -2], summed[:, -1]
    return Rendering(color, accumulation, depth, weights)


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
