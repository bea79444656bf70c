"""A solution is what the caller gets of a model: plain arrays, written to files that need no COLMAP to be read."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pycolmap

from nerfsem_method.capture.colmap.job import Job, Place
from nerfsem_method.capture.colmap.zoom import Focal


def poses_of(job: Job, model: pycolmap.Reconstruction) -> dict[int, np.ndarray]:
    """Return cam_from_world [3, 4] of every registered frame, by its index into `job.names`."""
    index_of = {name: i for i, name in enumerate(job.names)}
    return {index_of[i.name]: i.cam_from_world().matrix() for i in model.images.values() if i.has_pose}


def usual_lens(model: pycolmap.Reconstruction) -> pycolmap.Camera:
    """Return the camera that took the most of a model's frames; where more took as many, the one amid them by its length."""
    takers = Counter(model.images[image].camera_id for image in model.reg_image_ids())
    most = [number for number in sorted(takers) if takers[number] == max(takers.values())] or sorted(model.cameras)
    by_length = sorted((model.cameras[number] for number in most), key=lambda camera: camera.focal_length)
    return by_length[(len(by_length) - 1) // 2]


def zooms_of(model: pycolmap.Reconstruction) -> dict[str, float]:
    """Return the names of the frames that other lenses took, with how many times the usual focal length theirs is."""
    usual = usual_lens(model)
    images = [model.images[image] for image in sorted(model.reg_image_ids())]
    others = {image.name: model.cameras[image.camera_id] for image in images if image.camera_id != usual.camera_id}
    return {name: camera.focal_length / usual.focal_length for name, camera in others.items()}


def save(
    job: Job,
    model: pycolmap.Reconstruction | None,
    motion: float | None,
    closures: int,
    focal: Focal,
    sense: float,
    island: float,
    burnt_in: list[Place],
) -> None:
    """Write result.json and, if there is a model, points.npz into the job's work folder.

    result.json has `poses`, and `lenses`, the frames that were posed with another lens's camera and their zoom, by index into
    `job.names`; its `camera` is the usual lens's. points.npz has `positions` [P, 3] and `colours` [P, 3] uint8 of the points, and
    `views` [M, 4], a row (point, index into `job.names`, u, v) for each time that a frame sees a point.
    """
    work = Path(job.work)
    result: dict[str, object] = {"motion": motion, "closures": closures, "stretches": focal.stretches, "poses": {}, "lenses": []}
    result["focal_evidence"], result["explained"], result["apart"] = focal.evidence, sense, island
    result["squeeze"], result["fisheye"], result["burnt_in"] = focal.squeeze, focal.fisheye, burnt_in
    if model is not None:
        poses = poses_of(job, model)
        camera = usual_lens(model)
        result["lenses"] = sorted((job.names.index(name), zoom) for name, zoom in zooms_of(model).items())
        result["poses"] = {str(i): poses[i].tolist() for i in sorted(poses)}
        result["camera"] = [camera.model.name, camera.width, camera.height, camera.params.tolist()]
        result["reprojection_error"] = model.compute_mean_reprojection_error()
        np.savez(work / "points.npz", **_points_of(job, model))
    (work / "result.json").write_text(json.dumps(result))


def _points_of(job: Job, model: pycolmap.Reconstruction) -> dict[str, np.ndarray]:
    index_of = {name: i for i, name in enumerate(job.names)}
    frame_of = {i.image_id: index_of[i.name] for i in model.images.values()}
    points = list(model.points3D.values())
    views = [
        (row, frame_of[e.image_id], float(x), float(y))
        for row, point in enumerate(points)
        for e in point.track.elements
        for x, y in [model.images[e.image_id].points2D[e.point2D_idx].xy]
    ]
    return {
        "positions": np.array([p.xyz for p in points]).reshape(-1, 3),
        "colours": np.array([p.color for p in points], np.uint8).reshape(-1, 3),
        "views": np.array(views).reshape(-1, 4),
    }
