"""This module finds what the object stands on: the ledge around its foot, of a table, a pedestal's top or a pillar's rim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

TRIALS = 6000
"""So many planes through three points each are tried, because few points lie on the ledge."""
TILT = 0.94
"""The cosine between the support's normal and the cameras' mean up direction is no less: things stand on level ground."""
THICKNESS = 0.008
"""Points of one plane lie in a layer of this thickness, as a share of the cameras' distance."""
THICKER = 2.0
"""Where a layer of that thickness shows no dense ledge, as behind glass that mirrors the filmer, one so much thicker may."""
FOOT = 6
"""So many thicknesses above the ledge show how wide the foot is and which colours it has."""
DEPTH = 10
"""So many thicknesses below the ledge show what is there."""
CELL = 3
"""Points on a foot lie in cells of so many thicknesses that touch each other."""
WIDER = 1.05
"""Beyond so many times the foot's radius a point on the plane lies on the ledge."""
MIN_FOOT, MIN_LEDGE = 15, 12
"""Fewer points than these on foot and ledge are there by chance."""
SECTORS, MIN_SECTORS, MOST_SECTORS = 8, 4, 6
"""Of so many directions around the foot, so many must show the ledge, which surrounds it, and so many a dense one."""
FULL = 0.1
"""A dense ledge has this share of all points near the object; bands of a vase that happen to lie level have a twentieth."""
FEW_BELOW, WIDE = 0.1, 1.3
"""A ledge whose median radius is WIDE times the foot's, with less than this share of its points below it, is a table: its
colours need not be distinct."""
DISTINCT = 0.85
"""The colour of this share of the points must tell whether they lie above the ledge, or on and below it."""
OUTLYING, OUTLYING_DISTINCT = 2.0, 0.75
"""Of a dense ledge with a median radius of so many times the foot's the colour of fewer points must: grey tells less apart."""
SEAM_NEAR, SEAM_FAR = 0.95, 0.9
"""Where no ledge shows, as below a bust on a pillar of its own width, a seam does: so many points near it, and of all points,
must be told apart by their colours. A pattern that repeats, as vases have, fails the second."""
SEAM_RIM = 3
"""So many points on a seam must lie beside the foot."""
SEAM_WIDTH = 0.95
"""What is below a seam is no narrower than this share of the foot."""
FITS = 6
"""The plane with the most points is fitted to those near it so many times."""
FILL = 20
"""A support's body is filled with so many points along its width."""
RANDOM_SEED = 0
"""The planes are drawn from this seed, so that the same points give the same support."""


@dataclass(frozen=True)
class Ledge:
    """A ledge is a level plane, normal @ p = height, on which something stands.

    `rim` [R, 3] are the points on it outside of the foot that stands on it, those of the points [P] that are `on` it; `foot`
    [F, 3] are the points of that foot. `distinct` tells how well the colours above differ from those on and below: 1/2 is like
    guessing, 1 is always. Its points lie in a layer of this `thickness`.
    """

    normal: np.ndarray
    height: float
    rim: np.ndarray
    on: np.ndarray
    foot: np.ndarray
    distinct: float
    thickness: float

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


def find_support(points: np.ndarray, colours: np.ndarray, distance: float, target: np.ndarray) -> Ledge | None:
    """Return the ledge on which the object stands; None where there is none to be seen.

    `points` [P, 3], z up, are those near the object, `colours` [P, 3] uint8, red first; `distance` is that of the cameras from
    the `target` [3] at which they look.

    The level plane below the target with the most points is asked first, and its foot is what stands where the cameras look:
    of a dense pattern so many points lie a little above it, by noise, that they would be taken for a foot as wide as a table,
    and so would other things on it. Where few points lie on a support any plane will do. An object has ledges of its own,
    shoulders and bands: a support's has another material on and below it than above, or nothing below that could be seen. Where
    there is no ledge a seam between two materials counts.
    """
    thickness = THICKNESS * distance
    for layer in (thickness, THICKER * thickness):
        if ledge := dense_support(points, colours, layer, target):
            return ledge
    near = partial(_Layers.of, points, colours.astype(float), thickness=thickness)
    low = points[points[:, 2] < np.median(points[:, 2])]
    ledges = (layers.ledge() for layers in (near(*plane) for plane in _level_planes(low)) if layers)
    best = max(filter(None, ledges), key=lambda ledge: (round(ledge.distinct, 2), len(ledge.rim)), default=None)
    if best:
        return best
    seams = (layers.seam() for layers in (near(np.array([0.0, 0.0, 1.0]), corner) for corner in low) if layers)
    return max(filter(None, seams), key=lambda seam: seam.distinct, default=None)


