"""A film may have been put together of parts, of which one lies between black bars: no one camera has taken both."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from nerfsem_method.capture.clip.motion import CANDIDATES, evenly, small
from nerfsem_method.capture.clip.tones import bars
from nerfsem_method.media.matte_names import frames_text, shortened

DEEP = 0.03
"""Bars are so deep at two opposite sides or deeper, in shares of the frame's height or width."""
ALIKE = 0.015
"""Bars are equal within this share: dark ground ends where the object stands."""
CLEARLY, NEARLY_ALL = 0.5, 0.95
"""Frames without bars have, at each side, less than the first share of the others' depth, nearly all of them."""
FEWEST = 0.05
"""A part is no smaller a share of the film."""


def of_bars(frames: Sequence[Path], numbers: Sequence[int], film: bool) -> str:
    """Return what is to be said where some frames lie between black bars and the others do not, "" elsewhere.

    The `frames` have these `numbers` in their clip, which is a `film` or photographs.
    """
    if not barred(np.stack([bars(small(frames[index])) for index in evenly(len(frames), CANDIDATES)])).any():
        return ""
    within = barred(np.stack([bars(small(frame)) for frame in frames]))
    named = shortened(frames_text([number for number, inside in zip(numbers, within, strict=True) if inside]))
    remedy = "give those of one kind alone"
    if film:
        longest = max((list(run) for _, run in groupby(range(len(frames)), key=lambda index: bool(within[index]))), key=len)
        kept = f"start_frame={numbers[longest[0]]}:end_frame={numbers[longest[-1]] + 1}"
        remedy = f"cut it to one part, as by: ffmpeg -i CLIP -vf trim={kept},setpts=PTS-STARTPTS NEW"
    return (
        f"{named} lie between black bars and the others do not: where pictures were made smaller for that, one camera cannot "
        f"have taken all, and cameras are bent by degrees; {remedy}"
    )


def barred(depths: np.ndarray) -> np.ndarray:
    """Return which frames [N] bool lie between bars that others do not have; `depths` [N, 4] are what is black at their sides.

    The sides are top, bottom, left and right. Where frames have bars of several depths, a dark ground makes them; then none does.
    """
    none = np.zeros(len(depths), bool)
    deep = (np.minimum(depths[:, 0], depths[:, 1]) >= DEEP) | (np.minimum(depths[:, 2], depths[:, 3]) >= DEEP)
    if min(deep.mean(), 1 - deep.mean()) < FEWEST:
        return none
    usual = np.median(depths[deep], axis=0)
    alike = (np.abs(depths[deep] - usual) <= ALIKE).all(1)
    sides = usual >= DEEP
    bare = (depths[~deep][:, sides] < CLEARLY * usual[sides]).all(1)
    return deep if min(alike.mean(), bare.mean()) >= NEARLY_ALL else none
