"""Which triangulated points belong to the artefact: what the cameras circle, without what it stands on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nerfsem_dataparsers.capture.poses import SparseModel, camera_centres, look_at_point

REACH = 0.45
"""Share of the cameras' distance within which a point can belong to the artefact."""
CORE = 0.2
"""Share of the cameras' distance within which most points do."""
CELLS = 20
"""Cells along the reach; points in touching cells belong together."""
MIN_NEAR = 40
MIN_TRACK = 3
"""Views of a point worth trusting."""
NEIGHBOURS, SPREAD = 8, 2.5
"""A point whose NEIGHBOURS-th neighbour is SPREAD times farther away than it is for its neighbours is noise."""
WIDER = 1.3
"""Times the main body's radius: what else stands above its foot within this belongs to it."""
PLANE_TRIALS = 2000
PLANE_TILT = 0.94
"""Least cosine between the support's normal and the cameras' mean up direction."""
PLANE_THICKNESS = 0.008
PLANE_SHARE = 0.08
"""Share of the near points that must lie in one level plane to be taken for a support."""
RANDOM_SEED = 0


@dataclass(frozen=True)
class Cluster:
    """The artefact's points, `mine` [P] bool, points clear of it, `others` [P] bool, and the plane on which it stands:
    a point p is above it where normal @ p > height.

    `low`, `high` [3] bound the artefact generously; `height` is -inf without a support.
    """

    mine: np.ndarray
    others: np.ndarray
    normal: np.ndarray
    height: float
    low: np.ndarray
    high: np.ndarray

    def above(self, points: np.ndarray) -> np.ndarray:
        return points @ self.normal > self.height


def find(model: SparseModel) -> Cluster | None:
    """The artefact among a model's points; None where too few points lie near the point that the cameras look at."""
    from scipy.spatial import cKDTree

    target = look_at_point(model.poses)
    distance = float(np.median(np.linalg.norm(camera_centres(model.poses) - target, axis=1)))
    up = -model.poses[:, 1, :3].mean(0)
    up /= np.linalg.norm(up)
    reach = np.linalg.norm(model.points - target, axis=1) / distance
    near = reach < REACH
    if near.sum() < MIN_NEAR:
        return None
    normal, height = _support(model.points[near], reach[near] < CORE, up, distance)
    tracks = np.bincount(model.views[:, 0].astype(int), minlength=len(model.points))
    mine = near & (tracks >= MIN_TRACK) & (model.points @ normal > height + PLANE_THICKNESS * distance)
    if mine.sum() < MIN_NEAR:
        return None
    mine[mine] = _whole_body(model.points[mine], normal, REACH * distance / CELLS)
    if mine.sum() < MIN_NEAR:
        return None
    others = cKDTree(model.points[mine]).query(model.points)[0] > 2 * REACH * distance / CELLS
    mine[mine] = ~_noise(model.points[mine])
    low, high = np.quantile(model.points[mine], (0.01, 0.99), axis=0)
    margin = 0.25 * (high - low).max()
    return Cluster(mine, others, normal, height, low - margin, high + margin)


def _support(points: np.ndarray, core: np.ndarray, up: np.ndarray, distance: float) -> tuple[np.ndarray, float]:
    """The level plane (normal, height) with most points, if it is wide and under the artefact; else (up, -inf)."""
    rng = np.random.default_rng(RANDOM_SEED)
    triples = points[rng.integers(0, len(points), (PLANE_TRIALS, 3))]
    normals = np.cross(triples[:, 1] - triples[:, 0], triples[:, 2] - triples[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    normals *= np.sign(normals @ up)[:, None]
    level = normals @ up > PLANE_TILT
    thickness = PLANE_THICKNESS * distance
    around = points[~core]  # a support reaches beyond the artefact; a painted band on it does not
    best = np.zeros(len(around), bool)
    for n, p in zip(normals[level], triples[level, 0], strict=True):
        on = np.abs((around - p) @ n) < thickness / 2
        if on.sum() > best.sum():
            best = on
    if best.sum() < 3:
        return up, -np.inf
    middle = around[best].mean(0)
    normal = np.linalg.svd(around[best] - middle, full_matrices=False)[2][2]
    normal *= np.sign(normal @ up)
    height = float(normal @ middle)
    above = points @ normal > height + thickness
    on = np.abs(points @ normal - height) < thickness
    if on.mean() < PLANE_SHARE or above[core].mean() < 0.6:
        return up, -np.inf
    middle = np.median(points[above & core], axis=0)
    wide = _across(points[on] - middle, normal) > 1.3 * _across(points[above & core] - middle, normal)
    return (normal, height) if wide else (up, -np.inf)


def _across(offsets: np.ndarray, normal: np.ndarray) -> float:
    """How far points reach at right angles to `normal`: the 80th percentile."""
    return float(np.quantile(np.linalg.norm(offsets - (offsets @ normal)[:, None] * normal, axis=1), 0.8))


def _whole_body(points: np.ndarray, up: np.ndarray, cell: float) -> np.ndarray:
    """Which points belong to the largest group of touching cells, or stand above its foot: no support does that."""
    main = _main_body(points, cell)
    if not main.any():
        return main
    offsets = points - np.median(points[main], axis=0)
    heights = offsets @ up
    across = np.linalg.norm(offsets - heights[:, None] * up, axis=1)
    return main | ((heights > np.quantile(heights[main], 0.05)) & (across < WIDER * np.quantile(across[main], 0.95)))


def _noise(points: np.ndarray) -> np.ndarray:
    """Which points are lonelier than their neighbours: mistriangulated ones float beside the surface."""
    from scipy.spatial import cKDTree

    gaps, neighbours = cKDTree(points).query(points, NEIGHBOURS + 1)
    return gaps[:, -1] > SPREAD * np.median(gaps[neighbours[:, 1:], -1], axis=1)


def _main_body(points: np.ndarray, cell: float) -> np.ndarray:
    """Which points lie in the largest group of touching cells that hold at least two points."""
    from scipy.ndimage import label

    cells = np.floor((points - points.min(0)) / cell).astype(int)
    counts = np.zeros(cells.max(0) + 1, int)
    np.add.at(counts, tuple(cells.T), 1)
    groups, _ = label(counts >= 2, np.ones((3, 3, 3)))
    of_point = groups[tuple(cells.T)]
    weight = np.bincount(of_point)
    weight[0] = 0
    return (of_point == weight.argmax()) & (of_point > 0)
