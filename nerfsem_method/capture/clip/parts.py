"""A film may be of parts, of which one lies between black bars or is mirrored: no one camera has taken both."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from nerfsem_method.capture.clip.eyes import found_again
from nerfsem_method.capture.clip.motion import CANDIDATES, evenly, small
from nerfsem_method.capture.clip.tones import BLACK, bars, within_bars
from nerfsem_method.media.naming import Naming

DEEP = 0.03
"""Bars are so deep at two opposite sides or deeper, in shares of the frame's height or width."""
ALIKE = 0.015
"""Bars are equal within this share: dark ground ends where the object stands."""
CLEARLY, NEARLY_ALL = 0.5, 0.95
"""Frames without bars have, at each side, less than the first share of the others' depth, nearly all of them."""
STRAIGHT, EDGE = 0.85, 2
"""A picture begins in a straight line at a bar: along its first so many rows or columns such a share is lit. Silhouettes before
black touch that line at points, and so do letters: 14 % of it on a turntable, 5 to 79 % in titles, 94 % or more at bars."""
FEWEST = 0.05
"""A part is no smaller a share of the film."""
FITTING, MIRRORED = 30, 3
"""Where a film is mirrored from one frame to the next, so many features or more are found in the mirror image, and these are so
many times those that are found without a mirror: 79 beside 3 and 111 beside 18 in two films; elsewhere 25 or fewer, in eight."""
BESIDE = 2
"""Pictures are mirrored so many frames before or after those without a camera begin or end, or nearer."""


def of_bars(frames: Sequence[Path], naming: Naming) -> str:
    """Return what is to be said where some frames lie between black bars and the others do not, "" elsewhere.

    The `naming` is that of the `frames`.
    """
    if not barred(np.stack([bars(small(frames[index])) for index in evenly(len(frames), CANDIDATES)])).any():
        return ""
    within = barred(np.stack([bars(small(frame)) for frame in frames]))
    inner = np.flatnonzero(within)
    shown = [small(frames[inner[index]]) for index in evenly(len(inner), CANDIDATES)] if len(inner) else []
    if not shown or np.median([_straightness(picture) for picture in shown]) < STRAIGHT:
        return ""
    remedy = "give those of one kind alone"
    if not naming.files:
        longest = max((list(run) for _, run in groupby(range(len(frames)), key=lambda index: bool(within[index]))), key=len)
        kept = f"start_frame={naming.numbers[longest[0]]}:end_frame={naming.numbers[longest[-1]] + 1}"
        remedy = f"cut it to one part, as by: ffmpeg -i CLIP -vf trim={kept},setpts=PTS-STARTPTS NEW"
    return (
        f"{naming.of_rows(inner.tolist())} lie between black bars and the others do not: where pictures were made smaller for "
        f"that, one camera cannot have taken all, and cameras are bent by degrees; {remedy}"
    )


def of_mirrors(frames: Sequence[Path], posed: np.ndarray, numbers: Sequence[int]) -> str:
    """Return what is to be said where the frames of a film that have no pose are mirrored, or those that have one, "" elsewhere.

    The `frames`, which are `posed` [N] bool or not, have these `numbers` in their film.
    """
    ends = np.flatnonzero(np.diff(posed.astype(int)))
    near = {step for end in ends for step in range(end - BESIDE, end + BESIDE + 1) if 0 <= step < len(frames) - 1}
    if not any(_turns_over(frames[step], frames[step + 1]) for step in near):
        return ""
    runs = [list(run) for has, run in groupby(range(len(frames)), key=lambda index: bool(posed[index])) if not has]
    flipped = "+".join(f"between(n,{numbers[run[0]]},{numbers[run[-1]]})" for run in runs)
    return (
        "they are mirrored, left for right, or all others are, as where a telephone changes to its selfie camera: flip those "
        f"in which writing reads backwards, as by: ffmpeg -i CLIP -vf \"hflip=enable='{flipped}'\" NEW"
    )


def _turns_over(first: Path, second: Path) -> bool:
    """Return whether the second of two pictures that follow each other is more like the first if it is mirrored."""
    before, after = small(first), small(second)
    mirrored = _in_common(before, np.ascontiguousarray(after[:, ::-1]))
    return mirrored >= max(FITTING, MIRRORED * _in_common(before, after))


def _in_common(first: np.ndarray, second: np.ndarray) -> int:
    """Return how many features two pictures have in common; those that are seen in a mirror are other ones."""
    return len(found_again(first, second)[0])


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


def _straightness(picture: np.ndarray) -> float:
    """Return which share of the line where a grey picture [H, W] uint8 begins at a bar is lit, at that bar with the least."""
    lit = within_bars(picture) > BLACK
    ends = lit[:EDGE].any(0), lit[-EDGE:].any(0), lit[:, :EDGE].any(1), lit[:, -EDGE:].any(1)
    return min((float(end.mean()) for end, depth in zip(ends, bars(picture), strict=True) if depth >= DEEP), default=0.0)
