"""This module tells which triangulated points belong to the object, which the cameras circle, or to what it stands on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nerfsem_method.capture.cameras.normalise import towards_z, upright, ups_over_the_top
from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.mattes.hints import ObjectBox
from nerfsem_method.capture.mattes.sightlines import trusted
from nerfsem_method.capture.mattes.support import THICKNESS, dense_support, find_support, touching
from nerfsem_method.scene.camera import camera_centres, look_at_point

REACH = 0.45
"""A point can belong to the object within this share of the cameras' distance."""
ALL = 0.98
"""So many of the points within reach are as good as all."""
TO_THE_TOP, LARGER, WIDEST = 0.9, 1.25, 0.7
"""Where points go up to this share of the reach, it is made so many times as large, as long as it is a smaller share of the
cameras' distance than this. Of 30 objects that a usual lens shows whole the highest goes up to .78 of it."""
CELLS = 20
"""The reach is so many cells long; points in touching cells belong together."""
MIN_NEAR = 40
"""Fewer points than this are no object, but noise."""
NEIGHBOURS, SPREAD = 8, 2.5
"""A point whose NEIGHBOURS-th neighbour is SPREAD times farther away than it is for its neighbours is noise."""
WIDER = 1.3
"""What stands above or below the main body within so many times its radius belongs to it."""
ALONE, NARROWER = 0.97, 0.9
"""What lies below an object that turns alone is its own foot if this share of the points there lie in its column, and nine tenths
within this share of its radius: what it turns on is wider, and shows around it."""
FEWEST = 10
"""Fewer points than this are no foot."""
MOSTLY, FREE = 0.9, 0.1
"""Where no support is seen, as of a plain white plinth, what lies below the object is its foot if this share of the points there
lie in its column, and nothing in the lowest part of the reach, this share of the cameras' distance high: a rod or a pillar goes
on."""
SOLE = 0.05
"""So many of such a foot's points lie below it: they are shadows on what it stands on, and its edges."""
CLEAR = 0.4
"""The object begins so many thicknesses above its support: voxels on a plane's surface look like the shadow that lies there."""
FLAT, BESIDE = 2.0, 0.02
"""Up to so many thicknesses above its support nothing is the object's that lies beside all its points, seen from above, by this
share of the cameras' distance: from most sides a hard shadow looks like something flat that belongs to it."""
DEPTH = 0.6
"""A support is kept down to this share of the cameras' distance: frames around the object show about so much of it."""
MARGIN = 0.25
"""The object may reach beyond its points by this share of their extent."""


@dataclass(frozen=True)
class Cluster:
    """A cluster is the object among the points of a model, and the plane on which it stands.

    `mine` [P] bool are its points, `others` [P] bool those clear of it. A point p is above the plane where normal @ p > height.
    `seeds` [S, 3] are positions on the object, `support` [B, 3] positions in a support that is kept with it. `low`,
    `high` [3] bound both generously; `height` is -inf where no support is cut off. Up to `flat` it reaches no farther than
    `beside` from its points, seen from above.
    """

    seeds: np.ndarray
    support: np.ndarray
    mine: np.ndarray
    others: np.ndarray
    normal: np.ndarray
    height: float
    low: np.ndarray
    high: np.ndarray
    flat: float = -np.inf
    beside: float = 0.0

    def above(self, points: np.ndarray) -> np.ndarray:
        """Return which positions [P, 3] lie above the plane [P] bool, and not flat on it beside the object."""
        from scipy.spatial import Delaunay, KDTree

        heights = points @ self.normal
        above = heights > self.height
        flat = np.flatnonzero(above & (heights < self.flat))
        if len(flat):
            spots, own = points[flat, :2], self.seeds[:, :2]
            over = (Delaunay(own).find_simplex(spots) >= 0) | (KDTree(own).query(spots)[0] < self.beside)
            above[flat] = over
        return above


def find(model: SparseModel, keep_support: bool = False, box: ObjectBox | None = None) -> Cluster | None:
    """Return the object among the points of a model whose z axis points up; None where too few lie where the cameras look.

    A support is found and cut off, unless `keep_support`; then the column under it belongs to the object, down to
    DEPTH. `box` points out the object where the cameras circle more than one thing.
    """
    from scipy.spatial import KDTree

    points = model.points
    look = _Look.of(model, np.array([0.0, 0.0, 1.0]))
    target, distance, near = look.target, look.distance, look.near
    if box:
        near &= box.shows(points, model.cameras)
    if near.sum() < MIN_NEAR:
        return None
    ledge = find_support(points[near], model.colours[near], distance, target)
    cut = None if keep_support else ledge
    clear = CLEAR * THICKNESS * distance
    normal, height = (cut.normal, cut.height + clear) if cut else (np.array([0.0, 0.0, 1.0]), -np.inf)
    mine = near & (points @ normal > (cut.height + cut.thickness if cut else height))
    if mine.sum() < MIN_NEAR:
        return None
    cell = REACH * distance / CELLS
    lowest = None if model.region == "object" else float(target @ normal) - look.reach + FREE * distance
    mine[mine], sole = _whole_body(points[mine], normal, cell, cut is not None, lowest)
    if sole is not None and not keep_support:
        height = sole
    if mine.sum() < MIN_NEAR:
        return None
    solid = points[mine]
    mine[mine] = ~_noise(points[mine])
    seeds = points[mine]
    support = ledge.body_below(DEPTH * distance) if keep_support and ledge else np.zeros((0, 3))
    others = KDTree(np.concatenate([solid, support])).query(points)[0] > 2 * cell
    if cut:
        others[np.flatnonzero(near)[cut.on]] = True  # as near as they are to the foot, they are none of it
    reaches = [np.quantile(part, (0.01, 0.99), axis=0) for part in (seeds, support) if len(part)]  # the support has more points
    low, high = np.min(reaches, (0, 1)), np.max(reaches, (0, 1))
    margin = MARGIN * (high - low)[: 2 if keep_support else 3].max()
    flat = cut.height + FLAT * THICKNESS * distance if cut else -np.inf
    return Cluster(seeds, support, mine, others, normal, height, low - margin, high + margin, flat, BESIDE * distance)


