"""This module sees what moves in a clip, and whether the background stands still behind a turning object."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from nerfsem_method.media.pictures import read_picture

Box = tuple[float, float, float, float]
"""A box is left, top, right and bottom, in shares of the frame's width and height."""
LONG_SIDE = 320
"""Motion is looked at in pictures with so many pixels along their longer side; it shows in small ones too."""
KEPT = 150
"""So many small pictures, of 60 kB each, stay in memory."""
SAMPLES = 16
"""So many frames, evenly spread, are compared: few, because each one meets all the others."""
CANDIDATES = 64
"""The samples are chosen among so many frames, of which those that show the same are one: a pause is no still background."""
REPEATED = 0.005
"""Two frames show the same where no larger share of their pixels changes."""
SAME = 14
"""A pixel that changes by no more grey levels shows the same thing: noise and a little exposure, no more."""
STILL_SHARE = 0.75
"""A still pixel shows the same in this share of the samples; now and then something passes before it."""
EDGE = 8.0
"""An edge is steeper than so many grey levels a pixel; a blank wall shows the same wherever the camera stands and tells
nothing."""
STILL_BACKGROUND = 0.2
"""Where more than this share of the frames' edges stands still, the camera does."""
STILL_RIM = 0.25
"""Behind a turntable less than this share of the frame's rim changes; where more does, still edges are burnt into the picture."""
RIM = 0.08
"""The rim is so many of the frame's longer sides wide."""
OVERLAY = 30
"""A still picture burnt into the frames has at least so many pixels with still edges; fewer are chance."""
MIDDLE = 0.5
"""In this middle share of width and height a still edge may be the object's own outline, as a turned vase's is."""
BLACK = 32
"""Bars beside the picture are darker than this grey level, in every frame."""
FLAT = 4
"""Bars are as black as ever within so many grey levels; what a lens darkens at the frame's rims changes with what is there."""
BESIDE, GROUND = 0.03, 0.6
"""Beside a bar, within the first share of the frame, less than the second is black: the bar itself ends there."""
FILLED, STILL_AROUND = 0.85, 0.05
"""A film that is shown in a part of the frame changes in such a share of its outermost pixels, at each side and corner, and no
larger share than the second changes around it. Three such films have .95 or more, and .007 or less; what turns on a turntable
lacks a picture's corners, unless it is a cylinder that is seen level."""
LEAST_AROUND = 0.03
"""What is around such a film takes such a share of the frame at least."""
ALWAYS = 0.85
"""What shows in this share of the samples is burnt in: a flash, a title card or the ends of a fade may take two of them."""
STILL_CLIP = 0.99
"""Where more than this share stands still, nothing moves at all."""
USUALLY = 0.1
"""What changes in a smaller share of a clip than this may have passed by."""
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
        """Return whether something moves before a still background, and is no film that is shown there."""
        return self.before_still and self.window is None

    @property
    def before_still(self) -> bool:
        """Return whether something moves before a still background."""
        height, width = self.samples.shape[1:]
        rim = max(round(RIM * max(height, width)), 1)
        inner = np.zeros((height, width), bool)
        inner[rim : height - rim, rim : width - rim] = True
        return STILL_BACKGROUND < self.still_edges <= STILL_CLIP and bool(self._changes(USUALLY)[~inner].mean() < STILL_RIM)

    @cached_property
    def window(self) -> Box | None:
        """Return where a film is shown if all around it stands still, as in the recording of a screen; None where none is."""
        import cv2

        changes, (height, width) = self._changes(USUALLY), self.samples.shape[1:]
        long_side = max(height, width)
        opened = cv2.morphologyEx(changes.astype(np.uint8), cv2.MORPH_OPEN, _disc(0.006 * long_side))
        count, _, facts, _ = cv2.connectedComponentsWithStats(opened)
        thin, wide = (max(round(share * long_side), 2) for share in (0.006, 0.06))
        left, top, across, down, _ = facts[1 + facts[1:, cv2.CC_STAT_AREA].argmax()] if count > 1 else np.zeros(5, int)
        if min(across, down) < 2 * wide:
            return None
        around = np.ones_like(changes)
        around[max(top - 1, 0) : top + down + 1, max(left - 1, 0) : left + across + 1] = False
        inside = changes[top + 1 : top + down - 1, left + 1 : left + across - 1]  # The outermost pixels may lie half outside.
        sides = [line for lines in (inside, inside.T) for line in (lines[:thin], lines[-thin:])]
        corners = [side[:, end] for side in (inside[:wide], inside[-wide:]) for end in (np.s_[:wide], np.s_[-wide:])]
        shown = min(part.mean() for part in (*sides, *corners)) > FILLED and around.mean() > LEAST_AROUND
        if not shown or changes[around].mean() > STILL_AROUND:
            return None
        return float(left / width), float(top / height), float((left + across) / width), float((top + down) / height)

    def _changes(self, rarely: float) -> np.ndarray:
        """Return which pixels [H, W] bool change along the clip, in more than this share of it."""
        low, high = np.quantile(self.samples, (rarely, 1 - rarely), axis=0)
        return high - low > SAME

    def overlays(self) -> list[Box]:
        """Return what is no picture of the scene: all around a film, and still pictures burnt into frames whose rest moves."""
        if self.nothing or self.turntable:
            return []
        if self.window is None:
            return [*self._bars(), *self._burnt_in()]
        left, top, right, bottom = self.window
        within = (
            box for box in self._burnt_in() if left < (box[0] + box[2]) / 2 < right and top < (box[1] + box[3]) / 2 < bottom
        )
        return [*beside(self.window), *within]

    def _bars(self) -> list[Box]:
        usual = np.median(self.samples, axis=0)
        black = (np.abs(self.samples - usual) < FLAT).mean(0) > ALWAYS
        black &= usual < BLACK
        across, down = (~(black.mean(axis) > 0.98) for axis in (0, 1))  # the picture's columns and rows
        inside = black[:, across] if across.any() else black, black[down].T if down.any() else black.T
        top, bottom, left, right = (_bar(side[::way]) for side in inside for way in (1, -1))
        return beside((left, top, 1 - right, 1 - bottom)) if top + bottom + left + right < 1 else []

    def _burnt_in(self) -> list[Box]:
        import cv2

        height, width = self.samples.shape[1:]
        usual = np.median(self.samples, axis=0).astype(np.float32)
        slope = np.hypot(cv2.Sobel(usual, -1, 1, 0), cv2.Sobel(usual, -1, 0, 1)) / 8
        still = ((np.abs(self.samples - usual) < SAME).mean(0) > ALWAYS) & (slope > EDGE)
        grown = cv2.dilate(still.astype(np.uint8), _disc(0.02 * max(height, width)))
        found = []
        for x, y, w, h, _ in cv2.connectedComponentsWithStats(grown)[2][1:]:
            box = x / width, y / height, (x + w) / width, (y + h) / height
            aside = max(abs(box[0] + box[2] - 1), abs(box[1] + box[3] - 1)) > MIDDLE
            if aside and still[y : y + h, x : x + w].sum() >= OVERLAY and w * h < 0.25 * width * height:
                found.append(box)
        return found

    def region(self) -> np.ndarray:
        """Return the largest region [H, W] bool where things change: where an object gets to before a still background."""
        import cv2

        count, pieces, facts, _ = cv2.connectedComponentsWithStats(self.changing(USUALLY).astype(np.uint8))
        return pieces == 1 + facts[1:, cv2.CC_STAT_AREA].argmax() if count > 1 else np.zeros(pieces.shape, bool)

    def changing(self, rarely: float) -> np.ndarray:
        """Return all regions [H, W] bool where things change in more than a share `rarely` of the clip."""
        import cv2

        changes = self._changes(rarely).astype(np.uint8)
        long_side = max(changes.shape)
        changes = cv2.morphologyEx(changes, cv2.MORPH_OPEN, _disc(0.006 * long_side))
        changes = cv2.morphologyEx(changes, cv2.MORPH_CLOSE, _disc(0.05 * long_side))
        return cv2.dilate(changes, _disc(LOOSE * long_side)) > 0


