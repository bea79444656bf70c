"""This module finds what stands before the object in some frames: a part of the object that nobody sees there is not matted.

A point is before the object where a frame sees it in the object's shadow, yet nearer than the body. Enough of such points are an
occluder: another body, found by the same passes. Where it lies before the object, its matte is taken out of the object's. What
moves leaves no points and is not found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.mattes.cluster import CELLS, MARGIN, MIN_NEAR, REACH, Cluster, main_body
from nerfsem_method.capture.mattes.fusion import SOLID, Grid, around, shadows
from nerfsem_method.capture.mattes.sightlines import trusted
from nerfsem_method.compiled import njit
from nerfsem_method.compiled.threads import in_parts
from nerfsem_method.scene.camera import FrameCameras, camera_centres, look_at_point
from nerfsem_method.scene.hull import pixel_of

CLEAR = 3
"""A point is before the body if it is nearer by so many voxels, because the body is no finer."""
WIDER = 0.5
"""An occluder reaches beyond what is seen of it before the object by this share of that, for some of it never is there."""
GROUP = 2
"""Points of one occluder lie in touching cubes with edges of so many cells of `cluster`."""
FRAMES = 2
"""So many frames must see a point before the body, because one may err; photographs of a turn are far apart."""
RIM = 5
"""A depth counts for so many pixels around, because the voxels' middles do not reach a silhouette's rim."""


@dataclass(frozen=True)
class Body:
    """A body is what fusion found: its `shadows` [N, h, w], and the depth [N, h, w] of its `front`, infinite beside it."""

    shadows: np.ndarray
    front: np.ndarray
    edge: float

    @classmethod
    def of(cls, grid: Grid, density: np.ndarray, cameras: FrameCameras) -> Body:
        """Return the body of a fused density [X, Y, Z], as the cameras see it."""
        solid = grid.centres(np.argwhere((density > SOLID) | around(grid, density, cameras, 0)))
        shown = shadows(grid, density, cameras)
        front = np.full(shown.shape, np.inf, np.float32)
        poses, params = cameras.poses, cameras.params
        in_parts(
            len(poses), lambda _, start, stop: _draw_depths(solid, poses[start:stop], params[start:stop], front[start:stop])
        )
        return cls(shown, front, grid.edge)

    def hidden_by(self, other: Body, index: int) -> np.ndarray:
        """Return where the `other` body lies before this one in a frame, [h, w] bool at the other's size."""
        import cv2

        rim = np.ones((RIM, RIM), np.uint8)
        far = np.float32(1e9)
        mine, theirs = (cv2.erode(np.minimum(body.front[index], far), rim) for body in (self, other))
        mine = cv2.resize(mine, theirs.shape[::-1], interpolation=cv2.INTER_NEAREST)
        return (theirs < mine).astype(np.uint8)


def occluders(body: Body, model: SparseModel, cluster: Cluster) -> Iterator[Cluster]:
    """Yield each occluder among the points of a model, as a cluster by which its body is found."""
    before = _before(body, model, cluster.others)
    cell = GROUP * REACH / CELLS * _distance(model)
    while before.sum() >= MIN_NEAR:
        seen = before.copy()
        seen[before] = main_body(model.points[before], cell)
        if seen.sum() < MIN_NEAR:
            return
        yield _whole(model, cluster, seen, cell)
        before &= ~seen


def without(matte: np.ndarray, hiding: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Return a matte [H, W] uint8 without what an occluder's matte `hiding` covers where it lies `before` [h, w] the object."""
    import cv2

    share = cv2.resize(before, matte.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return np.minimum(matte, 255 - hiding * share)


def _before(body: Body, model: SparseModel, others: np.ndarray) -> np.ndarray:
    """Return which of the points `others` [P] bool enough frames see before the body [P] bool."""
    point, frame = model.views[:, 0].astype(int), model.views[:, 1].astype(int)
    height, width = body.front.shape[1:]
    column = (model.views[:, 2] * width / model.camera.width).astype(int).clip(0, width - 1)
    row = (model.views[:, 3] * height / model.camera.height).astype(int).clip(0, height - 1)
    depth = (model.poses[frame, 2, :3] * model.points[point]).sum(1) + model.poses[frame, 2, 3]
    front = body.front[frame, row, column]
    nearer = np.isfinite(front) & (depth < front - CLEAR * body.edge) & (body.shadows[frame, row, column] > 0.5)
    return others & (np.bincount(point, nearer, len(others)) >= FRAMES)


def _whole(model: SparseModel, cluster: Cluster, seen: np.ndarray, cell: float) -> Cluster:
    """Return the cluster of an occluder of which the points `seen` [P] bool were before the object."""
    from scipy.spatial import KDTree

    low, high = np.quantile(model.points[seen], (0.01, 0.99), axis=0)
    wider = WIDER * (high - low).max()
    mine = cluster.others & trusted(model) & ((model.points > low - wider) & (model.points < high + wider)).all(1)
    mine[mine] = main_body(model.points[mine], cell)
    mine |= seen
    others = KDTree(model.points[mine]).query(model.points)[0] > cell
    low, high = np.quantile(model.points[mine], (0.01, 0.99), axis=0)
    margin = MARGIN * (high - low).max()
    up = np.array([0.0, 0.0, 1.0])
    return Cluster(model.points[mine], np.zeros((0, 3)), mine, others, up, -np.inf, low - margin, high + margin)


def _distance(model: SparseModel) -> float:
    """Return the median distance of the cameras from what they look at."""
    return float(np.median(np.linalg.norm(camera_centres(model.poses) - look_at_point(model.poses), axis=1)))


@njit(cache=True, nogil=True)
def _draw_depths(
    points: np.ndarray, poses: np.ndarray, params: np.ndarray, front: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """Write the depth of the nearest of the points [V, 3] at each pixel into `front` [n, H, W]."""
    count, height, width = front.shape
    for n in range(count):
        for i in range(len(points)):
            u, v, z = pixel_of(points[i, 0], points[i, 1], points[i, 2], poses[n], params[n], width, height)
            if z > 0 and z < front[n, int(v), int(u)]:
                front[n, int(v), int(u)] = z
