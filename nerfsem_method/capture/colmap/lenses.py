"""This module finds out which photographs other lenses took, or were cropped and enlarged, and gives each lens a camera.

With the usual lens's camera such a photograph is posed too near to the object or too far from it, by those of its features that
fit there, and where they are many all cameras are bent. Mapped with a camera for each photograph, focal lengths are right to a
hundredth, and those of different lenses lie apart. A film that zooms is solved in the same way.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pycolmap

from nerfsem_method.capture.colmap.job import Job
from nerfsem_method.capture.colmap.matching import MAX_ERROR, MIN_MATCHES, RANDOM_SEED, Matcher
from nerfsem_method.capture.colmap.posing import Points
from nerfsem_method.capture.colmap.zoom import told_apart

OTHER = 0.065
"""Lenses are two where the logarithms of their photographs' focal lengths leave such a gap."""
MORE = 1.15
"""With its own focal length so many times as many points fit: 1.23 to 2 times in cropped photographs, hardly more in others."""


def give_lenses(job: Job, database: Path) -> None:
    """Give the frames of each of the job's lenses a camera of their own; features and matches stay as they are."""
    with pycolmap.Database.open(str(database)) as opened:
        usual = min(opened.read_all_cameras(), key=lambda camera: camera.camera_id)
        others = sorted({job.lens(name) for name in job.names} - {(1.0, "")})
        numbers = {(1.0, ""): usual.camera_id, **{lens: usual.camera_id + n for n, lens in enumerate(others, 1)}}
        for lens in others:
            _write_lens(opened, usual, lens[0] * (job.focal or usual.focal_length), job.focal is not None, numbers[lens])
        for image in opened.read_all_images():
            number = numbers[job.lens(image.name)]
            if image.camera_id != number:
                image.camera_id = number
                frame = pycolmap.Frame(frame_id=image.frame_id, rig_id=number)
                frame.add_data_id(image.data_id)
                opened.update_frame(frame)  # An image is written for a frame that has its camera.
                opened.update_image(image)


def _write_lens(database: pycolmap.Database, usual: pycolmap.Camera, focal: float, known: bool, number: int) -> None:
    """Write a camera of this focal length, and a rig of it alone, which COLMAP asks for, under a number.

    Where the length is not `known`, nearly, COLMAP tries many when it adds a frame, for seconds where none of them will do.
    """
    camera = pycolmap.Camera(usual.todict())
    camera.camera_id, camera.focal_length, camera.has_prior_focal_length = number, focal, known
    if database.exists_camera(number):
        database.update_camera(camera)
        return
    database.write_camera(camera, use_camera_id=True)
    rig = pycolmap.Rig(rig_id=number)
    rig.add_ref_sensor(camera.sensor_id)
    database.write_rig(rig, use_rig_id=True)


def several_lenses(matcher: Matcher, model: pycolmap.Reconstruction) -> bool:
    """Return whether a model's photographs may have been taken by more lenses than it has cameras.

    Either one fits better with another focal length, or so many would rather have their own that the model is bent by them.
    """
    points = Points.of(matcher, model)
    seen = zip(points.cameras, _sightings(matcher, points), strict=True)
    return any(_fits_better(points, camera, *sightings) for camera, sightings in seen) or told_apart(model)


def parted(model: pycolmap.Reconstruction) -> dict[str, float]:
    """Return the names of the photographs that other lenses took than the most, with the zoom of each lens.

    Lenses are parted where the focal lengths of the model's cameras leave a gap.
    """
    return _told_by_gaps(_lengths(model))


def joined(zooms: dict[str, float], model: pycolmap.Reconstruction) -> dict[str, float]:
    """Return the `zooms` of the lenses by which a model was made, where those that have settled alike in it are one.

    A photograph that the model lacks is by the same lens as before.
    """
    settled = _lengths(model)
    usual = np.median([length for name, length in settled.items() if name not in zooms] or [*settled.values()])
    for name, zoom in zooms.items():
        if name not in settled:
            known = [settled[other] for other in zooms if other in settled and zooms[other] == zoom]
            settled[name] = float(np.median(known)) if known else zoom * float(usual)
    return _told_by_gaps(settled)


def _lengths(model: pycolmap.Reconstruction) -> dict[str, float]:
    """Return the focal length of each photograph with a pose by its name."""
    images = [model.images[image] for image in model.reg_image_ids()]
    return {image.name: model.cameras[image.camera_id].focal_length for image in images}


def _told_by_gaps(lengths: dict[str, float]) -> dict[str, float]:
    """Return the names of the photographs whose focal `lengths` a gap parts from the usual ones, and their lenses' zooms."""
    names = sorted(lengths, key=lambda name: (lengths[name], name))
    groups = [names[:1]]
    for before, name in pairwise(names):
        if np.log(lengths[name] / lengths[before]) > OTHER:
            groups.append([])
        groups[-1].append(name)
    usual, *others = sorted(groups, key=len, reverse=True)
    middle = np.median([lengths[name] for name in usual])
    return {name: float(np.median([lengths[name] for name in group]) / middle) for group in others for name in group}


def _fits_better(points: Points, camera: pycolmap.Camera, pixels: np.ndarray, rows: np.ndarray) -> bool:
    """Return whether a photograph of this camera that sees the points `rows` [N] at `pixels` [N, 2] is by another lens."""
    if len(rows) < MIN_MATCHES:
        return False
    fixed = points.pose(camera, pixels, rows)
    options, lens = pycolmap.AbsolutePoseEstimationOptions(), pycolmap.AbsolutePoseRefinementOptions()
    options.estimate_focal_length = lens.refine_focal_length = True
    options.ransac.max_error = 2 * MAX_ERROR
    options.ransac.random_seed = RANDOM_SEED
    own = pycolmap.Camera(camera.todict())
    free = pycolmap.estimate_and_refine_absolute_pose(pixels, points.positions[rows], own, options, lens)
    fit = max(fixed[1].sum() if fixed else 0, MIN_MATCHES)
    return free is not None and free["num_inliers"] > MORE * fit and abs(np.log(own.focal_length / camera.focal_length)) > OTHER


def _sightings(matcher: Matcher, points: Points) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each photograph where it sees points, [N, 2] pixels and [N] rows of `points`, as its matches with others say.

    These are all matches, for those that a wrong focal length explains are few.
    """
    place = {number: index for index, number in enumerate(matcher.ids)}
    seen: list[list[np.ndarray]] = [[np.zeros((0, 2), int)] for _ in place]
    with pycolmap.Database.open(str(matcher.path)) as database:
        for pair, matches in zip(*database.read_all_matches(), strict=True):
            first, second = (place[image] for image in pycolmap.pair_id_to_image_pair(pair))
            for other, own, both in (first, second, matches), (second, first, matches[:, ::-1]):
                rows = points.seen[other][both[:, 0]]
                seen[own].append(np.column_stack([both[:, 1], rows])[rows >= 0])
    pairs = [np.unique(np.concatenate(found), axis=0) for found in seen]
    return [(keypoints[found[:, 0]], found[:, 1]) for keypoints, found in zip(matcher.keypoints, pairs, strict=True)]
