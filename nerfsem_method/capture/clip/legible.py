"""This module makes pictures legible for COLMAP, where noise, darkness or flat tones hide their features.

Of a clip with heavy noise half of the cameras were found, and some of them wrong by ten degrees; of one whose rims a lens darkens
all were found, with a focal length a sixth too long, because only the object's own features were left. Smoothed the first has all
its cameras, and with even light the second's are wrong by a fifth as much.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nerfsem_method.capture.clip.tones import Tones, within_bars
from nerfsem_method.media.pictures import read_picture, write_picture

LOOKED_AT = 8
"""So many frames, evenly spread, say whether a clip's pictures are legible."""
NOISY = 5.0
"""Noise of this standard deviation, in grey levels, is smoothed: in four sound clips there is up to 1.1, in a bad one 15."""
SMOOTHING = 1.5
"""Noisy pictures are smoothed by a Gaussian of this standard deviation in pixels."""
DIM, DIM_SHARE = 48.0, 0.2
"""Light is made even where it is below this grey level in a larger share of the frame: in four sound clips it is in up to 0.04,
in one with dark rims in 0.43."""
LONG_SIDE, REACH = 160, 10.0
"""Light is looked at with so many pixels along the longer side, and is the mean of a surrounding of this standard deviation."""
SPARSE = 3
"""Noise is the same in each pixel of this number, across and down, as in all."""
DARKEST, EVEN = 4.0, 100.0
"""Light counts as no darker than the first grey level, lest noise becomes a picture, and becomes the second."""


def legible(frames: list[Path], folder: Path) -> list[Path]:
    """Return the frames, or grey copies of the same names in the new `folder` if noise, darkness or flat tones hide features."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, LOOKED_AT).round().astype(int))
    pictures = [read_picture(frames[i], grey=True) for i in chosen]
    tones = Tones.of(pictures)
    facts = [(noise(picture), dim_share(picture)) for picture in map(tones.spread, map(within_bars, pictures))]
    noisy, dim = np.median(facts, axis=0) > (NOISY, DIM_SHARE)
    if not (noisy or dim or tones.flat):
        return frames
    folder.mkdir()
    for path in frames:
        picture = tones.spread(read_picture(path, grey=True)).astype(np.float32)
        write_picture(folder / path.name, made_legible(picture, bool(noisy), bool(dim)))
    return [folder / path.name for path in frames]


def noise(picture: np.ndarray) -> float:
    """Return the standard deviation of a grey picture's noise [H, W] uint8 within black bars (Immerkaer, Fast Noise Variance
    Estimation, 1996; by the median, which edges do not move).
    """
    import cv2

    lit = within_bars(picture).astype(np.float32)
    differences = cv2.filter2D(lit, -1, np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32))
    return float(np.median(np.abs(differences[::SPARSE, ::SPARSE]))) / 0.6745 / 6


def dim_share(picture: np.ndarray) -> float:
    """Return the share of a grey picture [H, W] uint8 within black bars where there is little light."""
    return float((_light(within_bars(picture).astype(np.float32)) < DIM).mean())


def made_legible(picture: np.ndarray, noisy: bool, dim: bool) -> np.ndarray:
    """Return a grey picture [H, W] float32 smoothed if it is `noisy`, and in even light if it is `dim`, as uint8."""
    import cv2

    smooth = cv2.GaussianBlur(picture, (0, 0), SMOOTHING) if noisy else picture
    light = cv2.resize(_light(smooth), picture.shape[::-1], interpolation=cv2.INTER_LINEAR)
    even = (smooth + DARKEST) / (light + DARKEST) * EVEN if dim else smooth
    return np.clip(even, 0, 255).round().astype(np.uint8)


def _light(picture: np.ndarray) -> np.ndarray:
    """Return how light it is around each pixel of a grey picture [H, W] float32, as a smaller picture."""
    import cv2

    shrink = min(LONG_SIDE / max(picture.shape), 1.0)
    height, width = (max(round(side * shrink), 1) for side in picture.shape)
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), REACH)
