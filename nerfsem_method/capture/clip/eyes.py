"""A 3D film may hold a picture for each eye in a frame and not say so: its two halves show the same, a little shifted."""

from __future__ import annotations

import numpy as np

FEATURES, DISTINCT = 500, 0.75
"""So many features of a picture are sought in the other one. One is found where its distance is less than this share of the
second best's."""
LEAST = 30
"""So many features lie at the same place of both halves: 123 of the median frame of such a film, 3 of one of a papered wall, and
none of 40 other clips."""
SHIFTED, ASKEW, SPREAD = 0.15, 0.04, 0.06
"""At the same place means shifted by no more than the first share of a half's width and the second of its height, all within the
third of each other: eyes see what is near from other sides."""
MANY = 0.25
"""They are such a share of a half's features: .36 of that film's. Two things that are alike before a wall have .19."""
HALVES = {"side by side": "crop=iw/2:ih:0:0", "top and bottom": "crop=iw:ih/2:0:0"}
"""These of ffmpeg's filters keep one eye's picture."""


def eyes(samples: np.ndarray) -> str:
    """Return which of HALVES lie in a clip's `samples` [S, H, W] uint8, grey; "" where each frame is one picture."""
    height, width = samples.shape[1:]
    for kind, (top, left) in {"side by side": (0, width - width // 2), "top and bottom": (height - height // 2, 0)}.items():
        first, second = samples[:, : height - top, : width - left], samples[:, top:, left:]
        if np.median([_alike(one, other) for one, other in zip(first, second, strict=True)]) >= LEAST:
            return kind
    return ""


def _alike(first: np.ndarray, second: np.ndarray) -> int:
    """Return how many features lie at the same place of two pictures [h, w]; 0 where they are not MANY of the first one's."""
    height, width = first.shape
    before, after, count = found_again(first, second)
    shifts = after - before
    near = (np.abs(shifts) < (SHIFTED * width, ASKEW * height)).all(1)
    if near.any():
        near &= np.abs(shifts[:, 0] - np.median(shifts[near, 0])) < SPREAD * width
    return int(near.sum()) if near.sum() >= MANY * count else 0


def found_again(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return where features of a grey picture lie in it [M, 2], and where they are found in another one, and how many it has."""
    import cv2

    finder = cv2.ORB.create(FEATURES)
    everywhere = np.full(first.shape, 255, np.uint8), np.full(second.shape, 255, np.uint8)
    own, ours = finder.detectAndCompute(np.ascontiguousarray(first), everywhere[0])
    others, theirs = finder.detectAndCompute(np.ascontiguousarray(second), everywhere[1])
    if ours is None or theirs is None:
        return np.zeros((0, 2)), np.zeros((0, 2)), len(own)
    pairs = [pair for pair in cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(ours, theirs, k=2) if len(pair) == 2]
    found = [best for best, next_best in pairs if best.distance < DISTINCT * next_best.distance]
    before = np.array([own[match.queryIdx].pt for match in found]).reshape(-1, 2)
    after = np.array([others[match.trainIdx].pt for match in found]).reshape(-1, 2)
    return before, after, len(own)
