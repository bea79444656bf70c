"""ns-eval gets the figures of `nerfsem evaluate`, a frame at a time."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from nerfsem_method.evaluation.metrics import NOT_ASKED, Perceptual, load_lpips, masked_reference, measure


class FrameQuality:
    """This class compares renderings with source frames, in 8 bit over white, as decoded frames are compared."""

    @cached_property
    def _perceptual(self) -> Perceptual:
        """LPIPS is measured where its weights are at hand: nothing is downloaded here."""
        try:
            return Perceptual(load_lpips())
        except (ImportError, FileNotFoundError):
            return NOT_ASKED

    def measure(self, rendered: Tensor, image: Tensor) -> tuple[dict[str, float], Tensor]:
        """Return the figures of a rendering [H, W, 3] in [0, 1] against straight RGBA [H, W, 4], bytes or in [0, 1], and both
        side by side, the source on the left: float32 [H, 2 W, 3].

        The figures are psnr and psnr_center in dB (the latter not a number where the frame shows no object), ssim, and lpips if
        its weights are at hand.
        """
        source = image.cpu().numpy()
        if source.dtype != np.uint8:
            source = np.rint(source * 255).astype(np.uint8)
        truth = masked_reference(source[..., :3], source[..., 3])
        decoded = (rendered.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
        found = measure([decoded], [truth], [source[..., 3]], self._perceptual)
        center = float("nan") if found.psnr_center is None else found.psnr_center
        figures = {"psnr": found.psnr, "psnr_center": center, "ssim": found.ssim}
        if found.lpips is not None:
            figures["lpips"] = found.lpips
        return figures, torch.from_numpy(np.concatenate([truth, decoded], 1)).to(rendered.device) / 255
