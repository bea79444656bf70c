"""What moves in a clip: whether the room stands still behind a turning object, and which frames carry the motion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

LONG_SIDE = 320
"""Pixels at which motion is looked at."""
SAMPLES = 16
"""Frames, evenly spread, that are compared with each other."""
SAME = 14
"""Grey levels within which a pixel shows the same thing: noise and a little exposure, no more."""
STILL_SHARE = 0.75
"""Share of the other samples in which a still pixel shows the same."""
EDGE = 8.0
"""Grey levels a pixel across an edge; a blank wall shows the same wherever the camera stands and tells nothing."""
STILL_ROOM = 0.2
"""Share of a frame's edges that stand still from which the camera does."""
STILL_CLIP = 0.99
"""The same for a clip in which nothing moves at all."""
KEYFRAMES = 150
"""Frames of which structure from motion is made; a longer clip's others are posed against its result."""
REGULAR = 0.4
"""Share of the keyframes that go by time: motion is hard to measure where there is little to see, and no gap may be wide."""
LOOSE = 0.01
"""Long sides by which the moving region is grown, so that the outline's features survive."""


@dataclass(frozen=True)
class Motion:
    """`samples` [S, H, W] uint8, grey and small, evenly spread over the clip."""

    samples: np.ndarray

    @cached_property
    def still_edges(self) -> float:
        """Share of the edges that are where they are in (nearly) all samples."""
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
        """Whether neither camera nor object moves."""
        return self.still_edges > STILL_CLIP

    @property
    def turntable(self) -> bool:
        """Whether something moves in front of a still room."""
        return STILL_ROOM < self.still_edges <= STILL_CLIP

    def region(self) -> np.ndarray:
        """Where things change [H, W] bool: in front of a still room the object, wherever it gets to."""
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
    """Sample a clip."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, SAMPLES).round().astype(int))
    return Motion(np.stack([_small(frames[i]) for i in chosen]))


def keyframes(frames: list[Path]) -> list[int]:
    """At most KEYFRAMES frames, equally far apart in motion and time, the sharpest of each stretch; and the first and last.

    A short clip gives all of its frames.
    """
    if len(frames) <= KEYFRAMES:
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
    """The frame of the most `detail` in each of `count` stretches of equal way and time (both [N], `way` ascending)."""
    time = np.linspace(0, 1, len(way))
    share = REGULAR * time + (1 - REGULAR) * (way / way[-1] if way[-1] > 0 else time)
    stretch = np.minimum((share * count).astype(int), count - 1)
    chosen = {0, len(way) - 1}
    for index in np.unique(stretch):
        members = np.flatnonzero(stretch == index)
        chosen.add(int(members[detail[members].argmax()]))
    return sorted(chosen)


def _small(path: Path) -> np.ndarray:
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    shrink = LONG_SIDE / max(picture.shape)
    return cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) if shrink < 1 else picture


def _detail(picture: np.ndarray) -> float:
    import cv2

    return float(cv2.Laplacian(picture, cv2.CV_32F).var())


def _step(first: np.ndarray, second: np.ndarray) -> float:
    """Pixels by which the faster features move: those of a turntable's background do not."""
    import cv2

    corners = cv2.goodFeaturesToTrack(first, 200, 0.01, 6)
    if corners is None:
        return 0.0
    moved, found, _ = cv2.calcOpticalFlowPyrLK(first, second, corners, corners.copy())
    shifts = np.linalg.norm((moved - corners)[found.ravel() == 1], axis=-1)
    return float(np.quantile(shifts, 0.75)) if len(shifts) else 0.0


def _disc(radius: float) -> np.ndarray:
    import cv2

    side = 2 * max(round(radius), 1) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
