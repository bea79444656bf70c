"""Training minimises distortion over a random ground, lambda times bytes, and a regulariser of sharpness (method, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Prediction:
    """A prediction is what the field says of a batch of rays.

    Attributes:
        color: [R, 3] premultiplied by the accumulation, with the gains of the rays' frames.
        accumulation: [R, 1], the alpha of the object.
        distortion: scalar, see `render.distortion_loss`.
        bits: scalar, the estimated bits of the tables and their context models, at steps that nobody is told of what has their
            gradient alone; None where no rate was asked for.
    """

    color: Tensor
    accumulation: Tensor
    distortion: Tensor
    bits: Tensor | None

    def over(self, ground: Tensor | float) -> Tensor:
        """Return the colours [R, 3] over a ground [R, 3], or over a grey level in [0, 1]."""
        return self.color + (1 - self.accumulation) * ground

    def error(self, target: Tensor, ground: Tensor | float) -> Tensor:
        """Return the difference [R, 3] to a straight RGBA target [R, 4], both over the same ground."""
        alpha = target[:, 3:]
        return self.color - target[:, :3] * alpha + (alpha - self.accumulation) * ground


def losses(prediction: Prediction, target: Tensor, sharpness: float, bit_weight: float) -> dict[str, Tensor]:
    """Return the terms of the loss by name; the random ground supervises alpha, too.

    Args:
        target: [R, 4] straight RGBA in [0, 1].
        sharpness: weight of the distortion regulariser.
        bit_weight: what a bit counts, in mean squared error of these rays; 0 leaves the rate out.
    """
    error = prediction.error(target, torch.rand_like(prediction.color))
    terms = {"mse": error.square().mean(), "sharpness": sharpness * prediction.distortion}
    if bit_weight and prediction.bits is not None:
        terms["rate"] = bit_weight * prediction.bits
    return terms


@torch.no_grad()
def psnr_over_white(prediction: Prediction, target: Tensor) -> Tensor:
    """Return the PSNR in dB, peak 1, over white, against a straight RGBA target [R, 4]."""
    return -10 * prediction.error(target, 1.0).square().mean().log10()
