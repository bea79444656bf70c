"""This module tells where space is empty whatever the colours say: a camera that sees a point looks through all before it.

Colours cannot tell pale marble from the pale wall behind it; a triangulated point that is known to lie on the wall can.
"""

from __future__ import annotations

import numpy as np

from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.mattes.fusion import Grid
from nerfsem_method.compiled import njit
from nerfsem_method.compiled.threads import in_parts
from nerfsem_method.scene.camera import FrameCameras
from nerfsem_method.scene.hull import pixel_of

MIN_TRACK = 3
"""A point that fewer frames see is not to be trusted."""
THINNER = 2
"""A sight line is so many times thinner than a voxel: as wide as one it wears thin handles off, whose voxels are full in
part."""


def looked_through(
    grid: Grid, candidates: np.ndarray, cameras: FrameCameras, model: SparseModel, others: np.ndarray
) -> np.ndarray:
    """Return which of the `candidates` [X, Y, Z] bool are empty: one of the points `others` [P] bool is seen behind them.

    `cameras` are the model's, at the size of `Grid.cameras_for`. The points must be `trusted`, and clear of the object:
    reflections on its glaze lie behind its surface.
    """
    width, height = THINNER * cameras.camera.width, THINNER * cameras.camera.height
    cells = np.argwhere(candidates)
    points, open_until = grid.centres(cells), _open_until(width, height, model, others)
    hit = np.zeros(len(points), bool)
    poses, params = cameras.poses, cameras.scaled(width, height).params
    in_parts(len(points), lambda _, start, stop: _pierce(points[start:stop], poses, params, open_until, hit[start:stop]))
    empty = np.zeros(grid.shape, bool)
    empty[tuple(cells.T)] = hit
    return empty


def trusted(model: SparseModel) -> np.ndarray:
    """Return which of the model's points [P] bool enough of its frames see."""
    return np.bincount(model.views[:, 0].astype(int), minlength=len(model.points)) >= MIN_TRACK


def _open_until(width: int, height: int, model: SparseModel, others: np.ndarray) -> np.ndarray:
    """Return the depth [N, H, W] up to which nothing stands in each pixel's way; 0 where no point is seen."""
    point, frame = model.views[:, 0].astype(int), model.views[:, 1].astype(int)
    chosen = others[point]
    point, frame = point[chosen], frame[chosen]
    size = np.array([width, height])
    pixels = model.views[chosen, 2:] * (size / (model.camera.width, model.camera.height))
    column, row = np.floor(pixels).astype(int).clip(0, size - 1).T
    depth = (model.poses[frame, 2, :3] * model.points[point]).sum(1) + model.poses[frame, 2, 3]
    until = np.zeros((len(model.poses), height, width), np.float32)
    np.maximum.at(until, (frame, row, column), depth)
    return until


@njit(cache=True, nogil=True)
def _pierce(
    points: np.ndarray, poses: np.ndarray, params: np.ndarray, open_until: np.ndarray, hit: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """Write into `hit` [v] which points lie before the depth that some frame sees open."""
    count, height, width = open_until.shape
    for i in range(len(points)):
        for n in range(count):
            u, v, z = pixel_of(points[i, 0], points[i, 1], points[i, 2], poses[n], params[n], width, height)
            if 0 < z < open_until[n, int(v), int(u)]:
                hit[i] = True
                break
