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
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.scene.hull import pixel_of

STEPS = 12
"""The ascent takes so many steps, no more, because each one looks at all frames."""
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

    def camera_for(self, camera: Intrinsics, poses: np.ndarray) -> Intrinsics:
        """Return `camera` so small that no voxel covers more than one pixel in (nearly) all frames."""
        corner = self.edge * np.array(self.shape)
        middle = self.lower + corner / 2
        depths = poses[:, 2, :3] @ middle + poses[:, 2, 3]
        nearest = max(float(np.quantile(depths, 0.05) - corner.max() / 3), self.edge)
        shrink = min(1.0, FOOTPRINT * nearest / (max(camera.fx, camera.fy) * self.edge))
        return camera.scaled(max(2, round(camera.width * shrink)), max(2, round(camera.height * shrink)))


def fuse(grid: Grid, candidates: np.ndarray, camera: Intrinsics, poses: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Return the densities [X, Y, Z] float32 of the one body among `candidates` [X, Y, Z] bool that explains all frames best.

    `odds` [N, H, W] float32 are the logs of how much likelier each pixel's colour is on the object, at `camera`'s size
    (`Grid.camera_for`); `poses` [N, 3, 4] are cam_from_world. The densities are zero everywhere if nothing is left.
    """
    from scipy.ndimage import gaussian_filter

    gain, (_, height, width) = np.expm1(odds), odds.shape
    density = np.where(candidates, np.float32(FAINT), np.float32(0))
    for _ in range(STEPS):
        cells = np.argwhere(density > THIN)
        points, values = grid.centres(cells), density[tuple(cells.T)]
        open_share = np.exp(-_thickness(points, values, poses, np.array(camera.params), height, width, grid.edge))
        # This is the derivative of log(stopped * exp(odds) + open) by the density along the ray, bounded: one view is one vote
        pull = (open_share * gain / (1 + (1 - open_share) * gain)).clip(-1, 1)
        density[tuple(cells.T)] = (values + RATE * _gather(points, poses, np.array(camera.params), pull)).clip(0, 1)
        density = gaussian_filter(density, SMOOTHING) * candidates
    return _largest(density)


def shadows(grid: Grid, density: np.ndarray, camera: Intrinsics, poses: np.ndarray) -> np.ndarray:
    """Return the chance [N, H, W] that each pixel shows the body, at `camera`'s size."""
    cells = np.argwhere(density > THIN)
    size = (camera.height, camera.width)
    return 1 - np.exp(-_thickness(grid.centres(cells), density[tuple(cells.T)], poses, np.array(camera.params), *size, grid.edge))


def around(grid: Grid, density: np.ndarray, camera: Intrinsics, poses: np.ndarray, reach: int) -> np.ndarray:
    """Return which voxels [X, Y, Z] lie within `reach` voxels of the body or inside it: what blocks the rays may be hollow."""
    from scipy.ndimage import binary_dilation

    near = binary_dilation(density > SOLID, iterations=reach)
    cells = np.argwhere(np.logical_not(near))
    shadow = shadows(grid, density, camera, poses)
    near[tuple(cells.T)] = _gather(grid.centres(cells), poses, np.array(camera.params), shadow) > ENCLOSED
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


def _thickness(
    points: np.ndarray, density: np.ndarray, poses: np.ndarray, camera: np.ndarray, height: int, width: int, edge: float
) -> np.ndarray:
    """Return the density along each pixel's ray [N, H, W], in voxels."""
    total = np.zeros((len(poses), height, width), np.float32)
    in_parts(len(poses), lambda _, start, stop: _splat(points, density, poses[start:stop], camera, edge, total[start:stop]))
    return total


@njit(cache=True, nogil=True)
def _splat(
    points: np.ndarray, density: np.ndarray, poses: np.ndarray, camera: np.ndarray, edge: float, total: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """Add each point's density to the four pixels around it in `total` [n, H, W]."""
    count, height, width = total.shape
    for n in range(count):
        for i in range(len(points)):
            u, v, z = pixel_of(points[i, 0], points[i, 1], points[i, 2], poses[n], camera, width, height)
            if z == 0:
                continue
            weight = density[i] * camera[0] * camera[1] * (edge / z) ** 2  # a far voxel covers only a part of a pixel
            column, row = int(np.floor(u - 0.5)), int(np.floor(v - 0.5))
            right, below = u - 0.5 - column, v - 0.5 - row
            for dy in range(2):
                for dx in range(2):
                    x, y = column + dx, row + dy
                    if 0 <= x < width and 0 <= y < height:
                        total[n, y, x] += weight * (below if dy else 1 - below) * (right if dx else 1 - right)


def _gather(points: np.ndarray, poses: np.ndarray, camera: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Return the mean of `picture` [N, H, W] where the points are seen [V]; 0 where no frame sees one."""
    mean = np.zeros(len(points), np.float32)
    in_parts(len(points), lambda _, start, stop: _average(points[start:stop], poses, camera, picture, mean[start:stop]))
    return mean


@njit(cache=True, nogil=True)
def _average(
    points: np.ndarray, poses: np.ndarray, camera: np.ndarray, picture: np.ndarray, mean: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """Write each point's mean into `mean` [v]."""
    count, height, width = picture.shape
    for i in range(len(points)):
        total, seen = 0.0, 0
        for n in range(count):
            u, v, z = pixel_of(points[i, 0], points[i, 1], points[i, 2], poses[n], camera, width, height)
            if z == 0:
                continue
            seen += 1
            u, v = min(max(u - 0.5, 0.0), width - 1.001), min(max(v - 0.5, 0.0), height - 1.001)
            column, row = int(u), int(v)
            right, below = u - column, v - row
            for dy in range(2):
                for dx in range(2):
                    part = (below if dy else 1 - below) * (right if dx else 1 - right)
                    total += part * picture[n, row + dy, column + dx]
        if seen:
            mean[i] = total / seen