def beside(window: Box) -> list[Box]:
    """Return what of the frame lies beside a window, as boxes from side to side of the frame, ascending."""
    left, top, right, bottom = window
    boxes = {(0.0, 0.0, 1.0, top), (0.0, bottom, 1.0, 1.0), (0.0, 0.0, left, 1.0), (right, 0.0, 1.0, 1.0)}
    return sorted(box for box in boxes if box[2] > box[0] and box[3] > box[1])


def look(frames: list[Path]) -> Motion:
    """Return the motion of a clip, in samples that differ; a clip with too few of these stands still, and any sample shows it."""
    import cv2

    looked_at = [small(frames[i]) for i in evenly(len(frames), CANDIDATES)]
    different: list[np.ndarray] = []
    for picture in looked_at:
        if all((cv2.absdiff(picture, other) > SAME).mean() > REPEATED for other in different):
            different.append(picture)
    samples = different if len(different) >= SAMPLES // 2 else looked_at
    return Motion(np.stack([samples[i] for i in evenly(len(samples), SAMPLES)]))


def evenly(count: int, most: int) -> list[int]:
    """Return `most` of `count` indices, evenly spread, or all of them."""
    return np.unique(np.linspace(0, count - 1, most).round().astype(int)).tolist()


def small(path: Path) -> np.ndarray:
    """Return a frame in grey, at LONG_SIDE, read-only: the last KEPT of them are asked for again when keyframes are chosen."""
    return _small(path, path.stat().st_mtime_ns)


@lru_cache(KEPT)
def _small(path: Path, _written: int) -> np.ndarray:
    import cv2

    picture = read_picture(path, grey=True)
    shrink = LONG_SIDE / max(picture.shape)
    picture = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) if shrink < 1 else picture
    picture.flags.writeable = False
    return picture


def _bar(black: np.ndarray) -> float:
    """Return the share of the rows of black pixels [N, M] bool that a bar takes, from the first on.

    A bar ends at a picture; a black ground goes on around what stands before it.
    """
    dark = black.mean(1)
    end = len(dark) if (dark > 0.98).all() else int(np.argmin(dark > 0.98))
    beside = dark[end : end + math.ceil(BESIDE * len(dark))]
    return end / len(dark) if not len(beside) or beside.mean() < GROUND else 0.0


def _disc(radius: float) -> np.ndarray:
    """Return a filled disc, at least three pixels wide, for morphology."""
    import cv2

    side = 2 * max(round(radius), 1) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
