"""What strangers give as mattes may be none, may be inverted or may show nothing; this module tells by what is black and white.

A matte is uint8 [H, W]; a look is one of which a few rows and columns are left.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from nerfsem_method.errors import CaptureError

LOSSY_NOISE = 16
"""Noise of lossy files stays within so many levels of black and of white."""
GREY_SHARE, SOFT_SHARE = 0.01, 0.05
"""Outlines alone make no larger share of a frame grey, and soft ones of an object that fills the frame no larger one."""
WHITE_ALL_OVER = 200
"""Mattes that are nowhere darker than this leave nothing out."""
INVERTED, DOUBTFUL = 0.75, 0.5
"""Where a larger share of the frame's border than the first is white, black is the object; beyond the second, that is told."""


def check_kind(folder: Path, looks: list[np.ndarray], whole: Iterable[np.ndarray]) -> None:
    """Raise CaptureError for what is no matte or leaves nothing out.

    Mattes `looks`, as seen from afar, are pictures where they are grey in more places than white, or than black. Where no look
    shows anything, the `whole` mattes are asked: a thin object may stand between what was looked at.
    """
    white, grey = (np.mean([share(look) for look in looks]) for share in (_white, _grey))
    if grey > max(white, GREY_SHARE) or grey > max(1 - white - grey, SOFT_SHARE):
        raise CaptureError(f"the files in {folder} are pictures, no mattes: these are white where the object is, black elsewhere")
    full = "white" if min(look.min() for look in looks) > WHITE_ALL_OVER else ""
    if not any(look.any() for look in looks) and not any(matte.any() for matte in whole):
        full = "black"
    if full:
        remedy = "white must be the object and nothing else; have it found without --mattes"
        raise CaptureError(f"the mattes in {folder} are {full} all over: {remedy}")


def _white(look: np.ndarray) -> float:
    return float((look >= 208).mean())


def _grey(look: np.ndarray) -> float:
    return float(((look > 47) & (look < 208)).mean())


def turned(folder: Path, looks: list[np.ndarray]) -> list[str]:
    """Return what is to be said of mattes, as seen from afar, that are white at the border. Raises CaptureError if all are."""
    shares = [np.concatenate([a[0], a[-1], a[:, 0], a[:, -1]]).mean() / 255 for a in looks]
    white = float(np.median(shares))
    black = 1 - float(np.mean([a.mean() for a in looks])) / 255
    if black < 0.002 or white < DOUBTFUL:
        return []
    if white >= INVERTED:
        raise CaptureError(
            f"the mattes in {folder} are white around something black: white must be the object; invert them, for instance "
            "with ImageMagick's mogrify -negate"
        )
    return [f"the mattes are white along {100 * white:.0f} % of the frame's border: is white the object in them?"]
