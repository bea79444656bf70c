"""Decoded 8-bit frames are measured against their references, frame by frame, and then averaged (method, section 7)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

IDENTICAL_DB = 100.0
"""Identical pictures have this PSNR, where the formula gives infinity."""

_ALEXNET = "alexnet-owt-7be5be79.pth"
_ALEXNET_MEGABYTES = 244

BT709_LUMA = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True)
class Quality:
    """Quality is means over frames: PSNR in dB of RGB and of BT.709 luma, over the frame and over the object; SSIM; LPIPS.

    `psnr_center` and `psnr_y_center` leave out frames without an object and are None where no frame shows one; `lpips`
    is None where it was not measured, and `lpips_reason` says why.
    """

    frames: int
    psnr: float
    psnr_center: float | None
    psnr_y: float
    psnr_y_center: float | None
    ssim: float
    lpips: float | None = None
    lpips_reason: str | None = "not asked for"


@dataclass(frozen=True)
class Perceptual:
    """A perceptual measure maps two frames to a `distance` (see `load_lpips`); without one, `reason` says why."""

    distance: Callable[[np.ndarray, np.ndarray], float] | None = None
    reason: str = "not asked for"


NOT_ASKED = Perceptual()


def masked_reference(frame: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """Return FP's reference: matte * frame + (1 - matte) * white of uint8 [H, W, 3] and [H, W], rounded to uint8."""
    alpha = matte[..., None].astype(np.float64) / 255
    return np.rint(alpha * frame + (1 - alpha) * 255).astype(np.uint8)


def measure(
    decoded: Iterable[np.ndarray],
    references: Iterable[np.ndarray],
    mattes: Iterable[np.ndarray],
    perceptual: Perceptual = NOT_ASKED,
) -> Quality:
    """Compare frames uint8 [H, W, 3] in step; `mattes` uint8 [H, W] mark the object where they exceed one half.

    Raises ValueError when the three differ in length.
    """
    rows = [
        _frame_row(frame, reference, matte > 127, perceptual.distance)
        for frame, reference, matte in zip(decoded, references, mattes, strict=True)
    ]
    if not rows:
        raise ValueError("no frame to measure")
    full, center, luma, luma_center, ssim, lpips = (_mean(column) for column in zip(*rows, strict=True))
    assert full is not None and luma is not None and ssim is not None
    return Quality(len(rows), full, center, luma, luma_center, ssim, lpips, perceptual.reason if lpips is None else None)


def psnr(squared_error: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio in dB, peak 255, of squared errors of any shape."""
    error = float(squared_error.mean())
    return min(IDENTICAL_DB, 10 * np.log10(255.0**2 / error)) if error else IDENTICAL_DB


def load_lpips(download: bool = False) -> Callable[[np.ndarray, np.ndarray], float]:
    """Return LPIPS (Zhang et al., 2018; AlexNet) of two uint8 frames [H, W, 3] as a function.

    AlexNet's weights are looked for in torch's cache, and with `download` fetched into it where they are not.

    Raises ImportError or OSError, with the reason, where they cannot be had.
    """
    import torch

    weights = Path(torch.hub.get_dir()) / "checkpoints" / _ALEXNET
    if not weights.is_file():
        if not download:
            raise FileNotFoundError(f"AlexNet's weights are not in torch's cache ({weights}); --download-lpips fetches them")
        print(f"Downloading AlexNet's weights for LPIPS, {_ALEXNET_MEGABYTES} MB, once, to {weights}", file=sys.stderr)
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    try:
        network = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)
    except (OSError, RuntimeError) as error:
        raise OSError(f"AlexNet's weights cannot be used ({error}); put them at {weights}") from None

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        pair = [torch.from_numpy(x.copy()).permute(2, 0, 1)[None].float() / 255 for x in (a, b)]
        with torch.no_grad():
            return float(network(*pair))

    return distance


def _mean(column: tuple[float | None, ...]) -> float | None:
    present = [value for value in column if value is not None]
    return float(np.mean(present)) if present else None


def _frame_row(
    frame: np.ndarray,
    reference: np.ndarray,
    inside: np.ndarray,
    perceptual: Callable[[np.ndarray, np.ndarray], float] | None,
) -> tuple[float | None, ...]:
    from skimage.metrics import structural_similarity

    difference = frame.astype(np.float64) - reference
    squared, luma = difference**2, (difference @ BT709_LUMA) ** 2
    ssim = structural_similarity(
        frame, reference, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return (
        psnr(squared),
        psnr(squared[inside]) if inside.any() else None,
        psnr(luma),
        psnr(luma[inside]) if inside.any() else None,
        float(ssim),  # pyright: ignore[reportArgumentType] (Its type covers options that are not asked for.)
        perceptual(frame, reference) if perceptual else None,
    )