def dense_support(points: np.ndarray, colours: np.ndarray, thickness: float, target: np.ndarray) -> Ledge | None:
    """Return the ledge that the level layer with the most points is, as `find_support` asks first; None where it is none."""
    planes = _level_planes(points[points[:, 2] < target[2]])
    if not planes:
        return None
    fullest = max(planes, key=lambda plane: (np.abs((points - plane[1]) @ plane[0]) < thickness / 2).sum())
    return _dense(partial(_Layers.of, points, colours.astype(float), thickness=thickness, target=target), *fullest)


def _level_planes(points: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return normals and corners of the level ones of TRIALS planes through three of the points [P, 3] each."""
    if len(points) < 3:
        return []
    triples = points[np.random.default_rng(RANDOM_SEED).choice(len(points), (TRIALS, 3))]
    normals = np.cross(triples[:, 1] - triples[:, 0], triples[:, 2] - triples[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    normals *= np.where(normals[:, 2:] < 0, -1, 1)
    level = normals[:, 2] > TILT
    return list(zip(normals[level], triples[level, 0], strict=True))


def _dense(near: Callable[..., _Layers | None], normal: np.ndarray, corner: np.ndarray) -> Ledge | None:
    """Return the ledge that a plane is once it has been fitted to its points a few times; None where few are around the foot.

    A wide base that a slim stem stands on is the object's own, and the table below it tells so.
    """
    ledge = None
    for _ in range(FITS):
        layers = near(normal, corner)
        if layers is None or normal[2] < TILT:
            return None
        full = layers.on.sum() > FULL * len(layers.points) and layers.sectors >= MOST_SECTORS
        enough = OUTLYING_DISTINCT if full and layers.beyond(OUTLYING) else DISTINCT
        ledge = layers.ledge(enough) if full else None
        if ledge and ledge.distinct < enough and layers.under_rim() >= FEW_BELOW * layers.on.sum():
            ledge = None
        normal, corner = layers.fitted()
    return ledge


@dataclass(frozen=True)
class _Layers:
    """Layers are what points [P, 3] with colours [P, 3] are to a plane, normal @ p = height.

    `above` [P] is how far above it they lie, `thickness` what counts as on it; `foot`, `on`, beside the foot, and `below` are
    [P] bool. `radius` [P] is the distance from the foot's middle, `wide` the foot's own, and `sectors` so many directions of
    SECTORS show points `on` the plane.
    """

    points: np.ndarray
    colours: np.ndarray
    normal: np.ndarray
    height: float
    thickness: float
    above: np.ndarray
    foot: np.ndarray
    on: np.ndarray
    below: np.ndarray
    radius: np.ndarray
    wide: float
    sectors: int

    @classmethod
    def of(
        cls,
        points: np.ndarray,
        colours: np.ndarray,
        normal: np.ndarray,
        corner: np.ndarray,
        *,
        thickness: float,
        target: np.ndarray | None = None,
    ) -> _Layers | None:
        """Return the layers by the plane through `corner`; None where nothing stands on it.

        With a `target` [3] the foot is that of what stands nearest to the upright line through it, clear of the plane.
        """
        rise = points @ normal
        above = rise - corner @ normal
        foot = (above > thickness / 2) & (above < FOOT * thickness)
        if target is not None:
            foot &= above > thickness
            foot[foot] = _nearest_group((points - target)[foot, :2], CELL * thickness)
        if foot.sum() < MIN_FOOT:
            return None
        flat = points - rise[:, None] * normal
        offsets = flat - np.median(flat[foot], axis=0)
        radius = np.linalg.norm(offsets, axis=1)
        wide = float(np.quantile(radius[foot], 0.9))
        on = (np.abs(above) < thickness / 2) & (radius > WIDER * wide)
        directions = np.floor(np.arctan2(offsets[on, 1], offsets[on, 0]) * SECTORS / (2 * np.pi))
        below = (above < -thickness) & (above > -DEPTH * thickness) & (radius < 2 * wide)
        height, sectors = float(corner @ normal), len(np.unique(directions))
        return cls(points, colours, normal, height, thickness, above, foot, on, below, radius, wide, sectors)

    def fitted(self) -> tuple[np.ndarray, np.ndarray]:
        """Return normal and a point [3] of the plane that fits the points near this one best, the foot's among them."""
        points = self.points[np.abs(self.above) < self.thickness]
        middle = points.mean(0)
        normal = np.linalg.svd(points - middle, full_matrices=False)[2][2]
        return normal * np.copysign(1, normal[2]), middle

    def under_rim(self) -> int:
        """Return how many points lie below the plane, as far out as those on it do."""
        return int(((self.above < -self.thickness) & (self.radius < 1.1 * np.quantile(self.radius[self.on], 0.9))).sum())

    def beyond(self, times: float) -> bool:
        """Return whether most points on the plane lie further out than so many times the foot's radius."""
        return bool(np.median(self.radius[self.on]) > times * self.wide)

    def ledge(self, enough: float = DISTINCT) -> Ledge | None:
        """Return the ledge that the plane is, if it can be a support's; so distinct colours are `enough`."""
        on, below = self.on, self.below
        if on.sum() < MIN_LEDGE or self.sectors < MIN_SECTORS:
            return None
        distinct = _told_apart(self.colours[self.foot], self.colours[on | below])
        table = below.sum() < FEW_BELOW * on.sum() and self.beyond(WIDE)
        return self._as_ledge(distinct) if table or distinct >= enough else None

    def seam(self) -> Ledge | None:
        """Return the ledge that the plane stands for, if all above it is of one material and all below of another."""
        on, below, wide = self.on, self.below, self.wide
        if on.sum() < SEAM_RIM or below.sum() < MIN_FOOT or np.quantile(self.radius[below], 0.9) < SEAM_WIDTH * wide:
            return None
        near = _told_apart(self.colours[self.foot], self.colours[on | below])
        if near < SEAM_NEAR:
            return None
        far = _told_apart(
            self.colours[self.above > self.thickness / 2], self.colours[on | ((self.above < 0) & (self.radius < 2 * wide))]
        )
        return self._as_ledge((near + far) / 2) if far >= SEAM_FAR else None

    def _as_ledge(self, distinct: float) -> Ledge:
        return Ledge(self.normal, self.height, self.points[self.on], self.on, self.points[self.foot], distinct, self.thickness)


def _nearest_group(spots: np.ndarray, cell: float) -> np.ndarray:
    """Return which spots [S, 2] are the group, of those with MIN_FOOT spots, that comes nearest to the origin, [S] bool."""
    if not len(spots):
        return np.zeros(0, bool)
    of_spot = touching(spots, cell)
    large = [group for group in range(1, of_spot.max() + 1) if (of_spot == group).sum() >= MIN_FOOT]
    away = np.linalg.norm(spots, axis=1)
    nearest = min(large, key=lambda group: away[of_spot == group].min(), default=-1)
    return of_spot == nearest


def touching(points: np.ndarray, cell: float) -> np.ndarray:
    """Return the number, from 1 on, of the group of touching cells in which each of the points [P, D] lies; 0 in none.

    Cells have this side, and hold at least two points each.
    """
    from scipy.ndimage import label

    cells = np.floor((points - points.min(0)) / cell).astype(int)
    counts = np.zeros(cells.max(0) + 1, int)
    np.add.at(counts, tuple(cells.T), 1)
    groups = np.zeros(counts.shape, np.int32)
    label(counts >= 2, np.ones((3,) * points.shape[1]), groups)
    return groups[tuple(cells.T)]


def _told_apart(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of two sets of colours [*, 3] that lie on their side of the plane between (Fisher's discriminant)."""
    spread = np.cov(first.T) + np.cov(second.T) + np.eye(3)
    axis = np.linalg.solve(spread, first.mean(0) - second.mean(0))
    border = (first.mean(0) + second.mean(0)) @ axis / 2
    return float(((first @ axis > border).mean() + (second @ axis < border).mean()) / 2)
