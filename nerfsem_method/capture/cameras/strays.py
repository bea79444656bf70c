"""Frames of a film that a model puts aside get the poses that the frames before and after them say.

Where somebody walks through the picture, or a wall shows more for a moment than the object does, most features of a few frames
agree with each other and with nothing else. The model follows them, and the camera jumps there and back.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from nerfsem_method.capture.cameras.between import Tracks, pose_between
from nerfsem_method.log import LOG
from nerfsem_method.media.matte_names import frames_text
from nerfsem_method.scene.camera import Intrinsics, camera_centres, look_at_point

JUMP, LEAST_JUMP = 4.0, 2.0
"""A camera jumps where it goes so many times as far around what it looks at, from one frame to the next, as in the mean; it is no
jump below the second, in degrees."""
LONGEST = 0.25
"""No more than this share of the frames lies aside: of two parts, neither is the stray one."""
POSED = 0.9
"""So many of the frames must find their place among the others, or nothing is changed: a film may be cut."""


def brought_back(
    frames: list[Path], known: dict[int, np.ndarray], points: dict[str, np.ndarray], camera: Intrinsics
) -> tuple[dict[int, np.ndarray], dict[str, np.ndarray]]:
    """Return the poses by frame, and `points` ("positions", "colours", "views") without those that strays alone have seen.

    `known` has cam_from_world [3, 4] of the frames with a pose; a view is (point, frame, u, v).
    """
    for stretch in stray_stretches(known):
        before, after = max(f for f in known if f < stretch[0]), min(f for f in known if f > stretch[-1])
        views = points["views"]
        beside = views[np.isin(views[:, 1], (before, after))]
        if set(beside[:, 1]) != {before, after}:
            continue
        ends = {frame: known[frame] for frame in (before, after)}
        found, seen = pose_between(frames, ends, camera, Tracks.of(points["positions"], beside), lambda done, total: None)
        others = {frame: pose for frame, pose in known.items() if not stretch[0] <= frame <= stretch[-1]}
        if len(set(found) & set(stretch)) >= POSED * len(stretch) and not _jumps({**others, **found}, stretch):
            LOG.info("frames %s are posed anew, by the frames beside them", frames_text(sorted(found)))
            known = {**others, **found}
            points = _with_views(points, np.concatenate([views[~np.isin(views[:, 1], stretch)], seen]))
    return known, points


def stray_stretches(known: dict[int, np.ndarray]) -> list[list[int]]:
    """Return the stretches of frames, ascending, before and after which the camera jumps; `known` has poses [3, 4] by frame."""
    frames, steps = sorted(known), _steps(known)
    jumps = np.flatnonzero((steps > JUMP * steps.mean()) & (steps > LEAST_JUMP)) if len(steps) else []
    stretches = [frames[first + 1 : last + 1] for first, last in pairwise(jumps)]
    return [stretch for stretch in stretches if len(stretch) <= LONGEST * len(frames)]


def _jumps(known: dict[int, np.ndarray], stretch: list[int]) -> bool:
    """Return whether the camera jumps just before, within or just after a stretch of frames."""
    frames, steps = sorted(known), _steps(known)
    near = [first < stretch[-1] + 1 and second >= stretch[0] for first, second in pairwise(frames)]
    return bool((steps[near] > JUMP * steps.mean()).any())


def _steps(known: dict[int, np.ndarray]) -> np.ndarray:
    """Return by how many degrees the camera turns, or goes around what it looks at, from each frame to the next: [N - 1].

    Where frames in between have no pose, it is the mean of the way across.
    """
    frames = sorted(known)
    poses = np.stack([known[frame] for frame in frames])
    turns = np.einsum("nij,nij->n", poses[1:, :, :3], poses[:-1, :, :3])
    angles = np.degrees(np.arccos(((turns - 1) / 2).clip(-1, 1)))
    rays = camera_centres(poses) - look_at_point(poses)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    around = np.degrees(np.arccos((rays[1:] * rays[:-1]).sum(1).clip(-1, 1)))
    return np.maximum(angles, around) / np.diff(frames)


def _with_views(points: dict[str, np.ndarray], views: np.ndarray) -> dict[str, np.ndarray]:
    """Return points with other views, without those that no view has."""
    kept, rows = np.unique(views[:, 0].astype(int), return_inverse=True)
    return {
        **points,
        "positions": points["positions"][kept],
        "colours": points["colours"][kept],
        "views": np.column_stack([rows, views[:, 1:]]),
    }
