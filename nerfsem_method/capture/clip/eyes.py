"""A 3D film may hold a picture for each eye in a frame and not say so: its two halves show the same, a little shifted."""

from __future__ import annotations

import numpy as np

FEATURES, DISTINCT = 500, 0.75
"""So many features of a half are sought in the other one. One is found where its distance is less than this share of the second
best's."""
LEAST = 30
"""So many features lie at the same place of both halves: 123 of the median frame of such a film, 3 of one of a papered wall, and
none of 40 other clips."""
SHIFTED, ASKEW, SPREAD = 0.15, 0.04, 0.06
"""At the same place means shifted by no more than the first share of a half's width and the second of its height, all within the
third of each other: eyes see what is near from other sides."""
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
    """Return how many features lie at the same place of two pictures [h, w]."""
    import cv2

    finder, (height, width) = cv2.ORB.create(FEATURES), first.shape
    (own, ours), (others, theirs) = (finder.detectAndCompute(np.ascontiguousarray(half), None) for half in (first, second))
    if ours is None or theirs is None:
        return 0
    pairs = [pair for pair in cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(ours, theirs, k=2) if len(pair) == 2]
    found = [best for best, next_best in pairs if best.distance < DISTINCT * next_best.distance]
    shifts = np.array([np.subtract(others[match.trainIdx].pt, own[match.queryIdx].pt) for match in found]).reshape(-1, 2)
    near = shifts[(np.abs(shifts) < (SHIFTED * width, ASKEW * height)).all(1)]
    return int((np.abs(near[:, 0] - np.median(near[:, 0])) < SPREAD * width).sum()) if len(near) else 0
