"""This module asks which frames of a model hang together, and takes the poses of the others away.

The global mapper gives a pose to every frame that any match ties to another one. Islands, and frames whose matches all turned out
wrong, then lie anywhere: of the 54 photographs of a head ten did, five of them with fewer than six points.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pycolmap

HANDFUL = 5
"""Fewer frames than this say nothing of their own."""
COMMON = 30
"""A frame hangs together with another one if they see so many points in common. Four frames of that head that had 27 lay wrong,
and so did six that 24 tied to the others after all adjustments: their mattes cut a third off what the others agree on. The
weakest tie of its other frames has 74, that of other clips more than a hundred."""
FOLDED = 0.5
"""A model is folded between two neighbours that share fewer of their matches. The global mapper folded the first eight and ten
of 50 frames of two krater clips, 7 degrees apart, upon the others, with .05 and .25 there. Sound models
that explain much have .59 and more, and two of small frames .30 and .39."""


def drop_loose(model: pycolmap.Reconstruction) -> None:
    """Take the poses from all frames but the largest set of them that hangs together."""
    kept = held_together(model)
    for image in sorted(model.reg_image_ids()):
        if image not in kept:
            model.deregister_frame(model.images[image].frame_id)


def held_together(model: pycolmap.Reconstruction) -> set[int]:
    """Return the images of the largest set in which COMMON points tie each one to another."""
    shared: Counter[tuple[int, int]] = Counter()
    for point in model.points3D.values():
        shared.update(combinations(sorted({element.image_id for element in point.track.elements}), 2))
    group = {image: {image} for image in model.reg_image_ids()}
    for (first, second), points in shared.items():
        if points >= COMMON and group[first] is not group[second]:
            joined = group[first] | group[second]
            group.update(dict.fromkeys(joined, joined))
    return max(group.values(), key=lambda images: (len(images), -min(images)), default=set())


def apart(database: Path, model: pycolmap.Reconstruction, count: int) -> float:
    """Return which share of the frames without a pose, of `count` in all, COMMON verified matches tie to another such one.

    Frames that as many tie to one with a pose, too, do not count; the answer is 0 where those that do are a handful.
    """
    posed, tied, known = set(model.reg_image_ids()), set[int](), set[int]()
    with pycolmap.Database.open(str(database)) as opened:
        for pair, geometry in zip(*opened.read_two_view_geometries(), strict=True):
            images = pycolmap.pair_id_to_image_pair(pair)
            if len(geometry.inlier_matches) >= COMMON:
                (tied if posed.isdisjoint(images) else known).update(images)
    tied -= known
    return len(tied) / (count - len(posed)) if len(tied) >= HANDFUL else 0.0


def explained(database: Path, model: pycolmap.Reconstruction, posed_alone: bool = False) -> float:
    """Return of which share of the verified matches a model's points are made: both features belong to the same one.

    All matches count, or those between frames that have a pose.
    """
    posed = set(model.reg_image_ids())
    counts = [(right, total) for images, right, total in _used(database, model) if not posed_alone or set(images) <= posed]
    right, total = np.sum(counts, 0) if counts else (0, 0)
    return float(right / total) if total else 0.0


def folded(database: Path, model: pycolmap.Reconstruction, names: list[str]) -> bool:
    """Return whether somewhere hardly any of the matches of two frames next to each other in the order of `names` made points.

    So it is where mappers fold a turn upon itself, since an object looks alike from two sides.
    """
    place = {name: number for number, name in enumerate(names)}
    places = {number: place[image.name] for number, image in model.images.items()}
    return any(
        right < FOLDED * total
        for (a, b), right, total in _used(database, model)
        if total >= COMMON and a in places and b in places and abs(places[a] - places[b]) == 1
    )


def _used(database: Path, model: pycolmap.Reconstruction) -> Iterator[tuple[tuple[int, int], int, int]]:
    """Yield each pair of images that has verified matches, how many of these made points of the model, and how many they are."""
    nowhere = np.iinfo(np.uint64).max
    points = {
        number: np.array([p.point3D_id if p.has_point3D() else nowhere for p in image.points2D], np.uint64)
        for number, image in model.images.items()
    }
    with pycolmap.Database.open(str(database)) as opened:
        for pair, geometry in zip(*opened.read_two_view_geometries(), strict=True):
            images, right = pycolmap.pair_id_to_image_pair(pair), 0
            if points.keys() >= set(images):  # A model does not list images that have too few matches with any other.
                first, second = (points[image][rows] for image, rows in zip(images, geometry.inlier_matches.T, strict=True))
                right = int(((first == second) & (first != nowhere)).sum())
            yield images, right, len(geometry.inlier_matches)
