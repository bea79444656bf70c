"""Which frames are compared, and which of their features match. NumPy only: the COLMAP subprocess imports it."""

from __future__ import annotations

import math

import numpy as np

STEPS = (1, 2, 3, 4, 5, 6, 8, 10)
"""Distances in frames between compared frames, for a clip of up to TURN frames."""
TURN = 120
"""Frames of a turn for which STEPS span enough parallax; longer clips are compared at wider steps too."""
MAX_RATIO = 0.9
"""Lowe's ratio between the distances of the best and of the second-best descriptor; verification removes what it lets through."""
MAX_DISTANCE = 0.7
"""Matching descriptors of unit length are nearer to each other than this (COLMAP's max_distance)."""
CLOSURE_ANGLE = 30.0
"""Degrees between the viewing directions of two frames that are worth matching across the loop."""
CLOSURES_PER_FRAME = 8


def sequential_steps(count: int) -> list[int]:
    """Distances between frames to compare in a clip of `count` frames, ascending."""
    stretch = math.ceil(count / TURN)
    steps = {1, 2, 4} | {step * stretch for step in STEPS}
    return sorted(step for step in steps if step < count)


def sequential_pairs(count: int) -> list[tuple[int, int]]:
    """Pairs of frames near each other in video order."""
    return [(i, i + s) for i in range(count) for s in sequential_steps(count) if i + s < count]


def closing_pairs(poses: dict[int, np.ndarray], count: int) -> list[tuple[int, int]]:
    """Pairs far apart in a clip of `count` frames that look from nearly the same side, nearest first for each frame.

    `poses` are cam_from_world [3, 4] by frame.
    """
    frames = sorted(poses)
    axes = np.stack([poses[i][2, :3] for i in frames])
    angle = np.degrees(np.arccos(np.clip(axes @ axes.T, -1, 1)))
    apart = sequential_steps(count)[-1]
    found = set()
    for row, a in enumerate(frames):
        candidates = ((angle[row, column], b) for column, b in enumerate(frames) if abs(a - b) > apart)
        near = sorted((separation, b) for separation, b in candidates if separation < CLOSURE_ANGLE)
        found.update((min(a, b), max(a, b)) for _, b in near[:CLOSURES_PER_FRAME])
    return sorted(found)


def rotation_angle(rotation: np.ndarray) -> float:
    """Angle of a rotation matrix [3, 3] in degrees."""
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))


def mutual_matches(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the mutual nearest neighbours [M, 2] of two sets of SIFT descriptors [*, 128] uint8 that pass the ratio test.

    Nothing here depends on the processor or on the order in which a library adds: sums of products of 8-bit integers are exact in
    float32 (below 128 * 255^2 < 2^24), and all that follows are single correctly rounded operations. Two equal descriptors hence
    have equal similarities, and a feature that exists twice is ambiguous.
    """
    if len(first) < 2 or len(second) < 2:
        return np.empty((0, 2), np.uint32)
    a, b = (np.asarray(descriptors, np.float32) for descriptors in (first, second))
    lengths = [np.sqrt(np.maximum((d * d).sum(1), 1)) for d in (a, b)]
    similarity = (a @ b.T) / lengths[0][:, None] / lengths[1]
    best = similarity.argmax(1)
    back = similarity.argmax(0)
    rows = np.arange(len(first))
    mutual = back[best] == rows
    rows, best = rows[mutual], best[mutual]
    similarity = similarity[rows]
    here = np.arange(len(rows))
    nearest = similarity[here, best]
    similarity[here, best] = -1
    # squared distances between descriptors of unit length; that of two equal ones is 0, not what rounding makes of it
    distance, next_distance = (np.maximum(2 - 2 * s, 0) for s in (nearest, similarity.max(1)))
    good = (distance < MAX_RATIO**2 * next_distance) & (distance < MAX_DISTANCE**2)
    return np.stack([rows[good], best[good]], 1).astype(np.uint32)
