"""A solution is what the caller gets of a model: plain arrays, written to files that need no COLMAP to be read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pycolmap

from nerfsem_method.capture.colmap.job import Job


@dataclass
class Solution:
    """A solution has poses [3, 4] (cam_from_world) by index into `job.names`, and points.

    `positions` [P, 3] and `colours` [P, 3] uint8 are the points'; `views` has a row (point, frame, u, v) for each time that
    a frame sees a point.
    """

    poses: dict[int, np.ndarray]
    positions: np.ndarray
    colours: np.ndarray
    views: list[tuple[float, ...]]


def poses_of(job: Job, model: pycolmap.Reconstruction) -> dict[int, np.ndarray]:
    """Return cam_from_world [3, 4] of every registered frame, by its index into `job.names`."""
    index_of = {name: i for i, name in enumerate(job.names)}
    return {index_of[i.name]: i.cam_from_world().matrix() for i in model.images.values() if i.has_pose}


def solution_of(job: Job, model: pycolmap.Reconstruction) -> Solution:
    """Return a model in plain arrays."""
    frame_of = {i.image_id: job.names.index(i.name) for i in model.images.values()}
    points = list(model.points3D.values())
    views = [
        (row, frame_of[e.image_id], float(x), float(y))
        for row, point in enumerate(points)
        for e in point.track.elements
        for x, y in [model.images[e.image_id].points2D[e.point2D_idx].xy]
    ]
    positions = np.array([p.xyz for p in points]).reshape(-1, 3)
    colours = np.array([p.color for p in points], np.uint8).reshape(-1, 3)
    return Solution(poses_of(job, model), positions, colours, views)


def save(job: Job, model: pycolmap.Reconstruction | None, found: Solution | None, motion: float | None, closures: int) -> None:
    """Write result.json and, if there is a model, points.npz into the job's work folder."""
    work = Path(job.work)
    result: dict[str, object] = {"motion": motion, "closures": closures, "poses": {}}
    if model is not None and found is not None:
        camera = next(iter(model.cameras.values()))
        result["poses"] = {str(i): found.poses[i].tolist() for i in sorted(found.poses)}
        result["camera"] = [camera.model.name, camera.width, camera.height, camera.params.tolist()]
        result["reprojection_error"] = model.compute_mean_reprojection_error()
        views = np.array(found.views).reshape(-1, 4)
        np.savez(work / "points.npz", positions=found.positions, colours=found.colours, views=views)
    (work / "result.json").write_text(json.dumps(result))
