"""This module finds the object's box by its visual hull and makes it the unit cube, z up."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from nerfsem_method.errors import CaptureError
from nerfsem_method.scene.camera import FrameCameras, Intrinsics, camera_centres, look_at_point
from nerfsem_method.scene.hull import carve

BORDER = 0.03
"""This share of the box stays empty on each side of the hull, for what the hull misses."""
ROUNDS = (48, 64, 96)
"""The first round and the tightening ones have so many voxels along the box."""
MIN_POINTS = 20
"""From so many points on, their median tells the object's middle better than the point where the optical axes meet."""
LONG_SIDE = 640
"""The hull is carved on mattes with so many pixels along their longer side: five of them are a voxel of the last round."""
HULL_TOLERANCE = 0.15
"""This share of the views may miss a voxel: poses and mattes of a real clip disagree by a few pixels somewhere."""

FULL_RING, FLAT_RING = 0.4, 0.5
"""A ring of cameras is at least so wide, in shares of its length, that it goes half around, and is no thicker, in shares of its
width. Less than half a turn may as well go over the object as around it."""
ACROSS = 0.7
"""A ring's axis lies along the rows or columns of a picture if its cosine to them is larger."""
TURNED = 0.1
"""A share of the pictures that is smaller than this says nothing of which way is up."""
LEVEL, LEVEL_ROUNDS, LEVEL_SPREAD = 0.05, 8, 0.05
"""Rows that are less askew than the first, the sine of three degrees, count alike, others the less; so many rounds settle which.
Rows tell what is across them from a mean square of their second direction on, that of 45 degrees of a turn."""
ONE_PITCH, LEAN = 0.94, 30
"""Pictures tell what is above if the median cosine between that and its mean is larger: that of an arc of 80 degrees. Otherwise
directions so many degrees apart are asked, for a support is found within 20 degrees of level."""


@dataclass(frozen=True)
class Similarity:
    """A similarity takes positions to new units: new = scale * rotation @ old + shift."""

    scale: float
    rotation: np.ndarray
    shift: np.ndarray

    def points(self, old: np.ndarray) -> np.ndarray:
        """Return positions [P, 3] in new units."""
        return self.scale * old @ self.rotation.T + self.shift

    def poses(self, old: np.ndarray) -> np.ndarray:
        """Return cam_from_world [N, 3, 4] for points in new units; camera axes keep their directions."""
        rotation = old[:, :, :3] @ self.rotation.T
        return np.concatenate([rotation, (self.scale * old[:, :, 3] - rotation @ self.shift)[..., None]], -1)

    def cameras(self, old: FrameCameras) -> FrameCameras:
        """Return the cameras for points in new units."""
        return replace(old, poses=self.poses(old.poses))


def upright(poses: np.ndarray) -> np.ndarray:
    """Return the rotation [3, 3] that takes the way up, see `_up`, to +z."""
    return towards_z(_up(poses))


def towards_z(up: np.ndarray) -> np.ndarray:
    """Return the rotation [3, 3] that takes a direction [3] to +z by the shortest way."""
    cross, cosine = np.cross(up, (0.0, 0.0, 1.0)), up[2]
    if cosine < -0.999999:
        return np.diag([1.0, -1.0, -1.0])
    skew = np.array([[0, -cross[2], cross[1]], [cross[2], 0, -cross[0]], [-cross[1], cross[0], 0]])
    return np.eye(3) + skew + skew @ skew / (1 + cosine)


def _up(poses: np.ndarray) -> np.ndarray:
    """Return the direction [3] that is up to cameras at poses [N, 3, 4]: across the rows of their pictures.

    A film whose pictures lie on their side, as one does that has lost its tag of rotation, circles about an axis that is across
    its pictures. There this axis is upright, and up is where the cameras are, for things are looked at from above. Where only
    some frames lie so, for the camera was turned meanwhile, up is what it is to the others.
    """
    centres = camera_centres(poses)
    spread = centres - centres.mean(0)
    extents, directions = np.linalg.eigh(spread.T @ spread)
    axis, (thin, wide, long) = directions[:, 0], np.sqrt(extents.clip(0))
    right, down, forward = (poses[:, :, :3] @ axis).T
    lying = (abs(right) > ACROSS) & (abs(right) > 2 * abs(down))
    standing = (abs(down) > ACROSS) & (abs(down) > 2 * abs(right))
    if wide > FULL_RING * long and thin < FLAT_RING * wide and lying.mean() > TURNED:
        up = -axis * np.copysign(1.0, (down[standing] if standing.mean() > TURNED else forward).sum())
    else:
        up = _across_rows(poses)
    return up / np.linalg.norm(up)


def _across_rows(poses: np.ndarray) -> np.ndarray:
    """Return the direction [3] that lies across all pictures' rows.

    People hold a camera level, and the mean image -y of a turn that stays open leans towards its middle where the camera looks
    down. Rows that hardly differ in their directions do not tell what is across them all; there it is that mean.
    """
    rows, ups = poses[:, 0, :3], -poses[:, 1, :3]
    weights = np.ones(len(rows))
    for _ in range(LEVEL_ROUNDS):
        spread, directions = np.linalg.eigh((weights[:, None] * rows).T @ rows / weights.sum())
        if spread[1] < LEVEL_SPREAD:
            return ups.mean(0)
        weights = 1 / np.abs(rows @ directions[:, 0]).clip(LEVEL)
    return directions[:, 0] * np.sign(directions[:, 0] @ (weights @ ups))


