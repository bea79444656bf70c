"""Rate control lets lambda follow what the bundle measures in training, so that the finished one has a wanted size or quality.

The plant is slow (signs need some hundred steps to answer) and its elasticity is known only roughly, hence a proportional-
integral law in the logarithm of lambda, on measurements of the real bundle. Size and quality still change with training while
lambda rests; what is yet to come is foreseen.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nerfsem_method.training.cameras import CameraPath, tinted
from nerfsem_method.training.goal import Goal
from nerfsem_method.training.radiance import RadianceField

INTEGRAL, PROPORTIONAL = 1.2, 8.0
"""Log lambda grows by INTEGRAL times the error a measurement, and stands PROPORTIONAL times the error above that: a tenth fewer
bytes take about a nat of lambda (measured with `quick`)."""
LEAST, MOST = 3e-9, 500.0
"""Lambda stays above the first, that of the preset `archive`, or the preset's own if that is lower: from there on a byte of the
residual saves more error than one of the field (docs/decisions/028). It stays below so many times the preset's: beyond, the field
no longer answers."""
FRAMES, PIXELS = 24, 1024
"""PSNR-CENTER is estimated from so many frames, and so many pixels of each."""


class RateControl:
    """Rate control steers lambda from the preset's value, `rate_weight`, on.

    `rest` is the integral part of log lambda, None before the first measurement.
    """

    def __init__(self, goal: Goal, rate_weight: float) -> None:
        self.goal = goal
        self._bounds = math.log(min(rate_weight, LEAST)), math.log(rate_weight * MOST)
        self.rest: float | None = None

    def steer(self, rate_weight: float, measured: float, done: float) -> float:
        """Return the next lambda from the present one and what the bundle measures after the share `done` of the steps."""
        error = self.goal.error(measured, done)
        if self.rest is None:  # a training that goes on keeps the lambda of its checkpoint
            self.rest = math.log(rate_weight)
        self.rest = self._within(self.rest + INTEGRAL * error)
        return math.exp(self._within(self.rest + PROPORTIONAL * error))

    def _within(self, log_weight: float) -> float:
        low, high = self._bounds
        return min(max(log_weight, low), high)


@torch.no_grad()
def center_psnr(field: RadianceField, cameras: CameraPath, frames: Tensor, indices: Tensor) -> float:
    """Return PSNR-CENTER in dB (method, section 7) of the field as it is, from some pixels of some frames, always the same ones.

    Args:
        frames: [n, H, W, 4] uint8, straight alpha.
        indices: [n] the camera of each frame.
    """
    values = []
    for chosen in torch.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().long().tolist():
        rows, columns = (frames[chosen, ..., 3] > 127).nonzero(as_tuple=True)
        if not len(rows):
            continue
        picked = torch.linspace(0, len(rows) - 1, min(PIXELS, len(rows)), device=rows.device).round().long()
        rows, columns = rows[picked], columns[picked]
        color, alpha = (frames[chosen, rows, columns].float() / 255).split([3, 1], 1)
        pixels = (torch.stack([columns, rows], 1) + 0.5).to(cameras.poses.device)
        index = int(indices[chosen])
        rendering = field.render(*cameras.rays(torch.full_like(pixels[:, 0], index, dtype=torch.int64), pixels))
        color_shown = tinted(rendering.color, rendering.accumulation, cameras.colors[index])
        shown = color_shown + 1 - rendering.accumulation[:, None]
        error = shown.cpu() - (color * alpha + 1 - alpha).cpu()
        values.append(-10 * error.square().mean().log10())
    return float(torch.stack(values).mean())
