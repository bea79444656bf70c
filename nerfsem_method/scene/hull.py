"""The visual hull is the set of a box's voxels that lie inside the mattes of all cameras; NumPy and numba suffice for it."""

from __future__ import annotations

import math

import numpy as np

from nerfsem_method.compiled import njit
from nerfsem_method.compiled.threads import in_parts
from nerfsem_method.scene.camera import FrameCameras, distorted

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
    """Fill `grown`; what a column's nearest matte pixel reaches in a row covers what its other ones reach there."""
    count, height, width = mattes.shape
    far = int(radius) + 1
    spans = np.array([int(math.sqrt(radius * radius - away * away)) for away in range(far)])
    above = np.empty((height, width), np.int32)
    away, changes = np.empty(width, np.int32), np.empty(width + 1, np.int32)
    for n in range(count):
        away[:] = far
        for y in range(height):
            for x in range(width):
                away[x] = 0 if mattes[n, y, x] > 127 else min(away[x] + 1, far)
                above[y, x] = away[x]
        away[:] = far
        for y in range(height - 1, -1, -1):
            changes[:] = 0
            for x in range(width):
                away[x] = 0 if mattes[n, y, x] > 127 else min(away[x] + 1, far)
                nearest = min(away[x], above[y, x])
                if nearest < far:
                    span = spans[nearest]
                    changes[max(x - span, 0)] += 1
                    changes[min(x + span + 1, width)] -= 1
            covered = 0
            for x in range(width):
                covered += changes[x]
                grown[n, y, x] = covered > 0


_distorted = njit(inline="always")(distorted)


@njit(forceinline=True)
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
    params: np.ndarray,
    bounds: np.ndarray,
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
    seen, missed, asked = np.empty(grid, np.int64), np.empty(grid, np.int64), np.empty(grid, np.int64)
    for i in range(start, stop):
        wx = lower[0] + (i + 0.5) * step
        for j in range(grid):
            wy = lower[1] + (j + 0.5) * step
            seen[:], missed[:], asked[:] = 0, 0, np.arange(grid)
            left = grid
            for n in range(count):  # each view answers for a whole row: what it reads lies close together
                kept_on, pose, camera, shown = 0, poses[n], params[n], inside[n]
                left_end, top, right_end, bottom = bounds[n]
                for at in range(left):
                    k = asked[at]
                    u, v, z = pixel_of(wx, wy, lower[2] + (k + 0.5) * step, pose, camera, width, height)
                    if z != 0 and left_end <= u < right_end and top <= v < bottom:
                        seen[k] += 1
                        missed[k] += not shown[int(v), int(u)]
                    asked[kept_on] = k
                    kept_on += missed[k] <= may_miss
                left = kept_on
            for k in range(grid):
                kept[i, j, k] = seen[k] >= min_views and missed[k] <= tolerance * seen[k]


def _spread(count: int) -> np.ndarray:
    """Return the views' numbers [count] in an order in which neighbours look from different sides.

    The hull does not hang on it, but a voxel outside is then soon missed by so many views that the others need not be asked.
    """
    return np.argsort(np.arange(count) * ((math.sqrt(5) - 1) / 2) % 1)


def carve(
    cameras: FrameCameras,
    mattes: np.ndarray,
    resolution: int,
    lower: np.ndarray,
    size: float,
    *,
    margin_pixels: float = 2.0,
    tolerance: float = 0.05,
) -> np.ndarray:
    """Carve a cube of `resolution`^3 voxels at corner `lower` [3] with edge `size` (world units) by the mattes.

    `mattes` are uint8 [N, H, W] at the cameras' size. Voxel (i, j, k) is centred at
    lower + (i + 0.5, j + 0.5, k + 0.5) * size / resolution. It stays where its centre falls on a matte above one half,
    grown by `margin_pixels`, in all but a share `tolerance` of the views that see it; outside of its window a frame sees nothing.
    Returns bool [x, y, z]; raises ValueError for mattes of another shape.
    """
    count, camera = len(cameras.poses), cameras.camera
    if mattes.shape != (count, camera.height, camera.width):
        raise ValueError(f"mattes {mattes.shape} do not fit {count} frames of {camera.width}x{camera.height}")
    min_views = max(MIN_VIEWS, math.ceil(MIN_SHARE_OF_VIEWS * count))
    order = _spread(count)
    inside = dilate(np.ascontiguousarray(mattes[order]), float(margin_pixels))
    views = inside, np.ascontiguousarray(cameras.poses, np.float64)[order], cameras.params[order], cameras.bounds[order]
    rules = np.asarray(lower, np.float64), size / resolution, tolerance, min_views
    kept = np.zeros((resolution,) * 3, np.bool_)
    in_parts(resolution, lambda _, start, stop: _vote(*views, *rules, start, stop, kept))
    return kept
