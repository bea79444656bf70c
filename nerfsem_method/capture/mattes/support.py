"""This module finds what the object stands on: the ledge around its foot, of a table, a pedestal's top or a pillar's rim."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TRIALS = 6000
"""So many planes through three points each are tried, because few points lie on the ledge."""
TILT = 0.94
"""The cosine between the support's normal and the cameras' mean up direction is no less: things stand on level ground."""
THICKNESS = 0.008
"""Points of one plane lie in a layer of this thickness, as a share of the cameras' distance."""
FOOT = 6
"""So many thicknesses above the ledge show how wide the foot is and which colours it has."""
DEPTH = 10
"""So many thicknesses below the ledge show what is there."""
WIDER = 1.05
"""Beyond so many times the foot's radius a point on the plane lies on the ledge."""
MIN_FOOT, MIN_LEDGE = 15, 12
"""Fewer points than these on foot and ledge are there by chance."""
SECTORS, MIN_SECTORS = 8, 4
"""Of so many directions around the foot, so many must show the ledge, which surrounds it."""
FEW_BELOW, WIDE = 0.1, 1.3
"""A ledge whose median radius is WIDE times the foot's, with less than this share of its points below it, is a table: its
colours need not be distinct."""
DISTINCT = 0.85
"""The colour of this share of the points must tell whether they lie above the ledge, or on and below it."""
FILL = 20
"""A support's body is filled with so many points along its width."""
RANDOM_SEED = 0
"""The planes are drawn from this seed, so that the same points give the same support."""


@dataclass(frozen=True)
class Ledge:
    """A ledge is a level plane, normal @ p = height, on which something stands.

    `rim` [R, 3] are the points on it outside of the foot that stands on it, `foot` [F, 3] the points of that foot. `distinct`
    tells how well the colours above differ from those on and below: 1/2 is like guessing, 1 is always.
    """

    normal: np.ndarray
    height: float
    rim: np.ndarray
    foot: np.ndarray
    distinct: float

    def body_below(self, depth: float) -> np.ndarray:
        """Return points [S, 3] that fill the column under rim and foot down to `depth`: a guess at the support's body."""
        from scipy.spatial import Delaunay

        outline = np.concatenate([self.rim, self.foot])
        lean = self.normal[:2] / self.normal[2]
        flat = outline[:, :2]
        low, high = flat.min(0), flat.max(0)
        x, y = np.meshgrid(*np.linspace(low, high, FILL).T)
        spots = np.column_stack([x.ravel(), y.ravel()])
        spots = spots[Delaunay(flat).find_simplex(spots) >= 0]
        top = self.height / self.normal[2] - spots @ lean
        levels = np.arange(0.0, depth, float((high - low).max()) / FILL)
        return np.concatenate([np.column_stack([spots, top - level]) for level in levels])


def find_support(points: np.ndarray, colours: np.ndarray, distance: float) -> Ledge | None:
    """Return the ledge on which the object stands; None where there is none to be seen.

    `points` [P, 3], z up, are those near the object, `colours` [P, 3] uint8, red first; `distance` is the cameras'.
    An object has ledges of its own, shoulders and bands: a support's has another material on and below it than
    above, or nothing below that could be seen.
    """
    low = np.flatnonzero(points[:, 2] < np.median(points[:, 2]))
    if len(low) < 3:
        return None
    triples = points[np.random.default_rng(RANDOM_SEED).choice(low, (TRIALS, 3))]
    normals = np.cross(triples[:, 1] - triples[:, 0], triples[:, 2] - triples[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    normals *= np.where(normals[:, 2:] < 0, -1, 1)
    level = normals[:, 2] > TILT
    planes = zip(normals[level], triples[level, 0], strict=True)
    ledges = (_ledge(points, colours.astype(float), normal, corner, THICKNESS * distance) for normal, corner in planes)
    return max(filter(None, ledges), key=lambda ledge: (round(ledge.distinct, 2), len(ledge.rim)), default=None)


def _ledge(points: np.ndarray, colours: np.ndarray, normal: np.ndarray, corner: np.ndarray, thickness: float) -> Ledge | None:
    """Return the ledge that a plane through `corner` is, if it can be a support's."""
    rise = points @ normal
    above = rise - corner @ normal
    foot = (above > thickness / 2) & (above < FOOT * thickness)
    if foot.sum() < MIN_FOOT:
        return None
    flat = points - rise[:, None] * normal
    offsets = flat - np.median(flat[foot], axis=0)
    radius = np.linalg.norm(offsets, axis=1)
    wide = np.quantile(radius[foot], 0.9)
    on = (np.abs(above) < thickness / 2) & (radius > WIDER * wide)
    directions = np.floor(np.arctan2(offsets[on, 1], offsets[on, 0]) * SECTORS / (2 * np.pi))
    if on.sum() < MIN_LEDGE or len(np.unique(directions)) < MIN_SECTORS:
        return None
    below = (above < -thickness) & (above > -DEPTH * thickness) & (radius < 2 * wide)
    distinct = _told_apart(colours[foot], colours[on | below])
    table = below.sum() < FEW_BELOW * on.sum() and np.median(radius[on]) > WIDE * wide
    if not table and distinct < DISTINCT:
        return None
    return Ledge(normal, float(corner @ normal), points[on], points[foot], distinct)


def _told_apart(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of two sets of colours [*, 3] that lie on their side of the plane between (Fisher's discriminant)."""
    spread = np.cov(first.T) + np.cov(second.T) + np.eye(3)
    axis = np.linalg.solve(spread, first.mean(0) - second.mean(0))
    border = (first.mean(0) + second.mean(0)) @ axis / 2
    return float(((first @ axis > border).mean() + (second @ axis < border).mean()) / 2)