def way_up(model: SparseModel) -> np.ndarray:
    """Return the rotation [3, 3] that takes the way up to +z: that of the pictures, its opposite, or across the object's support.

    Of a film that is upside down the object stands on nothing, and does so if it is turned over, with the cameras above it. A
    camera that goes over the object does not tell which way is up, and what the object stands on does; where there is no such
    thing, up is that of the pictures.
    """
    turn, others = upright(model.taken), ups_over_the_top(model.taken)
    for tried in (turn, np.diag([1.0, -1.0, -1.0]) @ turn, *map(towards_z, others)):
        if (normal := _stands_on(model, tried)) is not None:
            return towards_z(normal) @ tried if len(others) else tried
    return turn


def _stands_on(model: SparseModel, turn: np.ndarray) -> np.ndarray | None:
    """Return the normal [3] of the dense plane that carries the object, below the cameras; None where there is none.

    The rotation `turn` takes the way up to +z, from which the normal is less than 20 degrees away.
    """
    look = _Look.of(model, turn[2])
    heights = (camera_centres(model.poses) - look.target) @ turn[2]
    if look.near.sum() < MIN_NEAR or np.median(heights) < 0:
        return None
    points, colours = model.points[look.near] @ turn.T, model.colours[look.near]
    ledge = dense_support(points, colours, THICKNESS * look.distance, turn @ look.target)
    return ledge.normal if ledge else None


@dataclass(frozen=True)
class _Look:
    """Cameras look at a `target` [3] from a `distance`; the points `near` it [P] bool lie within `reach`."""

    target: np.ndarray
    distance: float
    reach: float
    near: np.ndarray

    @classmethod
    def of(cls, model: SparseModel, up: np.ndarray) -> _Look:
        """Find out where the cameras of a model look, whose way up is `up` [3].

        Of an object that stands low in all pictures they look above it: where all points near their target lie below, it is
        moved down amid these, once, for a support may show more than the object does. Where points go up to the top of the
        reach, as of an object that fills a wide lens's pictures, it is enlarged.
        """
        target, seen, lowered = look_at_point(model.poses), trusted(model), False
        distance = float(np.median(np.linalg.norm(camera_centres(model.poses) - target, axis=1)))
        reach = REACH * distance
        while True:
            near = seen & (np.linalg.norm(model.points - target, axis=1) < reach)
            heights = (model.points[near] - target) @ up
            top = float(np.quantile(heights, ALL)) if near.sum() >= MIN_NEAR else 0.0
            if top < 0 and not lowered:
                target, lowered = target + float(np.median(heights)) * up, True
            elif top > TO_THE_TOP * reach and reach < WIDEST * distance:
                reach *= LARGER
            else:
                return cls(target, distance, reach, near)


def _whole_body(
    points: np.ndarray, up: np.ndarray, cell: float, supported: bool, lowest: float | None
) -> tuple[np.ndarray, float | None]:
    """Return which points belong to the largest group of touching cells or stand in its column, and its sole's height.

    The column reaches down to the support if one was cut off, and to the group's own foot otherwise; so it does to a foot that a
    dark stem, without points, parts from it, none of whose points lie below the height `lowest` (None: the object turns alone).
    Where such a foot stands is known then. The column is fitted anew to all that it took in until it takes no more: a side of
    smooth stone has few points, and a group of the others alone stands off centre.
    """
    body, sole = main_body(points, cell), None
    while body.any():
        offsets = points - np.median(points[body], axis=0)
        heights = offsets @ up
        across = np.linalg.norm(offsets - heights[:, None] * up, axis=1)
        radius, foot = np.quantile(across[body], 0.95), np.quantile(heights[body], 0.05)
        column, below = across < WIDER * radius, heights < foot
        apart = below & ~body
        own = _is_foot(across[apart] / radius, ALONE if lowest is None else MOSTLY)
        if own and lowest is not None:
            own = bool(np.quantile(points[apart] @ up, 1 - ALONE) > lowest)
            if own and not supported and sole is None:
                sole = float(np.quantile(points[apart] @ up, SOLE))
        grown = body | (column if supported or own else column & ~below)
        if (grown == body).all():
            break
        body = grown
    return body, sole


def _is_foot(across: np.ndarray, least: float) -> bool:
    """Return whether points are a body's own foot, by their distances [P] from its axis in its radii: `least` in its column."""
    return bool(len(across) >= FEWEST and (across < WIDER).mean() > least and np.quantile(across, 0.9) < NARROWER)


def _noise(points: np.ndarray) -> np.ndarray:
    """Return which points are lonelier than their neighbours: mistriangulated ones float beside the surface."""
    from scipy.spatial import KDTree

    gaps, neighbours = map(np.asarray, KDTree(points).query(points, NEIGHBOURS + 1))
    return gaps[:, -1] > SPREAD * np.median(gaps[neighbours[:, 1:], -1], axis=1)


def main_body(points: np.ndarray, cell: float) -> np.ndarray:
    """Return which points lie in the largest group of touching cells that hold at least two points."""
    of_point = touching(points, cell)
    weight = np.bincount(of_point)
    weight[0] = 0
    return (of_point == weight.argmax()) & (of_point > 0)
