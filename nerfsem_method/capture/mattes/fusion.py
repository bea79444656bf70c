"""This module finds the one body in space that explains what all frames say: a density a voxel, fitted to evidence a pixel.

A ray is stopped with probability 1 - exp(-the densities along it); that is the chance that its pixel shows the object.
The density that makes the frames' evidence most likely is found by ascent. A view thus counts for a voxel only as far
as nothing else on the ray explains the pixel: what looks like the object in a few frames is voted out by the frames that
see past it, and colours that go wrong within the outline wear nothing off. (A share of dissenting views would do
neither: a slab just outside of a round body lies beside it in hardly more views than go wrong.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nerfsem_method.compiled import njit
from nerfsem_method.compiled.threads import in_parts
from nerfsem_method.scene.camera import FrameCameras

STEPS, TURNS, MANY = 24, 2, 40
"""The ascent takes so many steps, and each one looks at every second frame, in turns, where there are MANY: half as many steps
that look at all take as long and come less far."""
PATIENT, SHARP = 72, 24
"""So many steps are taken where a body has flat sides, and so many more without the blur. A slab along a pillar's side lies
beside it in one view of ten, and goes slowly; and what the blur spreads beyond that side is faint, but the view along it looks
through a lot of it."""
FAINT = 0.03
"""The ascent starts from this density: no ray is blocked yet, so that every voxel still hears every view."""
THIN = 1e-3
"""A voxel of less density is gone, and costs no time any more."""
RATE = 1.0
"""A step adds so much density where all views pull as hard as one view may."""
SMOOTHING = 0.6
"""The density is blurred by this standard deviation in voxels between steps, because neighbours are of one kind."""
SOLID = 0.15
"""A voxel of more density belongs to the body."""
ENCLOSED = 0.8
"""The body encloses a voxel when the shadows that it lies in are darker than this, in the mean over all views."""
FOOTPRINT = 0.95
"""The nearest voxels may cover so many pixels: larger ones would leave gaps between them."""
CLOSE = 2.0
"""A frame with so many times the usual focal length has such gaps: what voxels hide there is spread over them."""
BLOCK = 256
"""Compiled loops project so many points at once."""


@dataclass(frozen=True)
class Grid:
    """A grid is cubic voxels that fill a box: `shape` of them, of edge `edge`, from corner `lower` [3] on."""

    lower: np.ndarray
    edge: float
    shape: tuple[int, int, int]

    @classmethod
    def over(cls, low: np.ndarray, high: np.ndarray, along: int) -> Grid:
        """Return a grid with `along` voxels on the longest side of the box from `low` to `high` [3]."""
        edge = float((high - low).max()) / along
        x, y, z = np.ceil((high - low) / edge - 1e-9).astype(int).tolist()
        return cls(low, edge, (x, y, z))

    def centres(self, cells: np.ndarray) -> np.ndarray:
        """Return the world positions [V, 3] of the voxels with indices [V, 3]."""
        return np.ascontiguousarray(self.lower + (cells + 0.5) * self.edge)

    def resample(self, values: np.ndarray, other: Grid) -> np.ndarray:
        """Return the `values` of `other`'s voxels where this grid's centres fall; the two cover the same box."""
        index = [((np.arange(n) + 0.5) * self.edge / other.edge).astype(int) for n in self.shape]
        return values[np.ix_(*(i.clip(0, n - 1) for i, n in zip(index, other.shape, strict=True)))]

    def cameras_for(self, cameras: FrameCameras) -> FrameCameras:
        """Return cameras so small that no voxel covers more than one pixel in (nearly) all frames of the usual lens."""
        camera, poses = cameras.camera, cameras.poses
        corner = self.edge * np.array(self.shape)
        middle = self.lower + corner / 2
        depths = poses[:, 2, :3] @ middle + poses[:, 2, 3]
        nearest = max(float(np.quantile(depths, 0.05) - corner.max() / 3), self.edge)
        shrink = min(1.0, FOOTPRINT * nearest / (max(camera.fx, camera.fy) * self.edge))
        return cameras.scaled(max(2, round(camera.width * shrink)), max(2, round(camera.height * shrink)))


def fuse(grid: Grid, candidates: np.ndarray, cameras: FrameCameras, odds: np.ndarray, flat: bool = False) -> np.ndarray:
    """Return the densities [X, Y, Z] float32 of the one body among `candidates` [X, Y, Z] bool that explains all frames best.

    `odds` [N, H, W] float32 are the logs of how much likelier each pixel's colour is on the object, at the size of the
    `cameras` (`Grid.cameras_for`); `flat` says that the body has flat sides. The densities are zero
    everywhere if nothing is left.
    """
    from scipy.ndimage import gaussian_filter

    gain = np.expm1(odds)
    density = np.where(candidates, np.float32(FAINT), np.float32(0))
    turns = TURNS if len(odds) >= MANY else 1
    blurred, sharp = (PATIENT, SHARP) if flat else (STEPS, 0)
    for step in range(blurred + sharp):
        cells, turn = np.argwhere(density > THIN), slice(step % turns, None, turns)
        points, values, seeing = grid.centres(cells), density[tuple(cells.T)], cameras.of(turn)
        open_share = np.exp(-_thickness(points, values, seeing, grid.edge))
        # This is the derivative of log(stopped * exp(odds) + open) by the density along the ray, bounded: one view is one vote
        pull = (open_share * gain[turn] / (1 + (1 - open_share) * gain[turn])).clip(-1, 1)
        density[tuple(cells.T)] = (values + RATE * _gather(points, seeing, pull)).clip(0, 1)
        if step < blurred:
            density = gaussian_filter(density, SMOOTHING) * candidates
    return _largest(density)


def shadows(grid: Grid, density: np.ndarray, cameras: FrameCameras) -> np.ndarray:
    """Return the chance [N, H, W] that each pixel shows the body, at the cameras' size."""
    cells = np.argwhere(density > THIN)
    return 1 - np.exp(-_thickness(grid.centres(cells), density[tuple(cells.T)], cameras, grid.edge))


