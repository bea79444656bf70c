"""This module sees what moves in a clip: whether the background stands still behind a turning object, and which frames carry
the motion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

LONG_SIDE = 320
"""Motion is looked at in pictures with so many pixels along their longer side; it shows in small ones too."""
SAMPLES = 16
"""So many frames, evenly spread, are compared: few, because each one meets all the others."""
SAME = 14
"""A pixel that changes by no more grey levels shows the same thing: noise and a little exposure, no more."""
STILL_SHARE = 0.75
"""A still pixel shows the same in this share of the samples; now and then something passes before it."""
EDGE = 8.0
"""An edge is steeper than so many grey levels a pixel; a blank wall shows the same wherever the camera stands and tells
nothing."""
STILL_BACKGROUND = 0.2
"""Where more than this share of the frames' edges stands still, the camera does."""
STILL_CLIP = 0.99
"""Where more than this share stands still, nothing moves at all."""
SHORT = 150
"""Structure from motion is made of all frames of a clip that has no more than this."""
KEYFRAMES = 100
"""Of a longer clip it is made of about so many, because its time grows faster than their number, and others are tracked."""
REGULAR = 0.4
"""This share of the keyframes goes by time: motion is hard to measure where there is little to see, and no gap may be wide."""
LOOSE = 0.01
"""The moving region is grown by so many long sides, so that the outline's features survive."""


@dataclass(frozen=True)
class Motion:
    """A motion is what `samples` [S, H, W] uint8, grey, small and evenly spread over the clip, show of it."""

    samples: np.ndarray

    @cached_property
    def still_edges(self) -> float:
        """This share of the edges is where it is in (nearly) all samples."""
        import cv2

        samples = self.samples.astype(np.float32)
        still = edges = 0
        for picture in samples:
            slope = np.hypot(cv2.Sobel(picture, -1, 1, 0), cv2.Sobel(picture, -1, 0, 1)) / 8
            same = (np.abs(samples - picture) < SAME).mean(0) > STILL_SHARE
            still += int((same & (slope > EDGE)).sum())
            edges += int((slope > EDGE).sum())
        return still / edges if edges else 0.0

    @property
    def nothing(self) -> bool:
        """Return whether neither camera nor object moves."""
        return self.still_edges > STILL_CLIP

    @property
    def turntable(self) -> bool:
        """Return whether something moves before a still background."""
        return STILL_BACKGROUND < self.still_edges <= STILL_CLIP

    def region(self) -> np.ndarray:
        """Return where things change [H, W] bool: before a still background the object, wherever it gets to."""
        import cv2

        low, high = np.quantile(self.samples, (0.1, 0.9), axis=0)
        changes = (high - low > SAME).astype(np.uint8)
        long_side = max(changes.shape)
        changes = cv2.morphologyEx(changes, cv2.MORPH_OPEN, _disc(0.006 * long_side))
        changes = cv2.morphologyEx(changes, cv2.MORPH_CLOSE, _disc(0.05 * long_side))
        count, pieces, facts, _ = cv2.connectedComponentsWithStats(changes)
        if count < 2:
            return np.zeros(changes.shape, bool)
        largest = pieces == 1 + facts[1:, cv2.CC_STAT_AREA].argmax()
        return cv2.dilate(largest.astype(np.uint8), _disc(LOOSE * long_side)) > 0


def look(frames: list[Path]) -> Motion:
    """Return the motion of a clip."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, SAMPLES).round().astype(int))
    return Motion(np.stack([_small(frames[i]) for i in chosen]))


def keyframes(frames: list[Path]) -> list[int]:
    """Return the indices of KEYFRAMES frames, equally far apart in motion and time, the sharpest of each stretch, and of the first
    and last frame; of all frames of a short clip.
    """
    if len(frames) <= SHORT:
        return list(range(len(frames)))
    way, detail = [0.0], []
    before = None
    for path in frames:
        picture = _small(path)
        detail.append(_detail(picture))
        if before is not None:
            way.append(way[-1] + _step(before, picture))
        before = picture
    return spread(np.array(way), np.array(detail), KEYFRAMES)


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


def _small(path: Path) -> np.ndarray:
    """Return a frame in grey, at LONG_SIDE."""
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    shrink = LONG_SIDE / max(picture.shape)
    return cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) if shrink < 1 else picture


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


def _disc(radius: float) -> np.ndarray:
    """Return a filled disc, at least three pixels wide, for morphology."""
    import cv2

    side = 2 * max(round(radius), 1) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
