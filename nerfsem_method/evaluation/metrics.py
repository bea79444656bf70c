"""Decoded 8-bit frames are measured against their references, frame by frame, and then averaged (method, section 7)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nerfsem_method.compiled.threads import THREADS

IDENTICAL_DB = 100.0
"""Identical pictures have this PSNR, where the formula gives infinity."""

_ALEXNET = "alexnet-owt-7be5be79.pth"
_ALEXNET_MEGABYTES = 244

BT709_LUMA = np.array([0.2126, 0.7152, 0.0722])


STRONG_CHROMA = 25.0
"""A pixel is strongly coloured above this chroma (CIELAB C*ab) of the source. The added red of a krater's figures exceeds it, a
quarter of its area, and six tenths of a painted vase, but nothing of marble."""


class FrameFigures(NamedTuple):
    """These figures are one frame's quality: PSNR in dB, SSIM, LPIPS, and CIEDE2000 over the object, as the mean of its pixels,
    their 95th percentile, and the mean of those of strong colour (`STRONG_CHROMA`). None stands where nothing is measured."""

    psnr: float
    psnr_center: float | None
    psnr_y: float
    psnr_y_center: float | None
    ssim: float
    lpips: float | None
    ciede2000: float | None
    ciede2000_p95: float | None
    ciede2000_strong: float | None


@dataclass(frozen=True)
class Quality:
    """Quality is means over frames: PSNR in dB of RGB and of BT.709 luma, over the frame and over the object; SSIM; LPIPS;
    CIEDE2000 over the object.

    Frames without an object, or without strong colours, are left out where these are measured; None stands where no frame has
    any. `lpips` is None where it was not measured, and `lpips_reason` says why.
    """

    frames: int
    psnr: float
    psnr_center: float | None
    psnr_y: float
    psnr_y_center: float | None
    ssim: float
    lpips: float | None = None
    lpips_reason: str | None = "not asked for"
    ciede2000: float | None = None
    ciede2000_p95: float | None = None
    ciede2000_strong: float | None = None


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

    Raises ValueError when the three differ in length, or there is no frame.
    """
    return mean_quality(measure_frames(decoded, references, mattes, perceptual), perceptual)


def measure_frames(
    decoded: Iterable[np.ndarray],
    references: Iterable[np.ndarray],
    mattes: Iterable[np.ndarray],
    perceptual: Perceptual = NOT_ASKED,
) -> list[FrameFigures]:
    """Return the figures of each frame, see `measure`. Raises ValueError when the three differ in length."""
    triples, found = zip(decoded, references, mattes, strict=True), []
    with ThreadPoolExecutor(THREADS) as pool:
        while batch := list(islice(triples, THREADS)):
            rows = pool.map(_frame_figures, batch)
            # torchmetrics' networks add up what they see, and are no work for two threads
            lpips = [perceptual.distance(frame, truth) if perceptual.distance else None for frame, truth, _ in batch]
            found += [row._replace(lpips=value) for row, value in zip(rows, lpips, strict=True)]
    return found


def mean_quality(figures: Sequence[FrameFigures], perceptual: Perceptual = NOT_ASKED) -> Quality:
    """Return the means of frames' figures. Raises ValueError when there is no frame."""
    if not figures:
        raise ValueError("no frame to measure")
    means = {name: _mean(column) for name, column in zip(FrameFigures._fields, zip(*figures, strict=True), strict=True)}
    reason = perceptual.reason if means["lpips"] is None else None
    return Quality(len(figures), lpips_reason=reason, **means)  # pyright: ignore[reportArgumentType] (Each frame has a PSNR.)


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


def _frame_figures(triple: tuple[np.ndarray, np.ndarray, np.ndarray]) -> FrameFigures:
    from skimage.metrics import structural_similarity

    frame, reference, matte = triple
    inside = matte > 127
    difference = frame.astype(np.float64) - reference
    squared, luma = difference**2, (difference @ BT709_LUMA) ** 2
    ssim = structural_similarity(
        frame, reference, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return FrameFigures(
        psnr(squared),
        psnr(squared[inside]) if inside.any() else None,
        psnr(luma),
        psnr(luma[inside]) if inside.any() else None,
        float(ssim),  # pyright: ignore[reportArgumentType] (Its type covers options that are not asked for.)
        None,
        *(_color_differences(frame[inside], reference[inside]) if inside.any() else (None, None, None)),
    )


def _color_differences(shown: np.ndarray, truth: np.ndarray) -> tuple[float, float, float | None]:
    """Return the CIEDE2000 of sRGB pixels [P, 3] (Sharma, Wu and Dalal 2005): mean, 95th percentile, mean of strong colours."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    lab = rgb2lab(truth)
    differences = deltaE_ciede2000(lab, rgb2lab(shown))
    strong = np.hypot(lab[:, 1], lab[:, 2]) > STRONG_CHROMA
    mean, high = float(differences.mean()), float(np.percentile(differences, 95))
    return mean, high, float(differences[strong].mean()) if strong.any() else None