def around(grid: Grid, density: np.ndarray, cameras: FrameCameras, reach: int) -> np.ndarray:
    """Return which voxels [X, Y, Z] lie within `reach` voxels of the body or inside it: what blocks the rays may be hollow."""
    from scipy.ndimage import binary_dilation

    near = binary_dilation(density > SOLID, iterations=reach)
    cells = np.argwhere(np.logical_not(near))
    shadow = shadows(grid, density, cameras)
    near[tuple(cells.T)] = _gather(grid.centres(cells), cameras, shadow) > ENCLOSED
    return near


def _largest(density: np.ndarray) -> np.ndarray:
    """Return the density of the largest connected body and its soft rim.

    Inside of a thick body the density stays as faint as it began.
    """
    from scipy.ndimage import binary_dilation, label

    pieces = np.zeros(density.shape, np.int32)
    if not label(density > FAINT / 2, output=pieces):
        return np.zeros_like(density)
    return density * binary_dilation(pieces == 1 + np.bincount(pieces.ravel())[1:].argmax(), iterations=2)


def _thickness(points: np.ndarray, density: np.ndarray, cameras: FrameCameras, edge: float) -> np.ndarray:
    """Return the density along each pixel's ray [N, H, W], in voxels."""
    from scipy.ndimage import gaussian_filter

    total = np.zeros((len(cameras.poses), cameras.camera.height, cameras.camera.width), np.float32)
    points, poses, params = _single(points, cameras)
    mass = density * np.float32(edge * edge)
    in_parts(len(poses), lambda _, start, stop: _splat(points, mass, poses[start:stop], params[start:stop], total[start:stop]))
    for index in np.flatnonzero(cameras.factors > CLOSE):
        total[index] = gaussian_filter(total[index], cameras.factors[index] / 2)
    return total


def _gather(points: np.ndarray, cameras: FrameCameras, picture: np.ndarray) -> np.ndarray:
    """Return the mean of `picture` [N, H, W] where the points are seen [V]; 0 where no frame sees one."""
    mean = np.zeros(len(points), np.float32)
    points, poses, params = _single(points, cameras)
    in_parts(len(mean), lambda _, start, stop: _average(points, start, poses, params, picture, mean[start:stop]))
    return mean


def _single(points: np.ndarray, cameras: FrameCameras) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points [3, V], poses [N, 3, 4] and parameters [N, 8] in single precision, the world's origin amid the points."""
    middle = points.mean(0) if len(points) else np.zeros(3)
    moved = cameras.poses.copy()
    moved[:, :, 3] += moved[:, :, :3] @ middle
    return np.ascontiguousarray((points - middle).T, np.float32), moved.astype(np.float32), cameras.params.astype(np.float32)


