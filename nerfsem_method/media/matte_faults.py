"""What strangers give as mattes may be none, inverted, mere outlines or framed by a line: black and white tell.

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
TRIMAP_SHARE = 0.002
"""Of a trimap, black, white and one grey, such a share is grey at least."""
WHITE_ALL_OVER = 200
"""Mattes that are nowhere darker than this leave nothing out."""
INVERTED, DOUBTFUL = 0.75, 0.5
"""Where a larger share of the frame's border than the first is white, black is the object; beyond the second, that is told."""
LIT = 2 * LOSSY_NOISE
"""Whatever is brighter than this is no black, not even that of a lossy file."""
LINE_PIXELS, LINE_SHARE = 3, 0.02
"""A line around the frame is no wider than the first, or than the second of the frame's shorter side."""
LINE_WHOLE = 0.95
"""A line around the frame is white along this share of it: lossy files spoil its corners."""
THIN_PIXELS, THIN_SHARE = 4.0, 0.03
"""An outline is nowhere wider than the first, or than the second of the square root of the area inside. Bangles have 0.05."""
HOLLOW = 0.7
"""An outline encloses in one piece at least this share of what is enclosed and of itself."""
MOST_ARE = 0.8
"""Mattes are outlines where this share of those that show anything is: the frame may open some, and some may be filled."""


class InvertedMattes(CaptureError):
    """These mattes are white around the object."""


def check_kind(folder: Path, looks: list[np.ndarray], whole: Iterable[np.ndarray]) -> None:
    """Raise CaptureError for what is no matte, such as a picture or a trimap, or leaves nothing out.

    Mattes `looks`, as seen from afar, are pictures where they are grey in more places than white, or than black. Where no look
    shows anything, the `whole` mattes are asked: a thin object may stand between what was looked at.
    """
    white, grey = (np.mean([share(look) for look in looks]) for share in (_white, _grey))
    if grey > max(white, GREY_SHARE) or grey > max(1 - white - grey, SOFT_SHARE):
        raise CaptureError(f"the files in {folder} are pictures, no mattes: these are white where the object is, black elsewhere")
    levels = np.unique(np.concatenate([np.unique(look) for look in looks]))
    if len(levels) == 3 and levels[0] == 0 and levels[2] == 255 and 47 < levels[1] < 208 and grey > TRIMAP_SHARE:
        raise CaptureError(
            f"the files in {folder} are trimaps, grey where the object is not known: make mattes of them, in which white is the "
            "object and black all else"
        )
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
    """Return what is to be said of mattes, as seen from afar, that are white at the border. Raises InvertedMattes if all are."""
    shares = [_border(look).mean() / 255 for look in looks]
    white = float(np.median(shares))
    black = 1 - float(np.mean([a.mean() for a in looks])) / 255
    if black < 0.002 or white < DOUBTFUL:
        return []
    if white >= INVERTED:
        raise InvertedMattes(
            f"the mattes in {folder} are white around something black: white must be the object; invert them, for instance "
            "with ImageMagick's mogrify -negate"
        )
    return [f"the mattes are white along {100 * white:.0f} % of the frame's border: is white the object in them?"]


def line_width(matte: np.ndarray) -> int:
    """Return how wide, in pixels, a white line around the whole frame is; 0 if there is none, or white goes on farther inside."""
    widest = max(LINE_PIXELS, round(LINE_SHARE * min(matte.shape)))
    shares = [float((_border(matte, depth) > LIT).mean()) for depth in range(min(widest, min(matte.shape) // 4) + 1)]
    return next((depth for depth, share in enumerate(shares) if share < DOUBTFUL), 0) if shares[0] >= LINE_WHOLE else 0


def have_lines(mattes: Iterable[np.ndarray]) -> bool:
    """Return whether one of the mattes has a line around the frame and shows something inside.

    Where none does, the line is the ground of an object that nearly fills the frame, in inverted mattes.
    """
    return any(line_width(matte) and bool((without_line(matte) > LIT).any()) for matte in mattes)


def without_line(matte: np.ndarray) -> np.ndarray:
    """Return a matte in which a line around the frame gives way to what lies beside it: an object may reach the border there."""
    width = line_width(matte)
    return np.pad(matte[width:-width, width:-width], width, "edge") if width else matte


def _border(matte: np.ndarray, depth: int = 0) -> np.ndarray:
    """Return the values of the outermost pixels that are left when `depth` rows and columns are taken off on each side."""
    inner = matte[depth : matte.shape[0] - depth, depth : matte.shape[1] - depth]
    return np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]])


def hollow(mattes: Iterable[np.ndarray]) -> list[str]:
    """Return what is to be said of mattes that are outlines, with nothing inside; a hoop or a frame of wire is one, too."""
    found = [_is_outline(matte) for matte in mattes if matte.any()]
    if not found or np.mean(found) < MOST_ARE:
        return []
    return [
        "the mattes are mere outlines, white along the edge of something and black inside: fill them, unless the object is a "
        "hoop or of wire"
    ]


def _is_outline(matte: np.ndarray) -> bool:
    """Return whether a matte is a thin closed curve, though not around the frame, which may close it on one side."""
    import cv2

    white = (matte > 127).astype(np.uint8)
    curve = cv2.dilate((matte > LIT).astype(np.uint8), np.ones((3, 3)))  # closed even where a pixel is missing
    height, width = curve.shape
    x, y, wide, high, area = cv2.connectedComponentsWithStats(1 - curve, connectivity=4)[2][1:].T
    sides = (x == 0).astype(int) + (y == 0) + (x + wide == width) + (y + high == height)
    inside = int(area[sides <= 1].max(initial=0))
    if inside < HOLLOW * (inside + int(white.sum())) or line_width(matte):
        return False
    thickness = 2 * float(cv2.distanceTransform(np.pad(white, 1), cv2.DIST_L2, 5).max()) - 1
    return thickness <= max(THIN_PIXELS, THIN_SHARE * inside**0.5)
