"""This module fills short gaps between known poses, as far as the clip's own motion shows that guessing is good enough there."""

from __future__ import annotations

import numpy as np

from nerfsem_method.scene.camera import Intrinsics, camera_centres, look_at_point

TOLERANCE = 0.0015
"""A guessed pose may be off by so many diagonals of the frame where the cameras look: about a pixel and a half at 480x854."""
FEWEST_TRIALS = 5
"""So few frames with a known pose on both sides say nothing about how good a guess is."""


def between(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Return the pose [3, 4] at a share of the way from one to another: constant rotation, and a straight line of the centre."""
    import cv2

    turn, _ = cv2.Rodrigues(second[:, :3] @ first[:, :3].T)
    rotation = cv2.Rodrigues(share * turn)[0] @ first[:, :3]
    centres = camera_centres(np.stack([first, second]))
    return np.column_stack([rotation, -rotation @ (centres[0] + share * (centres[1] - centres[0]))])


def fill_gaps(known: dict[int, np.ndarray], count: int, camera: Intrinsics) -> np.ndarray:
    """Return poses [count, 3, 4]: the known ones, guesses in short gaps, and NaN where nothing can be known.

    A gap is short when guesses across as many frames elsewhere in the clip, where the truth is known, are off by less than
    TOLERANCE in the median. Before the first and after the last known pose nothing is guessed.
    """
    poses = np.full((count, 3, 4), np.nan)
    for frame, pose in known.items():
        poses[frame] = pose
    anchors = sorted(known)
    limit = TOLERANCE * np.hypot(camera.width, camera.height)
    widest = 1
    for first, second in sorted(zip(anchors, anchors[1:], strict=False), key=lambda gap: gap[1] - gap[0]):
        width = second - first
        if width > widest:
            error = guessing_error(known, width, camera)
            if error is None or error > limit:
                break  # What is wider is worse.
            widest = width
        for frame in range(first + 1, second):
            poses[frame] = between(known[first], known[second], (frame - first) / width)
    return poses


def guessing_error(known: dict[int, np.ndarray], width: int, camera: Intrinsics) -> float | None:
    """Return by how many pixels, in the median, poses in the middle between known ones `width` frames apart are guessed wrong.

    The answer is None where too few frames are known on both sides.
    """
    middle = width // 2
    triples = [(i, i + middle, i + width) for i in sorted(known) if i + middle in known and i + width in known]
    if len(triples) < FEWEST_TRIALS:
        return None
    target = look_at_point(np.stack(list(known.values())))
    off = []
    for first, frame, last in triples:
        guess = between(known[first], known[last], middle / width)
        there, here = (pose[:, :3] @ target + pose[:, 3] for pose in (known[frame], guess))
        shift = camera.fx * np.linalg.norm(there / there[2] - here / here[2])
        roll = known[frame][:, :3] @ guess[:, :3].T
        scale = 0.25 * camera.width * abs(there[2] / here[2] - 1)
        off.append(shift + scale + 0.25 * camera.width * abs(np.arctan2(roll[1, 0], roll[0, 0])))
    return float(np.median(off))
