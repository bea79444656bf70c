"""The visual hull is the set of a box's voxels that lie inside the mattes of all cameras; NumPy and numba suffice for it."""

from __future__ import annotations

import math

import numpy as np

from nerfsem_method.compiled import njit
from nerfsem_method.compiled.threads import in_parts
from nerfsem_method.scene.camera import Intrinsics, distorted

MIN_SHARE_OF_VIEWS = 0.1
MIN_VIEWS = 3
"""A voxel goes that fewer views than this see, or a smaller share of all views than that: the clip does not support it."""


def dilate(mattes: np.ndarray, radius: float) -> np.ndarray:
    """Return where mattes uint8 [N, H, W] exceed one half, grown by a disc of `radius` pixels, as bool [N, H, W]."""
    grown = np.zeros(mattes.shape, np.bool_)
    in_parts(len(mattes), lambda _, start, stop: _dilate(mattes[start:stop], radius, grown[start:stop]))
    return grown


@njit(cache=True, nogil=True)
def _dilate(mattes: np.ndarray, radius: float, grown: np.ndarray) -> None:  # pragma: no cover (compiled)
    count, height, width = mattes.shape
    reach = int(radius)
    for n in range(count):
        for dy in range(-reach, reach + 1):
            span = int(math.sqrt(radius * radius - dy * dy))
            for y in range(max(0, -dy), min(height, height - dy)):
                until = -1  # Columns up to this one are filled already.
                for x in range(width):
                    if mattes[n, y, x] > 127:
                        for fill in range(max(x - span, until + 1, 0), min(x + span + 1, width)):
                            grown[n, y + dy, fill] = True
                        until = x + span


_distorted = njit(inline="always")(distorted)


@njit
def pixel_of(
    wx: float, wy: float, wz: float, pose: np.ndarray, camera: np.ndarray, width: int, height: int
) -> tuple[float, float, float]:  # pragma: no cover (compiled)
    """Return image position (u, v) in pixels and depth of a world point, for compiled loops; its depth is 0 out of the frame."""
    fx, fy, cx, cy, k1, k2, p1, p2 = camera
    z = pose[2, 0] * wx + pose[2, 1] * wy + pose[2, 2] * wz + pose[2, 3]
    if z <= 1e-9:
        return 0.0, 0.0, 0.0
    x = (pose[0, 0] * wx + pose[0, 1] * wy + pose[0, 2] * wz + pose[0, 3]) / z
    y = (pose[1, 0] * wx + pose[1, 1] * wy + pose[1, 2] * wz + pose[1, 3]) / z
    # Far outside the frame the distortion polynomial may fold back into it.
    if abs(fx * x) > width or abs(fy * y) > height:
        return 0.0, 0.0, 0.0
    x, y = _distorted(x, y, k1, k2, p1, p2)
    u, v = fx * x + cx, fy * y + cy
    if u < 0 or v < 0 or u >= width or v >= height:
        return 0.0, 0.0, 0.0
    return u, v, z


@njit(cache=True, nogil=True)
def _vote(
    inside: np.ndarray,
    poses: np.ndarray,
    camera: np.ndarray,
    lower: np.ndarray,
    step: float,
    tolerance: float,
    min_views: int,
    start: int,
    stop: int,
    kept: np.ndarray,
) -> None:  # pragma: no cover (compiled)
    """Fill the slices start ... stop - 1 of `kept` [x, y, z], see `carve`."""
    count, height, width = inside.shape
    grid = kept.shape[0]
    may_miss = int(tolerance * count)
    for i in range(start, stop):
        wx = lower[0] + (i + 0.5) * step
        for j in range(grid):
            wy = lower[1] + (j + 0.5) * step
            for k in range(grid):
                wz = lower[2] + (k + 0.5) * step
                seen = 0
                missed = 0
                for n in range(count):
                    u, v, z = pixel_of(wx, wy, wz, poses[n], camera, width, height)
                    if z == 0:
                        continue
                    seen += 1
                    if not inside[n, int(v), int(u)]:
                        missed += 1
                        if missed > may_miss:
                            break
                kept[i, j, k] = seen >= min_views and missed <= tolerance * seen


def carve(
    camera: Intrinsics,
    poses: np.ndarray,
    mattes: np.ndarray,
    resolution: int,
    lower: np.ndarray,
    size: float,
    *,
    margin_pixels: float = 2.0,
    tolerance: float = 0.05,
) -> np.ndarray:
    """Carve a cube of `resolution`^3 voxels at corner `lower` [3] with edge `size` (world units) by the mattes.

    `poses` [N, 3, 4] are cam_from_world, and `mattes` are uint8 [N, H, W] at the camera's size. Voxel (i, j, k) is centred at
    lower + (i + 0.5, j + 0.5, k + 0.5) * size / resolution. It stays where its centre falls on a matte above one half,
    grown by `margin_pixels`, in all but a share `tolerance` of the views that see it. Returns bool [x, y, z]; raises ValueError
    for mattes of another shape.
    """
    if mattes.shape != (len(poses), camera.height, camera.width):
        raise ValueError(f"mattes {mattes.shape} do not fit {len(poses)} frames of {camera.width}x{camera.height}")
    inside = dilate(np.ascontiguousarray(mattes), float(margin_pixels))
    min_views = max(MIN_VIEWS, math.ceil(MIN_SHARE_OF_VIEWS * len(poses)))
    views = inside, np.ascontiguousarray(poses, np.float64), np.asarray(camera.params, np.float64)
    rules = np.asarray(lower, np.float64), size / resolution, tolerance, min_views
    kept = np.zeros((resolution,) * 3, np.bool_)
    in_parts(resolution, lambda _, start, stop: _vote(*views, *rules, start, stop, kept))
    return kept
