"""This module makes a model of matched frames, by COLMAP's incremental mapping and a bundle adjustment with the last word."""

from __future__ import annotations

from pathlib import Path

import pycolmap

from nerfsem_method.capture.colmap.job import Job, tell
from nerfsem_method.capture.colmap.matching import MAX_ERROR, MIN_MATCHES, RANDOM_SEED

REFINEMENTS = ((12.0, MAX_ERROR, 2), (MAX_ERROR, 0.5, 4))
"""The first and the last refinement have each a distance in pixels within which points are joined to one track, a scale in
pixels of the robust loss, and a number of rounds. The last scale is about twice a good feature's noise: features on rims and
in contact shadows are off by half a pixel to one and a half, agree with each other, and lengthen the focal length together."""


def pipeline_options(job: Job, max_error: float = MAX_ERROR, closed: bool = False) -> pycolmap.IncrementalPipelineOptions:
    """Return options with strict pixel thresholds and few refinements on the way, because `refine` has the last word.

    An object in the middle of the frame cannot tell the lens's distortion from its focal length, nor that from its distance
    until its turn is `closed`: alone, it is taken for undistorted, and before that for seen by a usual lens (a part of the
    sample's turn ran to eleven times its focal length, a turntable to k = -0.28).
    """
    options = pycolmap.IncrementalPipelineOptions()
    options.ba_refine_extra_params = not job.masks
    options.ba_refine_focal_length = closed or not job.masks
    options.num_threads = 1  # sums of several threads come in any order, and a model grows differently from their last bit
    options.random_seed = RANDOM_SEED
    options.min_model_size = 3
    options.mapper.random_seed = RANDOM_SEED
    options.triangulation.random_seed = RANDOM_SEED
    options.ba_global_frames_ratio = options.ba_global_points_ratio = 1.4
    options.ba_global_max_refinements = options.ba_local_max_refinements = 1
    options.ba_global_max_num_iterations = 10
    options.ba_global_function_tolerance = options.ba_local_function_tolerance = 1e-4
    options.mapper.filter_max_reproj_error = max_error
    options.mapper.abs_pose_max_error = 3 * max_error
    options.triangulation.merge_max_reproj_error = max_error
    options.triangulation.complete_max_reproj_error = max_error
    return options


def map_frames(job: Job, database: Path) -> pycolmap.Reconstruction | None:
    """Return the largest model that incremental mapping makes of the job's frames; None where it makes none."""
    models = Path(job.work) / "models"
    models.mkdir()
    registered = iter(range(1, 10**9))
    found = pycolmap.incremental_mapping(
        str(database),
        job.images,
        str(models),
        options=pipeline_options(job),
        next_image_callback=lambda: tell("cameras", next(registered), len(job.names)),
    )
    return max(found.values(), key=lambda model: model.num_reg_images(), default=None)


def refine(job: Job, database: Path, model: pycolmap.Reconstruction, closed: bool) -> None:
    """Triangulate the model anew with all matches, closures included, and bundle-adjust until nothing moves.

    Drift keeps the two ends of a turn pixels apart, so tracks are first joined with a wide threshold and a robust
    loss, then cleaned with the strict one.
    """
    with pycolmap.Database.open(str(database)) as opened:
        cache = pycolmap.DatabaseCache.create(opened, MIN_MATCHES, False, set())
    mapper = pycolmap.IncrementalMapper(cache)
    mapper.begin_reconstruction(model)
    for max_error, loss_scale, rounds in REFINEMENTS:
        options = pipeline_options(job, max_error, closed)
        adjustment = options.get_global_bundle_adjustment()
        adjustment.solver_options.max_num_iterations = 25
        adjustment.solver_options.function_tolerance = 1e-5
        adjustment.loss_function_type = pycolmap.LossFunctionType.CAUCHY
        adjustment.loss_function_scale = loss_scale
        mapper.iterative_global_refinement(rounds, 0.0005, options.get_mapper(), adjustment, options.get_triangulation())
    mapper.end_reconstruction(False)
    model.update_point_3d_errors()
