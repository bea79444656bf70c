"""This module poses frames by the points of a model that they see: a closure's second frame, and frames that the model lacks."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass

import numpy as np
import pycolmap

from nerfsem_method.capture.colmap import pairs
from nerfsem_method.capture.colmap.job import Job, tell
from nerfsem_method.capture.colmap.matching import MAX_ERROR, MIN_MATCHES, RANDOM_SEED, Matcher, image_id, read_features
from nerfsem_method.capture.colmap.solution import Solution, poses_of

NEIGHBOURS = 2
"""A frame is posed against so many keyframes before it and as many after it."""
MIN_INLIERS = 30
"""A frame that is posed by points alone must fit at least so many of them."""
CLOSURE_TOLERANCE = 12.0
"""A closure's rotation may differ by so many degrees from what the model, which drifts, predicts."""


@dataclass(frozen=True)
class Points:
    """The points of a model that frames can be posed by.

    `positions` [P, 3] are theirs; `seen` has, for each frame of a Matcher, the row in `positions` of each of its features
    [K], -1 where a feature belongs to no point.
    """

    camera: pycolmap.Camera
    positions: np.ndarray
    seen: list[np.ndarray]

    @classmethod
    def of(cls, matcher: Matcher, model: pycolmap.Reconstruction) -> Points:
        """Look up which of the model's points the matcher's features are."""
        rows = {identity: row for row, identity in enumerate(model.points3D)}
        seen = [
            np.array([rows.get(p.point3D_id, -1) for p in model.images[i].points2D], int)
            if i in model.images
            else np.full(len(keypoints), -1)
            for i, keypoints in zip(matcher.ids, matcher.keypoints, strict=True)
        ]
        positions = np.array([p.xyz for p in model.points3D.values()]).reshape(-1, 3)
        return cls(next(iter(model.cameras.values())), positions, seen)

    def pose(self, pixels: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return cam_from_world [3, 4] of a frame that sees the points `rows` at `pixels` [N, 2], and which fit [N] bool.

        The answer is None where too few fit.
        """
        if len(rows) < MIN_MATCHES:
            return None
        options = pycolmap.AbsolutePoseEstimationOptions()
        options.ransac.max_error = 2 * MAX_ERROR
        options.ransac.random_seed = RANDOM_SEED
        answer = pycolmap.estimate_and_refine_absolute_pose(pixels, self.positions[rows], self.camera, options)
        if answer is None or answer["num_inliers"] < MIN_MATCHES:
            return None
        return answer["cam_from_world"].matrix(), np.asarray(answer["inlier_mask"])


def drop_disagreeing(matcher: Matcher, chosen: list[tuple[int, int]], model: pycolmap.Reconstruction) -> int:
    """Delete those of the matcher's `chosen` pairs that contradict the model, and return how many remain.

    The second frame is posed by the points that the first one sees. The pair's own two-view geometry would not do:
    of a shallow object its rotation is wrong by ten degrees and more.
    """
    kept = 0
    points, poses = Points.of(matcher, model), poses_of(matcher.job, model)
    with pycolmap.Database.open(str(matcher.path)) as database:
        for a, b in chosen:
            pair = matcher.ids[a], matcher.ids[b]
            if not database.exists_inlier_matches(*pair):
                continue
            first, second = database.read_two_view_geometry(*pair).inlier_matches.T
            seen = points.seen[a][first] >= 0
            found = points.pose(matcher.keypoints[b][second[seen]], points.seen[a][first[seen]])
            if found and pairs.rotation_angle(found[0][:, :3] @ poses[b][:, :3].T) < CLOSURE_TOLERANCE:
                kept += 1
            else:
                database.delete_inlier_matches(*pair)
    return kept


def pose_others(job: Job, keys: Matcher, model: pycolmap.Reconstruction, found: Solution) -> None:
    """Add the poses and views of the frames that the model lacks, each from the points that nearby keyframes see."""
    points = Points.of(keys, model)
    known = [index for index, key in enumerate(job.keys) if key in found.poses]
    others = [frame for frame in range(len(job.names)) if frame not in found.poses]
    with pycolmap.Database.open(str(keys.path)) as database:
        for done, frame in enumerate(others, 1):
            tell("others", done, len(others))
            pixels, descriptors = read_features(database, image_id(database, job.names[frame]))
            after = bisect([job.keys[index] for index in known], frame)
            feature_of: dict[int, int] = {}  # the keys are rows of points
            for index in known[max(0, after - NEIGHBOURS) : after + NEIGHBOURS]:
                for feature, other in pairs.mutual_matches(descriptors, keys.descriptors[index]):
                    if (row := int(points.seen[index][other])) >= 0:
                        feature_of[row] = int(feature)
            rows, features = (np.array(list(part), int) for part in (feature_of.keys(), feature_of.values()))
            posed = points.pose(pixels[features], rows)
            if posed and posed[1].sum() >= MIN_INLIERS:
                found.poses[frame], good = posed
                found.views += [(p, frame, *pixels[f]) for p, f in zip(rows[good], features[good], strict=True)]
