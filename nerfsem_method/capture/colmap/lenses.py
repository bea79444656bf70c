"""This module asks a finished model which photographs another lens took, or were cropped and enlarged afterwards.

Such a photograph is posed too near to the object or too far from it, by those of its features that fit there. So it is posed anew
by all points of what it shows that other photographs see, once with the model's lens and once with a focal length of its own.
"""

from __future__ import annotations

import numpy as np
import pycolmap

from nerfsem_method.capture.colmap.matching import MAX_ERROR, MIN_MATCHES, RANDOM_SEED, Matcher
from nerfsem_method.capture.colmap.posing import Points

OTHER = 0.07
"""Focal lengths of one lens differ by less than this share: by 0.001 in photographs of an object in a room, by 0.05 in those of a
head. Those of photographs that were cropped to 0.8 show as 1.23 to 1.49 times the others', of a wide lens's, 0.5, as 0.50."""
MORE = 1.15
"""With its own focal length so many times as many points fit: 1.23 to 2 times in cropped photographs, hardly more in others."""


def other_lenses(matcher: Matcher, model: pycolmap.Reconstruction) -> dict[str, float]:
    """Return the names of those photographs with another focal length than the model's, with how many times that it is."""
    points = Points.of(matcher, model)
    ratios = {
        name: ratio_of_focal_lengths(points, pixels, rows)
        for name, (pixels, rows) in zip(matcher.job.names, _sightings(matcher, points), strict=True)
    }
    return {name: ratio for name, ratio in ratios.items() if ratio is not None}


def ratio_of_focal_lengths(points: Points, pixels: np.ndarray, rows: np.ndarray) -> float | None:
    """Return how many times the usual focal length fits a photograph better that sees the points `rows` [N] at `pixels` [N, 2].

    The answer is None where the usual one does.
    """
    fixed = points.pose(pixels, rows)
    if fixed is None:
        return None
    options, lens = pycolmap.AbsolutePoseEstimationOptions(), pycolmap.AbsolutePoseRefinementOptions()
    options.estimate_focal_length = lens.refine_focal_length = True
    options.ransac.max_error = 2 * MAX_ERROR
    options.ransac.random_seed = RANDOM_SEED
    usual = points.camera
    own = pycolmap.Camera(model=usual.model, width=usual.width, height=usual.height, params=usual.params.copy())
    found = pycolmap.estimate_and_refine_absolute_pose(pixels, points.positions[rows], own, options, lens)
    ratio = own.params[0] / usual.params[0]
    more = found is not None and found["num_inliers"] > MORE * max(fixed[1].sum(), MIN_MATCHES)
    return float(ratio) if more and abs(np.log(ratio)) > OTHER else None


def _sightings(matcher: Matcher, points: Points) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each photograph where it sees points, [N, 2] pixels and [N] rows of `points`, as its matches with others say."""
    place = {number: index for index, number in enumerate(matcher.ids)}
    seen: list[list[np.ndarray]] = [[np.zeros((0, 2), int)] for _ in place]
    with pycolmap.Database.open(str(matcher.path)) as database:
        for pair, geometry in zip(*database.read_two_view_geometries(), strict=True):
            first, second = (place[image] for image in pycolmap.pair_id_to_image_pair(pair))
            matched = geometry.inlier_matches
            for other, own, matches in (first, second, matched), (second, first, matched[:, ::-1]):
                rows = points.seen[other][matches[:, 0]]
                seen[own].append(np.column_stack([matches[:, 1], rows])[rows >= 0])
    pairs = [np.unique(np.concatenate(found), axis=0) for found in seen]
    return [(keypoints[found[:, 0]], found[:, 1]) for keypoints, found in zip(matcher.keypoints, pairs, strict=True)]
