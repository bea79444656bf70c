"""This module poses the frames between keyframes: the model's points are tracked from the nearest keyframes into each of them.

A frame lies a few centimetres from its keyframes, so tracking finds the points to a tenth of a pixel, where describing and
matching features anew would take ten times as long.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nerfsem_method.capture.cameras.gaps import between
from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.media.pictures import read_picture
from nerfsem_method.scene.camera import Intrinsics

WINDOW = 15
"""Points are tracked by windows with so many pixels a side."""
LEVELS = 2
"""Tracking begins in a picture halved so many times: the pose between two keyframes predicts the rest of the way."""
LOSS_SCALE = 0.5
"""This many pixels is the scale of the robust loss of a frame's pose (Cauchy), about twice the noise of a good track."""
ROUNDS, SETTLED = 12, 1e-6
"""A frame's pose settles within so many reweighted steps, and before that where one turns it by no more radians than this, and
moves it by no larger share of the points' distance: a thousandth of a pixel."""
GOOD = 2.0
"""A point fits a frame that it falls into within so many pixels."""
FEWEST, FITTING = 30, 0.25
"""A frame is posed by so many fitting points at least, and by such a share of those that are tracked. Where a keyframe has seven
times as many points as the one before it, .29 to .33 of all fit, to 0.3 pixels."""
MOST = 2000
"""So many points of a keyframe are tracked at most."""


