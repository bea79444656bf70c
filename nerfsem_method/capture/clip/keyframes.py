"""This module chooses the frames that carry a clip's motion: COLMAP makes its model of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nerfsem_method.capture.clip.motion import small

STRIDE = 16.0
"""Structure from motion is made of keyframes so many pixels apart, of a clip's small pictures: 4 to 5 degrees of a turn. The
others are tracked, because its time grows with the frames and the pairs of them."""
FEWEST, MOST = 75, 100
"""So many keyframes are asked for at least, and at most where that leaves them no more than WIDEST apart."""
WIDEST, UTMOST = 36.0, 300
"""Keyframes of several turns may be so many pixels apart, 10 degrees of a turn, and so many: farther apart, frames show too
little of each other to be matched, and those between them cannot be tracked."""
OVERLAP = 200.0
"""Keyframes show the same side where they are no more pixels apart than this, 50 degrees of a turn."""
ENOUGH = 1.25
"""Where frames are fewer than this times the keyframes that are asked for, they are all keyframes."""
APART = 150
"""So many photographs, which are farther apart, are all keyframes; so are those of an object before a still background, whose
motion says little of its turn."""
DRAWN = 0.8
"""Photographs lie in no order where those beside each other differ by more than this share of what those half a clip apart do:
with 40 of a turn in order it is .64, with 150 of them .35, and 1 by lot."""
REGULAR = 0.4
"""This share of the keyframes goes by time: motion is hard to measure where there is little to see, and no gap may be wide."""


@dataclass(frozen=True)
class Keyframes:
    """Keyframes are frames of which COLMAP makes its model, by their indices.

    Where the first of `tries` leaves frames out, there may be others. Photographs may be `drawn` by lot, so that
    nothing can be tracked from one to the next. A film's motion is a `way` of so many pixels.
    """

    tries: list[list[int]]
    drawn: bool = False
    way: float = 0.0

    def reach(self, keys: list[int]) -> int:
        """Return how far apart two of the keyframes `keys` show the same side; 0 where they are close, or nothing is known."""
        apart = self.way / max(len(keys) - 1, 1)
        return max(2, int(OVERLAP / apart)) if apart > OVERLAP / 10 else 0


def keyframes(frames: list[Path], ordered: bool = True, object_alone: bool = False) -> Keyframes:
    """Choose frames equally far apart in motion and time, the sharpest of each stretch, and the first and last one.

    They are all frames of a short clip, and of photographs that lie in no order, which is looked at if frames are not surely
    `ordered` and too many for all to be keyframes.
    """
    everything = list(range(len(frames)))
    if len(frames) < ENOUGH * FEWEST or (len(frames) <= APART and (object_alone or not ordered)):
        return Keyframes([everything])
    way, detail, looks = [0.0], [], []
    before = None
    for path in frames:
        picture = small(path)
        detail.append(_detail(picture))
        if not ordered:
            looks.append(_thumbnail(picture))
        if before is not None:
            way.append(way[-1] + _step(before, picture))
        before = picture

    def about(count: int) -> list[int]:
        return everything if len(frames) < ENOUGH * count else spread(np.array(way), np.array(detail), count)

    if not ordered:
        drawn = drawn_by_lot(np.stack(looks))
        return Keyframes([everything] if drawn else [about(MOST), everything], drawn)
    most = min(max(MOST, math.ceil(way[-1] / WIDEST)), UTMOST)
    few = most if object_alone else max(FEWEST, min(math.ceil(way[-1] / STRIDE), most))
    tries = [about(few)]
    for more in (about(most), *([everything] if len(frames) <= APART else [])):
        if len(more) > ENOUGH * len(tries[-1]):
            tries.append(more)
    return Keyframes(tries, way=way[-1])


def drawn_by_lot(looks: np.ndarray) -> bool:
    """Return whether pictures [N, h, w], a few pixels wide, differ as much from the next one as from one half a clip away."""
    near, far = (
        np.median([np.abs(looks[i] - looks[(i + step) % len(looks)]).mean() for i in range(len(looks))])
        for step in (1, len(looks) // 2)
    )
    return bool(near > DRAWN * far)


def spread(way: np.ndarray, detail: np.ndarray, count: int) -> list[int]:
    """Return the frame of the most `detail` in each of `count` stretches of equal way and time (both [N], `way` ascending)."""
    time = np.linspace(0, 1, len(way))
    share = REGULAR * time + (1 - REGULAR) * (way / way[-1] if way[-1] > 0 else time)
    stretch = np.minimum((share * count).astype(int), count - 1)
    chosen = {0, len(way) - 1}
    for index in np.unique(stretch):
        members = np.flatnonzero(stretch == index)
        chosen.add(int(members[detail[members].argmax()]))
    return sorted(chosen)


def _thumbnail(picture: np.ndarray) -> np.ndarray:
    """Return a picture [h, w] float32 of a quarter of the size."""
    import cv2

    return cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA).astype(np.float32)


def _detail(picture: np.ndarray) -> float:
    """Return how much fine detail a picture shows: little where it is blurred."""
    import cv2

    return float(cv2.Laplacian(picture, cv2.CV_32F).var())


def _step(first: np.ndarray, second: np.ndarray) -> float:
    """Return the pixels by which the faster features move: those of a turntable's background do not."""
    import cv2

    corners = cv2.goodFeaturesToTrack(first, 200, 0.01, 6)
    if corners is None:
        return 0.0
    moved, found, _ = cv2.calcOpticalFlowPyrLK(first, second, corners, corners.copy())
    shifts = np.linalg.norm((moved - corners)[found.ravel() == 1], axis=-1)
    return float(np.quantile(shifts, 0.75)) if len(shifts) else 0.0
