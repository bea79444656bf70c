"""This module asks which frames of a model hang together, and takes the poses of the others away.

The global mapper gives a pose to every frame that any match ties to another one. Islands, and frames whose matches all turned out
wrong, then lie anywhere: of the 54 photographs of a head ten did, five of them with fewer than six points.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pycolmap

COMMON, COMMON_AT_LAST = 30, 15
"""A frame hangs together with another one if they see so many points in common, in a model that still drifts and after the last,
strict adjustment. Four frames of that head that had 27 at first lay wrong, six that have fewer than 30 at last lie right, frames
of the other clips have hundreds."""


def drop_loose(model: pycolmap.Reconstruction, common: int) -> None:
    """Take the poses from all frames but the largest set of them in which each has so many points in `common` with another."""
    kept = held_together(model, common)
    for image in sorted(model.reg_image_ids()):
        if image not in kept:
            model.deregister_frame(model.images[image].frame_id)


def held_together(model: pycolmap.Reconstruction, common: int) -> set[int]:
    """Return the images of the largest set in which so many points in `common` tie each one to another."""
    shared: Counter[tuple[int, int]] = Counter()
    for point in model.points3D.values():
        shared.update(combinations(sorted({element.image_id for element in point.track.elements}), 2))
    group = {image: {image} for image in model.reg_image_ids()}
    for (first, second), points in shared.items():
        if points >= common and group[first] is not group[second]:
            joined = group[first] | group[second]
            group.update(dict.fromkeys(joined, joined))
    return max(group.values(), key=lambda images: (len(images), -min(images)), default=set())