def ups_over_the_top(poses: np.ndarray) -> np.ndarray:
    """Return directions [D, 3], one of which is nearly up, where cameras at poses [N, 3, 4] go over the object; else none.

    All rows are alike there, but what is above in the pictures is not, and none of it need be up. The directions are those
    across the rows, LEAN degrees apart, those that are nearest to the mean of what is above first. A relief may be filmed so,
    too, but hardly from so far above and below.
    """
    rows, ups = poses[:, 0, :3], -poses[:, 1, :3]
    spread, directions = np.linalg.eigh(rows.T @ rows / len(rows))
    mean = ups.mean(0)
    if spread[1] >= LEVEL_SPREAD or np.median(ups @ mean) > ONE_PITCH * np.linalg.norm(mean):
        return np.zeros((0, 3))
    across = directions[:, :2].T
    first = np.arctan2(*(across @ mean)[::-1])
    angles = first + np.radians([side * angle for angle in range(0, 181, LEAN) for side in (1, -1)])
    return np.column_stack([np.cos(angles), np.sin(angles)]) @ across


def unit_box(
    cameras: FrameCameras,
    mattes: np.ndarray,
    points: np.ndarray,
    tolerance: float = HULL_TOLERANCE,
    turn: np.ndarray | None = None,
) -> Similarity:
    """Return the similarity under which the object's hull, with BORDER around it, fills the unit cube.

    `mattes` are [N, H, W] uint8 at the cameras' size; `points` [P, 3] are triangulated points on the
    object, possibly none; `tolerance` is the share of views that may miss a voxel, and the rotation `turn` [3, 3] takes the way
    up to +z, as `upright` does. Raises CaptureError when nothing survives carving.
    """
    camera = cameras.camera
    shrink = min(1.0, LONG_SIDE / max(camera.width, camera.height))
    if shrink < 1:
        cameras = cameras.scaled(round(shrink * camera.width), round(shrink * camera.height))
        mattes = _with_thin_parts(shrunk(mattes, cameras.camera), mattes)
    rotated = Similarity(1.0, upright(cameras.poses) if turn is None else turn, np.zeros(3))
    turned = rotated.cameras(cameras)
    few = len(points) < MIN_POINTS
    middle = look_at_point(turned.poses) if few else np.median(rotated.points(points), axis=0)
    half = _generous_half_size(turned, mattes, middle)
    lower, size = middle - half, 2 * half
    for resolution in ROUNDS:
        hull = carve_coarsely(turned, mattes, resolution, lower, size, tolerance)
        if not hull.any():
            raise CaptureError(
                "the cameras and the mattes disagree: no point of space lies inside the object in all frames; check "
                "that the mattes belong to this video and show the same object throughout"
            )
        inside = np.argwhere(hull)
        step = size / resolution
        low, high = lower + inside.min(0) * step, lower + (inside.max(0) + 1) * step
        size = float((high - low).max()) * (1 + 2 * BORDER)
        lower = (low + high) / 2 - size / 2
    return Similarity(1 / size, rotated.rotation, -lower / size)


def shrunk(mattes: np.ndarray, camera: Intrinsics) -> np.ndarray:
    """Return the mattes [N, H, W] uint8 at the size of a camera that sees fewer pixels."""
    import cv2

    return np.stack([cv2.resize(matte, (camera.width, camera.height), interpolation=cv2.INTER_AREA) for matte in mattes])


def _with_thin_parts(small: np.ndarray, mattes: np.ndarray) -> np.ndarray:
    """Return mattes that were made smaller with what is lost of thin parts, such as strings, for the box must hold them, too."""
    import cv2

    height, width = small.shape[1:]
    block = np.ones([math.ceil(large / less) for large, less in zip(mattes.shape[1:], (height, width), strict=True)], np.uint8)
    for less, matte in zip(small, mattes, strict=True):
        anywhere = cv2.resize(cv2.dilate(matte, block), (width, height), interpolation=cv2.INTER_NEAREST) > 127
        near = cv2.dilate((less > 127).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        less[anywhere & ~near] = 255
    return small


def _generous_half_size(cameras: FrameCameras, mattes: np.ndarray, middle: np.ndarray) -> float:
    """Return half the edge of a cube around `middle` that contains all that the mattes show."""
    reach = []
    for index, matte in enumerate(mattes):
        camera = cameras.camera_of(index)
        (u, v), depth = camera.project(middle, cameras.poses[index])
        rows, columns = np.nonzero(matte > 127)
        if len(rows) and depth > 0:
            pixels = max(abs(columns - u).max() / camera.fx, abs(rows - v).max() / camera.fy)
            reach.append(pixels * depth)
    distance = np.linalg.norm(camera_centres(cameras.poses) - middle, axis=1)
    # One frame with a stray blob must not blow up the box, hence the quantile; the cameras must stay outside of it
    return float(min(1.2 * np.quantile(reach, 0.9), 0.9 * np.median(distance))) if reach else float(np.median(distance))


def carve_coarsely(
    cameras: FrameCameras,
    mattes: np.ndarray,
    resolution: int,
    lower: np.ndarray,
    size: float,
    tolerance: float,
) -> np.ndarray:
    """Return the hull of mattes grown by half a voxel's diagonal, [R, R, R] bool: nothing thinner than a voxel is lost."""
    camera = cameras.camera
    distance = np.median(np.linalg.norm(camera_centres(cameras.poses) - (lower + size / 2), axis=1) / cameras.factors)
    voxel_pixels = max(camera.fx, camera.fy) * size / resolution / distance
    margin = 1.0 + 0.87 * voxel_pixels
    return carve(cameras, mattes, resolution, lower, size, margin_pixels=margin, tolerance=tolerance)
