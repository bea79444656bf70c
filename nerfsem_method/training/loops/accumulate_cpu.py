"""Sums along rays on the CPU, and their gradients: volume rendering of packed samples (method, section 3)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nerfsem_method.compiled import FAST, njit


class Packed(NamedTuple):
    """Samples of rays, ray by ray, near to far: those of ray r are starts[r] ... starts[r + 1] - 1, at `distances` [S]; `step` is
    the length of every interval."""

    starts: np.ndarray
    distances: np.ndarray
    step: float


@njit(cache=True, nogil=True, fastmath=FAST)
def accumulate(samples, density, values, start, stop, weights, summed):
    """Write `weights` [S] and `summed` [R, C + 2] of density [S] and values [S, C] for the rays start ... stop - 1.

    Return the sum of their distortion; the formulas are in `training.render`.
    """
    starts, distances, step = samples.starts, samples.distances, samples.step
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
def accumulate_backward(samples, values, weights, d_summed, d_distortion, start, stop, d_density, d_values):
    """Write the gradients of density [S] and values [S, C], from the far end of each ray.

    dw_j / dsigma_k is step * (light behind k) for j = k and -step * w_j for j > k.
    """
    starts, distances, step = samples.starts, samples.distances, samples.step
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