@dataclass(frozen=True)
class Tracks:
    """Tracks are the points of a model as keyframes see them: `pixels` [K, 2] of the points `rows` [K], by keyframe."""

    positions: np.ndarray
    rows: dict[int, np.ndarray]
    pixels: dict[int, np.ndarray]

    @classmethod
    def of(cls, positions: np.ndarray, views: np.ndarray) -> Tracks:
        """Sort the `views` [M, 4] (point, frame, u, v) of the points `positions` [P, 3] by frame."""
        order = np.argsort(views[:, 1], kind="stable")
        frames, starts = np.unique(views[order, 1].astype(int), return_index=True)
        parts = dict(zip(frames.tolist(), np.split(views[order], starts[1:]), strict=True))
        thinned = {frame: part[:: -(-len(part) // MOST)] for frame, part in parts.items()}
        return cls(
            positions,
            {frame: part[:, 0].astype(int) for frame, part in thinned.items()},
            {frame: part[:, 2:].astype(np.float32) for frame, part in thinned.items()},
        )


@dataclass(frozen=True)
class Followed:
    """A frame's pose, cam_from_world [3, 4], and the points that fit it: the `rows` [K], seen at `pixels` [K, 2]."""

    pose: np.ndarray
    rows: np.ndarray
    pixels: np.ndarray

    def views(self, frame: int) -> np.ndarray:
        """Return the views [K, 4] (point, frame, u, v) of this frame."""
        return np.column_stack([self.rows, np.full(len(self.rows), frame), self.pixels])


def follow(
    seen: Followed, picture: np.ndarray, into: np.ndarray, positions: np.ndarray, camera: Intrinsics, guess: np.ndarray
) -> Followed | None:
    """Pose a picture `into` [H, W] uint8, of about the pose `guess`, by what is `seen` of the points `positions` in another one.

    Returns None where too few points can be tracked.
    """
    before = seen.pixels.astype(np.float32)
    return _fitted(camera, guess, positions, *_track(seen.rows, before, picture, into, positions, camera, guess))


def pose_between(
    frames: list[Path],
    known: dict[int, np.ndarray],
    cameras: Sequence[Sequence[Intrinsics]],
    tracks: Tracks,
    advance: Advance,
) -> tuple[dict[int, np.ndarray], np.ndarray, dict[int, int]]:
    """Pose the frames that have no pose yet, each by that of its own `cameras` which most points fit, of equals the first.

    Returns cam_from_world [3, 4] by frame, views [M, 4] (point, frame, u, v) of what fits, and which of its cameras took a frame;
    frames into which too few points can be tracked, and those before the first and after the last keyframe, are left out.
    """
    keys = sorted(set(known) & set(tracks.rows))
    found: dict[int, Followed] = {}
    taken: dict[int, int] = {}
    pictures: dict[int, np.ndarray] = {}
    others = [frame for frame in range(keys[0], keys[-1]) if frame not in known]
    for done, frame in enumerate(others):
        advance(done, len(others))
        after = bisect(keys, frame)
        near = keys[after - 1], keys[after]
        pictures = {key: pictures[key] if key in pictures else read_picture(frames[key], grey=True) for key in near}
        guess = between(known[near[0]], known[near[1]], (frame - near[0]) / (near[1] - near[0]))
        into = read_picture(frames[frame], grey=True)
        seen = [(tracks.rows[key], tracks.pixels[key], pictures[key]) for key in near]
        for number, camera in enumerate(cameras[frame]):
            tracked = [_track(*one, into, tracks.positions, camera, guess) for one in seen]
            answer = _fitted(camera, guess, tracks.positions, *map(np.concatenate, zip(*tracked, strict=True)))
            if answer is not None and (frame not in found or len(answer.rows) > len(found[frame].rows)):
                found[frame], taken[frame] = answer, number
    views = [np.zeros((0, 4)), *(answer.views(frame) for frame, answer in found.items())]
    return {frame: answer.pose for frame, answer in found.items()}, np.concatenate(views), taken


def _track(
    rows: np.ndarray,
    pixels: np.ndarray,
    picture: np.ndarray,
    into: np.ndarray,
    positions: np.ndarray,
    camera: Intrinsics,
    guess: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return those of the points `rows`, seen at `pixels` [K, 2] float32 of a picture, that are found in another one of about the
    pose `guess`, and their pixels there."""
    import cv2

    expected = camera.project(positions[rows], guess)[0].astype(np.float32)
    # OpenCV's pixel centres are integers.
    way = {"flags": cv2.OPTFLOW_USE_INITIAL_FLOW, "winSize": (WINDOW, WINDOW), "maxLevel": LEVELS}
    there, tracked, _ = cv2.calcOpticalFlowPyrLK(picture, into, pixels - 0.5, expected - 0.5, **way)
    inside = ((there > 0) & (there < (camera.width - 1, camera.height - 1))).all(1)
    good = (tracked.ravel() == 1) & inside
    return rows[good], (there[good] + 0.5).astype(float)


def _fitted(
    camera: Intrinsics, guess: np.ndarray, positions: np.ndarray, rows: np.ndarray, pixels: np.ndarray
) -> Followed | None:
    """Return the pose near `guess` of a frame that shows the points `rows` at `pixels` [K, 2], or None where too few fit."""
    if len(rows) < FEWEST:
        return None
    pose, error = fit_pose(camera, guess, positions[rows], pixels)
    good = error < GOOD
    return Followed(pose, rows[good], pixels[good]) if good.sum() >= max(FEWEST, FITTING * len(rows)) else None


def fit_pose(camera: Intrinsics, guess: np.ndarray, points: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cam_from_world [3, 4] near `guess` under which `points` [N, 3] fall on `pixels` [N, 2], and their errors [N].

    The errors are in pixels of the undistorted picture. Reweighted Gauss-Newton steps minimise a Cauchy loss of LOSS_SCALE.
    """
    import cv2

    rotation, shift = guess[:, :3], guess[:, 3]
    seen = camera.pixel_directions(pixels)[:, :2]
    scale = np.array([camera.fx, camera.fy])

    def missed() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        local = points @ rotation.T + shift
        depth = np.where(np.abs(local[:, 2]) < 1e-9, 1e-9, local[:, 2])
        flat = local[:, :2] / depth[:, None]
        return flat, depth, (seen - flat) * scale

    for _ in range(ROUNDS):
        flat, depth, off = missed()
        (x, y), one = flat.T, np.ones(len(depth))
        turn = np.stack([[-x * y, one + x * x, -y], [-one - y * y, x * y, x]]).transpose(2, 0, 1)
        step = np.stack([[one, 0 * one, -x], [0 * one, one, -y]]).transpose(2, 0, 1) / depth[:, None, None]
        slope = np.concatenate([turn, step], -1) * scale[:, None]
        weighted = slope / (1 + (off**2).sum(1) / LOSS_SCALE**2)[:, None, None]
        normal = np.einsum("nij,nik->jk", slope, weighted) + 1e-9 * np.eye(6)
        change = np.linalg.solve(normal, np.einsum("nij,ni->j", weighted, off))
        small = cv2.Rodrigues(change[:3])[0]
        rotation, shift = small @ rotation, small @ shift + change[3:]
        if np.abs(change / [1, 1, 1, *[abs(float(depth.mean()))] * 3]).max() < SETTLED:
            break
    return np.column_stack([rotation, shift]), np.linalg.norm(missed()[2], axis=1)