@njit(nogil=True, cache=True)
def _project(
    points: np.ndarray, start: int, pose: np.ndarray, camera: np.ndarray, width: int, height: int, seen: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """Write image positions and depths of the points start ... of a block to `seen` [3, b]; a depth of 0 is out of the frame.

    It computes what `hull.pixel_of` does, without branches and in single precision, so that a compiler does many points at once.
    """
    u, v, z = seen[0], seen[1], seen[2]
    xs, ys, zs = points[0, start:], points[1, start:], points[2, start:]
    xx, xy, xz, xt = pose[0, 0], pose[0, 1], pose[0, 2], pose[0, 3]
    yx, yy, yz, yt = pose[1, 0], pose[1, 1], pose[1, 2], pose[1, 3]
    zx, zy, zz, zt = pose[2, 0], pose[2, 1], pose[2, 2], pose[2, 3]
    fx, fy, cx, cy, k1, k2, p1, p2 = camera
    none, one, two, near = np.float32(0), np.float32(1), np.float32(2), np.float32(1e-9)
    right, bottom = np.float32(width), np.float32(height)
    for i in range(min(len(u), len(xs))):
        depth = zx * xs[i] + zy * ys[i] + zz * zs[i] + zt
        closer = one / max(depth, near)
        x = (xx * xs[i] + xy * ys[i] + xz * zs[i] + xt) * closer
        y = (yx * xs[i] + yy * ys[i] + yz * zs[i] + yt) * closer
        square = x * x + y * y
        radial = one + square * (k1 + square * k2)
        column = fx * (x * radial + two * p1 * x * y + p2 * (square + two * x * x)) + cx
        row = fy * (y * radial + p1 * (square + two * y * y) + two * p2 * x * y) + cy
        # Far outside the frame the distortion polynomial may fold back into it.
        ahead = (depth > near) & (abs(fx * x) <= right) & (abs(fy * y) <= bottom)
        within = (column >= none) & (row >= none) & (column < right) & (row < bottom)
        u[i], v[i], z[i] = column, row, depth if ahead & within else none


@njit(nogil=True, cache=True)
def _splat(
    points: np.ndarray, mass: np.ndarray, poses: np.ndarray, params: np.ndarray, total: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """Write the sums of the points' masses [V] by the pixels that each covers, spread over four of them, to `total` [n, H, W]."""
    count, height, width = total.shape
    seen = np.empty((3, BLOCK), np.float32)
    one, half = np.float32(1), np.float32(0.5)
    for n in range(count):
        wider = np.zeros((height + 2, width + 2), np.float32)  # with a rim for what falls beside the frame
        closer = params[n, 0] * params[n, 1]  # a far voxel covers only a part of a pixel
        for start in range(0, len(mass), BLOCK):
            _project(points, start, poses[n], params[n], width, height, seen)
            for i in range(min(BLOCK, len(mass) - start)):
                depth = seen[2, i]
                if depth == 0:
                    continue
                weight = closer * mass[start + i] / (depth * depth)
                u, v = seen[0, i] + half, seen[1, i] + half
                x, y = int(u), int(v)
                right, below = u - np.float32(x), v - np.float32(y)
                above, below = weight * (one - below), weight * below
                wider[y, x] += above * (one - right)
                wider[y, x + 1] += above * right
                wider[y + 1, x] += below * (one - right)
                wider[y + 1, x + 1] += below * right
        total[n] = wider[1:-1, 1:-1]


@njit(nogil=True, cache=True)
def _average(
    points: np.ndarray, first: int, poses: np.ndarray, params: np.ndarray, picture: np.ndarray, mean: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """Write the means of the points from `first` on into `mean` [v]."""
    count, height, width = picture.shape
    seen = np.empty((3, BLOCK), np.float32)
    total, times = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    none, half, one = np.float32(0), np.float32(0.5), np.float32(1)
    last_x, last_y = np.float32(width - 1.001), np.float32(height - 1.001)
    for start in range(0, len(mean), BLOCK):
        total[:], times[:] = none, none
        for n in range(count):
            _project(points, first + start, poses[n], params[n], width, height, seen)
            for i in range(min(BLOCK, len(mean) - start)):
                if seen[2, i] == 0:
                    continue
                u, v = min(max(seen[0, i] - half, none), last_x), min(max(seen[1, i] - half, none), last_y)
                x, y = min(int(u), width - 2), min(int(v), height - 2)
                right, below = u - np.float32(x), v - np.float32(y)
                upper = picture[n, y, x] * (one - right) + picture[n, y, x + 1] * right
                lower = picture[n, y + 1, x] * (one - right) + picture[n, y + 1, x + 1] * right
                total[i] += upper * (one - below) + lower * below
                times[i] += one
        for i in range(min(BLOCK, len(mean) - start)):
            if times[i] > 0:
                mean[start + i] = total[i] / times[i]
