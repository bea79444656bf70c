"""A camera is described by its intrinsics, COLMAP's OPENCV model, and by one pose a frame.

Conventions: OpenCV axes (x right, y down, z forward), pixel centres at +0.5, P_c = R P_w + t. `distorted` and `undistorted` are
plain arithmetic, so that there is one formula for NumPy arrays, torch tensors and compiled loops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nerfsem_method.errors import CaptureError

UNDISTORTION_STEPS = 8
"""A pixel is undistorted by this many fixed-point steps; the number is part of the format, so that all decoders agree."""
STEEPEST = 1e3
"""Ideal coordinates stay within +- this from step to step: absurd coefficients must not give rays that are not numbers."""
Window = tuple[float, float, float, float]
"""A window is the part of a frame that its picture fills: left, top, right and bottom in shares of its width and height."""
FULL: Window = (0.0, 0.0, 1.0, 1.0)
HARDLY = 1e-6
"""So much of a pixel is nothing but rounding."""
LOOK_AT_ROUNDS = 30
"""So many rounds bring the point that all cameras look at back from where poses that are far off pull it."""

# The parameters of each camera model, in COLMAP's order, go to these indices of (fx, fy, cx, cy, k1, k2, p1, p2).
_COLMAP_MODELS = {
    "SIMPLE_PINHOLE": ((0, 1), 2, 3),
    "PINHOLE": (0, 1, 2, 3),
    "SIMPLE_RADIAL": ((0, 1), 2, 3, 4),
    "RADIAL": ((0, 1), 2, 3, 4, 5),
    "OPENCV": (0, 1, 2, 3, 4, 5, 6, 7),
}


def distorted(x: Any, y: Any, k1: Any, k2: Any, p1: Any, p2: Any) -> tuple[Any, Any]:
    """Return the distorted normalised coordinates of ideal ones (x, y), element by element.

    The model is OpenCV's radial-tangential one: r^2 = x^2 + y^2, x' = x (1 + k1 r^2 + k2 r^4) + 2 p1 x y + p2 (r^2 + 2 x^2), and
    y' likewise with x and y, p1 and p2 exchanged.
    """
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * k2)
    return (
        x * radial + (2 * p1 * x * y + p2 * (r2 + 2 * x * x)),
        y * radial + (p1 * (r2 + 2 * y * y) + 2 * p2 * x * y),
    )


def undistorted(x: Any, y: Any, k1: Any, k2: Any, p1: Any, p2: Any) -> tuple[Any, Any]:
    """Return the ideal coordinates of distorted arrays (x, y): UNDISTORTION_STEPS fixed-point steps invert `distorted`."""
    u, v = x, y
    for _ in range(UNDISTORTION_STEPS):
        a, b = distorted(u, v, k1, k2, p1, p2)
        u, v = (u + x - a).clip(-STEEPEST, STEEPEST), (v + y - b).clip(-STEEPEST, STEEPEST)
    return u, v


def camera_centres(poses: np.ndarray) -> np.ndarray:
    """Return the camera centres [N, 3], -R^T t, of cam_from_world matrices [N, 3, 4]."""
    return -np.einsum("nji,nj->ni", poses[:, :, :3], poses[:, :, 3])


def ring_radius(poses: np.ndarray) -> float:
    """Return the largest distance of a camera at poses [N, 3, 4] from the middle of the unit cube."""
    return float(np.linalg.norm(camera_centres(poses) - 0.5, axis=1).max())


def look_at_point(poses: np.ndarray) -> np.ndarray:
    """Return the point [3] that is nearest to all optical axes of cam_from_world [N, 3, 4].

    The nearer half of the axes counts by squares of their distances, the farther half by distances (Huber 1964, with the median
    as its bound), so that a few wrong poses do not move the point. Each round is weighted least squares.
    """
    axes, centres = poses[:, 2, :3], camera_centres(poses)
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    weights = np.ones(len(poses))
    point = np.zeros(3)
    for _ in range(LOOK_AT_ROUNDS):
        weighted = weights[:, None, None] * across
        point = np.linalg.lstsq(weighted.sum(0), np.einsum("nij,nj->i", weighted, centres), rcond=None)[0]
        distances = np.linalg.norm(np.einsum("nij,nj->ni", across, point - centres), axis=1)
        weights = 1 / np.maximum(distances, max(float(np.median(distances)), 1e-12))
    return point


@dataclass(frozen=True)
class Intrinsics:
    """The intrinsics are those of one camera for the whole clip, in COLMAP's OPENCV model; frames may be `zoomed`.

    Lengths are in pixels of a `width` x `height` frame; k1, k2, p1 and p2 have no unit.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0

    @classmethod
    def from_colmap(cls, model: str, width: int, height: int, params: list[float]) -> Intrinsics:
        """Return the camera of COLMAP's model name and parameters. Raises CaptureError for one without an OPENCV equivalent."""
        if model not in _COLMAP_MODELS or len(params) != len(_COLMAP_MODELS[model]):
            known = ", ".join(_COLMAP_MODELS)
            raise CaptureError(f"camera model {model} with {len(params)} parameters is not supported; use one of {known}")
        values = [0.0] * 8
        for indices, value in zip(_COLMAP_MODELS[model], params, strict=True):
            for index in indices if isinstance(indices, tuple) else (indices,):
                values[index] = float(value)
        return cls(width, height, *values)

    @property
    def params(self) -> tuple[float, ...]:
        """Return (fx, fy, cx, cy, k1, k2, p1, p2), which is COLMAP's OPENCV order."""
        return (self.fx, self.fy, self.cx, self.cy, self.k1, self.k2, self.p1, self.p2)

    @property
    def distortion(self) -> tuple[float, float, float, float]:
        """Return the lens distortion (k1, k2, p1, p2)."""
        return (self.k1, self.k2, self.p1, self.p2)

    def scaled(self, width: int, height: int) -> Intrinsics:
        """Return the same camera, seen through a frame of another size in pixels."""
        sx, sy = width / self.width, height / self.height
        return Intrinsics(width, height, self.fx * sx, self.fy * sy, self.cx * sx, self.cy * sy, *self.distortion)

    def zoomed(self, zoom: float) -> Intrinsics:
        """Return a camera of `zoom` times this focal length, with the same distortion, as an enlarged picture has."""
        return replace(self, fx=self.fx * zoom, fy=self.fy * zoom)

    def fitted(self, width: int, height: int) -> Intrinsics:
        """Return the same camera with a frame of another shape around all that it sees: nothing is stretched or cut off."""
        scale = min(width / self.width, height / self.height)
        cx, cy = width / 2 + (self.cx - self.width / 2) * scale, height / 2 + (self.cy - self.height / 2) * scale
        return Intrinsics(width, height, self.fx * scale, self.fy * scale, cx, cy, *self.distortion)

    def pixel_directions(self, pixels: np.ndarray) -> np.ndarray:
        """Return the undistorted camera-space directions (x, y, 1) [..., 3] of image positions (u, v) [..., 2] in pixels."""
        x, y = np.moveaxis((pixels - (self.cx, self.cy)) / (self.fx, self.fy), -1, 0)
        u, v = undistorted(x, y, *self.distortion)
        return np.stack([u, v, np.ones_like(u)], -1)

    def unit_directions(self) -> np.ndarray:
        """Return the viewing directions of all pixel centres, of length 1: [height, width, 3] float64."""
        rows, columns = np.indices((self.height, self.width))
        directions = self.pixel_directions(np.stack([columns, rows], -1) + 0.5)
        return directions / np.linalg.norm(directions, axis=-1, keepdims=True)

    def project(self, points: np.ndarray, cam_from_world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return image positions [..., 2] in pixels and depths [...] of world points [..., 3].

        A point whose depth is not positive lies behind the camera.
        """
        local = points @ cam_from_world[:, :3].T + cam_from_world[:, 3]
        depth = local[..., 2]
        x, y = np.moveaxis(local[..., :2] / np.where(np.abs(depth) < 1e-9, 1e-9, depth)[..., None], -1, 0)
        return np.stack(distorted(x, y, *self.distortion), -1) * (self.fx, self.fy) + (self.cx, self.cy), depth


def windows_of(windows: Sequence[Window | None]) -> np.ndarray | None:
    """Return the windows of all frames [N, 4], None where all are full."""
    return np.array([window or FULL for window in windows]) if any(windows) else None


def shown_part(window: Window | None, width: int, height: int) -> tuple[slice, slice]:
    """Return the rows and columns of a frame of this size that lie wholly in its window."""
    left, top, right, bottom = np.array(window or FULL) * (width, height, width, height)
    first_row, first_column = (math.ceil(value - HARDLY) for value in (top, left))
    return slice(first_row, math.floor(bottom + HARDLY)), slice(first_column, math.floor(right + HARDLY))


@dataclass(frozen=True)
class FrameCameras:
    """Each of N frames has a camera of its own: the intrinsics `camera`, a pose, and perhaps another focal length.

    Attributes:
        camera: The usual lens's intrinsics give the size of all frames.
        poses: cam_from_world, [N, 3, 4].
        zooms: Each frame's focal length is so many times the usual one, [N]; None where one lens took all.
        windows: Each frame shows something in this window alone, [N, 4]; None where all frames are full.
    """

    camera: Intrinsics
    poses: np.ndarray
    zooms: np.ndarray | None = None
    windows: np.ndarray | None = None

    @property
    def factors(self) -> np.ndarray:
        """Return how many times the usual focal length each frame's is, [N]."""
        return np.ones(len(self.poses)) if self.zooms is None else self.zooms

    @property
    def params(self) -> np.ndarray:
        """Return the parameters [N, 8] of each frame's camera, in COLMAP's OPENCV order."""
        params = np.tile(np.array(self.camera.params), (len(self.poses), 1))
        params[:, :2] *= self.factors[:, None]
        return params

    @property
    def bounds(self) -> np.ndarray:
        """Return the windows of all frames in pixels, (left, top, right, bottom) [N, 4]."""
        full = np.tile(FULL, (len(self.poses), 1))
        return (full if self.windows is None else self.windows) * ([self.camera.width, self.camera.height] * 2)

    def camera_of(self, index: int) -> Intrinsics:
        """Return the intrinsics of a frame."""
        return self.camera if self.zooms is None else self.camera.zoomed(float(self.zooms[index]))

    def project(self, points: np.ndarray, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where a frame shows world points, as `Intrinsics.project` does."""
        return self.camera_of(index).project(points, self.poses[index])

    def scaled(self, width: int, height: int) -> FrameCameras:
        """Return the same cameras, seen through frames of another size in pixels."""
        return replace(self, camera=self.camera.scaled(width, height))

    def of(self, chosen: Any) -> FrameCameras:
        """Return the cameras of the `chosen` frames alone: a slice, their numbers, or [N] bool."""
        zooms, windows = (None if values is None else values[chosen] for values in (self.zooms, self.windows))
        return FrameCameras(self.camera, self.poses[chosen], zooms, windows)
