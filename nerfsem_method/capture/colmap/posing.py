"""This module poses frames by the points of a model that they see, and so checks pairs that the model has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pycolmap

from nerfsem_method.capture.colmap import pairs
from nerfsem_method.capture.colmap.matching import MAX_ERROR, MIN_MATCHES, RANDOM_SEED, Matcher
from nerfsem_method.capture.colmap.solution import poses_of

CLOSURE_TOLERANCE = 12.0
"""A closure's rotation may differ by so many degrees from what the model, which drifts, predicts."""


@dataclass(frozen=True)
class Points:
    """The points of a model that frames can be posed by.

    `positions` [P, 3] are theirs. For each frame of a Matcher, `cameras` has the model's camera that took it, and `seen` the row
    in `positions` of each of its features [K], -1 where a feature belongs to no point.
    """

    cameras: list[pycolmap.Camera]
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
        solved = dict(model.cameras.items())  # A model has no camera of frames that it does not know.
        return cls([solved.get(camera.camera_id, camera) for camera in matcher.cameras], positions, seen)

    def pose(self, camera: pycolmap.Camera, pixels: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return cam_from_world [3, 4] of a frame of this camera that sees the points `rows` at `pixels` [N, 2], and which fit.

        The answer is None where too few fit.
        """
        if len(rows) < MIN_MATCHES:
            return None
        options = pycolmap.AbsolutePoseEstimationOptions()
        options.ransac.max_error = 2 * MAX_ERROR
        options.ransac.random_seed = RANDOM_SEED
        answer = pycolmap.estimate_and_refine_absolute_pose(pixels, self.positions[rows], camera, options)
        if answer is None or answer["num_inliers"] < MIN_MATCHES:
            return None
        return answer["cam_from_world"].matrix(), np.asarray(answer["inlier_mask"])


def drop_disagreeing(matcher: Matcher, chosen: list[tuple[int, int]], model: pycolmap.Reconstruction) -> list[tuple[int, int]]:
    """Delete those of the matcher's `chosen` pairs that contradict the model, and return the others.

    The second frame is posed by the points that the first one sees. The pair's own two-view geometry would not do:
    of a shallow object its rotation is wrong by ten degrees and more.
    """
    kept = []
    points, poses = Points.of(matcher, model), poses_of(matcher.job, model)
    with pycolmap.Database.open(str(matcher.path)) as database:
        for a, b in chosen:
            pair = matcher.ids[a], matcher.ids[b]
            if not database.exists_two_view_geometry(*pair):
                continue
            first, second = database.read_two_view_geometry(*pair).inlier_matches.T
            seen = points.seen[a][first] >= 0
            found = points.pose(points.cameras[b], matcher.keypoints[b][second[seen]], points.seen[a][first[seen]])
            if found and pairs.rotation_angle(found[0][:, :3] @ poses[b][:, :3].T) < CLOSURE_TOLERANCE:
                kept.append((a, b))
            else:
                database.delete_two_view_geometry(*pair)
    return kept
