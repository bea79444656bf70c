"""This module says which frames are compared and which of their features match, with NumPy alone."""

from __future__ import annotations

import math

import numpy as np

from nerfsem_method.capture.colmap.job import dense

STEPS, FEWER_STEPS = (1, 2, 3, 4, 5, 6, 8, 10), (1, 2, 3, 5, 8)
"""Frames are compared that are so many frames apart, in a clip of up to TURN frames; the second are enough for a dense clip."""
TURN = 120
"""STEPS span enough parallax in a turn of so many frames; longer clips are compared at wider steps too."""
MAX_RATIO = 0.9
"""The best descriptor is nearer than the second-best by this ratio (Lowe 2004, section 7.1); verification removes what it lets
through."""
MAX_DISTANCE = 0.7
"""Matching descriptors of unit length are nearer to each other than this (COLMAP's max_distance)."""
BLOCK = 256
"""The similarities of so many features with all of another frame's stay in the processor's cache."""
ALIKE = 6
"""A frame that video order leaves out is matched with so many others that look most like it."""
FEWEST_ALIKE = 8
"""Frames have at least so many of their largest features in common before they are matched in full."""
ENDS = np.array([1.0, 0.5, 0.25])
"""So much the last frames at an end of a found order say about which one is next."""
CLOSURE_ANGLE = 30.0
"""Two frames are worth matching across the loop when their viewing directions differ by fewer degrees than this."""
CLOSURES_PER_FRAME = 8
"""A frame is matched across the loop with at most so many others, so that several turns are matched as quickly as one."""


def sequential_steps(count: int, reach: int = 0) -> list[int]:
    """Return the distances between frames to compare in a clip of `count` frames, ascending, up to `reach` if that is not 0.

    Farther apart than that, frames show another side, and on a turned vessel that looks like this one.
    """
    stretch = 1 if reach else math.ceil(count / TURN)
    some, more = ({1, 2}, FEWER_STEPS) if dense(count) else ({1, 2, 4}, STEPS)
    steps = some | {step * stretch for step in more}
    return sorted(step for step in steps if step < count and step <= (reach or count))


def sequential_pairs(count: int, reach: int = 0) -> list[tuple[int, int]]:
    """Return the pairs of frames near each other in video order."""
    return [(i, i + s) for i in range(count) for s in sequential_steps(count, reach) if i + s < count]


def closing_pairs(poses: dict[int, np.ndarray], count: int, reach: int = 0) -> list[tuple[int, int]]:
    """Return the pairs far apart in a clip of `count` frames that look from nearly the same side, ascending.

    Those up to `reach` apart, or as far apart as frames are compared anyway, are none. `poses` are cam_from_world [3, 4] by
    frame; each frame is paired with the CLOSURES_PER_FRAME nearest.
    """
    frames = sorted(poses)
    axes = np.stack([poses[i][2, :3] for i in frames])
    angle = np.degrees(np.arccos(np.clip(axes @ axes.T, -1, 1)))
    apart = reach or sequential_steps(count)[-1]
    found = set()
    for row, a in enumerate(frames):
        candidates = ((angle[row, column], b) for column, b in enumerate(frames) if abs(a - b) > apart)
        near = sorted((separation, b) for separation, b in candidates if separation < CLOSURE_ANGLE)
        found.update((min(a, b), max(a, b)) for _, b in near[:CLOSURES_PER_FRAME])
    return sorted(found)


def alike(largest: list[np.ndarray], lost: list[int], reach: int = 0) -> list[tuple[int, int]]:
    """Return the pairs of each of the `lost` frames and those that look most like it, farther apart than video order looks.

    `largest` are the descriptors [K, 128] uint8 of the largest features of every frame.
    """
    near = set(sequential_pairs(len(largest), reach))
    found = set()
    for a in lost:
        others = [b for b in range(len(largest)) if b != a and (min(a, b), max(a, b)) not in near]
        common = sorted(((len(mutual_matches(largest[a], largest[b])), b) for b in others), reverse=True)
        found.update((min(a, b), max(a, b)) for count, b in common[:ALIKE] if count >= FEWEST_ALIKE)
    return sorted(found)


def by_likeness(common: np.ndarray) -> list[int]:
    """Return all frames in an order in which each looks like those beside it, which is the camera's way up to its direction.

    It begins with the two that look most alike; then the frame goes to that end whose last frames, weighted by ENDS, it has most
    in common with. `common` [N, N] is how many of their largest features two frames have in common.
    """
    count = len(common)
    common = np.where(np.eye(count, dtype=bool), -1.0, common)  # A frame is not its own neighbour, even where no two are alike.
    way = [int(i) for i in np.unravel_index(common.argmax(), common.shape)] if count > 1 else list(range(count))
    left = [frame for frame in range(count) if frame not in way]
    while left:
        ends = (way[: len(ENDS)], way[: -len(ENDS) - 1 : -1])
        likeness = np.array([ENDS[: len(way)] @ common[np.ix_(end, left)] for end in ends])
        end, place = np.unravel_index(likeness.argmax(), likeness.shape)
        way.insert(0 if end == 0 else len(way), left.pop(place))
    return way


def rotation_angle(rotation: np.ndarray) -> float:
    """Return the angle of a rotation matrix [3, 3] in degrees."""
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
    shares = [1 / np.sqrt(np.maximum((d * d).sum(1), 1)) for d in (a, b)]  # To multiply is quicker than to divide by lengths.
    best, nearest, next_nearest = np.empty(len(a), int), np.empty(len(a), np.float32), np.empty(len(a), np.float32)
    back, nearest_back = np.full(len(b), -1), np.full(len(b), -1, np.float32)
    block = np.empty((BLOCK, len(b)), np.float32)
    for start in range(0, len(a), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(a)))
        similarity = np.matmul(a[rows], b.T, out=block[: len(rows)])
        similarity *= shares[0][rows, None]
        similarity *= shares[1]
        here, largest = similarity.argmax(1), similarity.max(0)
        nearer = largest > nearest_back
        nearest_back[nearer], back[nearer] = largest[nearer], -1
        asked = np.unique(here[nearer[here]])  # What no feature of this block is nearest to has no mutual neighbour in it.
        back[asked] = start + similarity[:, asked].argmax(0)
        best[rows], nearest[rows] = here, similarity[rows - start, here]
        similarity[rows - start, here] = -1
        next_nearest[rows] = similarity.max(1)
    mutual = np.flatnonzero(back[best] == np.arange(len(a)))
    # The squared distance of two equal descriptors of unit length is 0, not what rounding makes of it
    distance, next_distance = (np.maximum(2 - 2 * s[mutual], 0) for s in (nearest, next_nearest))
    good = (distance < MAX_RATIO**2 * next_distance) & (distance < MAX_DISTANCE**2)
    return np.stack([mutual[good], best[mutual[good]]], 1).astype(np.uint32)
