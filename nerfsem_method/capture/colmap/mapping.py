"""This module makes a model of matched frames: COLMAP's global mapper first, its incremental one as second opinion, and a bundle
adjustment with the last word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pycolmap

from nerfsem_method.capture.colmap.job import Job, dense, tell
from nerfsem_method.capture.colmap.matching import MAX_ERROR, MIN_MATCHES, RANDOM_SEED
from nerfsem_method.capture.colmap.support import drop_loose, explained, folded


@dataclass(frozen=True)
class Rounds:
    """Rounds of refinement join points within `reach` pixels to one track; `loss_scale` is the robust loss's, in pixels.

    The lens's distortion is `bent` to what fits, or stays.
    """

    reach: float
    loss_scale: float
    rounds: int
    bent: bool = True


DRIFTING = Rounds(reach=12.0, loss_scale=MAX_ERROR, rounds=2)
"""Drift keeps points pixels apart, so tracks are first joined within a wide reach."""
TIED = replace(DRIFTING, rounds=1)
"""A turn whose two ends have just been tied is straightened; what settles the model comes after it."""
SETTLED = Rounds(reach=MAX_ERROR, loss_scale=0.5, rounds=4)
"""This loss's scale is about twice a good feature's noise: features on rims and in contact shadows are off by half a pixel to one
and a half, agree with each other, and lengthen the focal length together."""
ALIKE = replace(SETTLED, bent=False)
"""Where several lenses took the frames, they are settled once more with one distortion for all."""
THOROUGH, HASTY = (25, 1e-5), (10, 1e-4)
"""An adjustment ends after so many iterations, or when one lowers the cost by a smaller share than the second number. Before a
dense clip is settled, hasty ones do; of fewer frames they leave a model where it does not settle well, and the focal length of an
object alone may have far to go."""
ENOUGH_ROUNDS = 3
"""A dense clip is settled after so many rounds: a fourth one turns its cameras by thousandths of a degree."""
USUAL_LENS = 1.2
"""A focal length that is not known is taken for so many long sides, as COLMAP does."""
EXPLAINED = 0.85
"""A model of all frames that makes points of such a share of the verified matches needs no second opinion: right ones of large
frames do of 0.91 and 0.95, right ones of small frames of 0.78 and 0.79, bent ones of 0.74."""
NEARLY_ALL = 0.9
"""A model with such a share of another one's frames is better where that one is folded."""
TRACKS, FEWER_TRACKS = 300, 150
"""The global mapper looks at so many tracks a frame, the longest: more take longer and change nothing, for `refine` takes all.
The second are enough for a dense clip."""


def pipeline_options(job: Job, max_error: float = MAX_ERROR, closed: bool = False) -> pycolmap.IncrementalPipelineOptions:
    """Return options with strict pixel thresholds and few refinements on the way, because `refine` has the last word.

    An object in the middle of the frame cannot tell the lens's distortion from its focal length, nor that from its distance
    until its turn is `closed`: alone, it is taken for undistorted, and before that for seen by a usual lens, as in any job whose
    lens is `held` (a part of the sample's turn ran to eleven times its focal length, a turntable to k = -0.28).
    """
    options = pycolmap.IncrementalPipelineOptions()
    options.ba_refine_extra_params = not job.object_alone and (closed or not job.held)
    options.ba_refine_focal_length = closed or not job.held
    options.num_threads = 1  # Sums of several threads come in any order, and a model grows differently from their last bit.
    options.random_seed = RANDOM_SEED
    options.min_model_size = 3
    options.extract_colors = False
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


def map_frames(job: Job, database: Path, attempt: str) -> pycolmap.Reconstruction | None:
    """Return the model that explains the most frames, and of these the most sightings of points; None where there is none.

    The global mapper misses fewer frames, but of small frames its model is bent, and no adjustment bends it back. So the
    incremental one is asked, too, unless the first model has all frames and so many of their matches, nowhere few, that it must
    be right. Which of the two is right shows once each has all points. `attempt` names the incremental one's files.
    """
    first = _with_all_points(job, database, _map_globally(job, database))
    whole = first is not None and first.num_reg_images() == len(job.names) and not folded(database, first, job.names)
    if first is not None and whole and explained(database, first) > EXPLAINED:
        return first
    second = map_by_and_by(job, database, attempt)
    if first is not None and second is not None and second.num_reg_images() >= NEARLY_ALL * first.num_reg_images():
        first = None if folded(database, first, job.names) and not folded(database, second, job.names) else first
    return better(first, second)


def map_by_and_by(job: Job, database: Path, attempt: str) -> pycolmap.Reconstruction | None:
    """Return the incremental mapper's model; None where there is none."""
    return _with_all_points(job, database, _map_incrementally(job, database, attempt))


def taken_over(job: Job, database: Path, model: pycolmap.Reconstruction) -> pycolmap.Reconstruction:
    """Return a model of the same poses by the cameras that the database holds now, with new points, adjusted."""
    new = pycolmap.Reconstruction()
    with reopened(database, new):
        for number in sorted(model.reg_image_ids()):
            frame = new.images[number].frame_id
            new.frames[frame].rig_from_world = model.images[number].cam_from_world()
            new.register_frame(frame)
    return _adjusted(job, database, new)


def _with_all_points(job: Job, database: Path, model: pycolmap.Reconstruction | None) -> pycolmap.Reconstruction | None:
    """Return a mapper's model with the points of all matches, adjusted, without the frames that hang in the air."""
    if model is not None:
        if job.held:
            for camera in model.cameras.values():
                camera.focal_length = USUAL_LENS * job.long_side  # The incremental mapper changes it when it poses frames.
        _adjusted(job, database, model)
    return model


def _adjusted(job: Job, database: Path, model: pycolmap.Reconstruction) -> pycolmap.Reconstruction:
    """Return the model itself, once it has the points of all matches, adjusted, without the frames that hang in the air."""
    triangulate(job, database, model)
    refine(job, database, model, DRIFTING, closed=False)
    drop_loose(model)
    return model


def better(first: pycolmap.Reconstruction | None, second: pycolmap.Reconstruction | None) -> pycolmap.Reconstruction | None:
    """Return the one of two models that explains more frames, and of equals the one with more sightings of points."""
    models = [model for model in (first, second) if model is not None]
    return max(models, key=lambda model: (model.num_reg_images(), model.compute_num_observations()), default=None)


def _largest(models: dict[int, pycolmap.Reconstruction]) -> pycolmap.Reconstruction | None:
    return max(models.values(), key=lambda model: model.num_reg_images(), default=None)


def _map_globally(job: Job, database: Path) -> pycolmap.Reconstruction | None:
    """Solve all rotations at once, then all positions (Pan et al., Global Structure-from-Motion Revisited, ECCV 2024)."""
    tell("cameras", 0, 1)
    options = pycolmap.GlobalPipelineOptions()
    options.num_threads = options.mapper.num_threads = 1
    options.random_seed = options.mapper.random_seed = RANDOM_SEED
    options.min_num_matches = MIN_MATCHES
    options.mapper.skip_retriangulation = True
    options.mapper.ba_num_iterations = 1
    options.mapper.track_required_tracks_per_view = FEWER_TRACKS if dense(len(job.names)) else TRACKS
    adjustment = options.mapper.bundle_adjustment
    adjustment.refine_extra_params = adjustment.refine_focal_length = not job.held
    options.image_path = ""  # Here pictures are read for colours of points alone, which only the finished model needs.
    found = pycolmap.ReconstructionManager()
    with pycolmap.Database.open(str(database)) as opened:
        pycolmap.GlobalPipeline(options, opened, found).run()
    return _largest({number: found.get(number) for number in range(found.size())})


def _map_incrementally(job: Job, database: Path, attempt: str) -> pycolmap.Reconstruction | None:
    """Add frame after frame (Schoenberger and Frahm, Structure-from-Motion Revisited, CVPR 2016)."""
    models = Path(job.work) / f"{attempt}_incremental"
    models.mkdir(exist_ok=True)  # Another try with other lenses makes the same attempts.
    registered = iter(range(1, 10**9))
    found = pycolmap.incremental_mapping(
        str(database),
        job.images,
        str(models),
        options=pipeline_options(job),
        next_image_callback=lambda: tell("cameras", next(registered), len(job.names)),
    )
    return _largest(found)


@contextmanager
def reopened(database: Path, model: pycolmap.Reconstruction) -> Iterator[pycolmap.IncrementalMapper]:
    """Yield a mapper that goes on with a model, on the matches that the database holds now."""
    choice = pycolmap.DatabaseCacheOptions()
    choice.min_num_matches = MIN_MATCHES
    with pycolmap.Database.open(str(database)) as opened:
        mapper = pycolmap.IncrementalMapper(pycolmap.DatabaseCache.create(opened, choice))
    mapper.begin_reconstruction(model)
    yield mapper
    mapper.end_reconstruction(False)


def triangulate(job: Job, database: Path, model: pycolmap.Reconstruction) -> None:
    """Give the model the points of all matches; the global mapper's has those of the longest tracks alone."""
    options = pipeline_options(job, DRIFTING.reach).get_triangulation()
    with reopened(database, model) as mapper:
        for image in sorted(model.reg_image_ids()):
            mapper.triangulate_image(options, image)
        mapper.complete_and_merge_tracks(options)


def adopt(job: Job, database: Path, model: pycolmap.Reconstruction) -> None:
    """Pose those frames that the model lacks by the points that they are matched with, and refine the model if there are any."""
    options = pipeline_options(job, DRIFTING.reach)
    known = model.num_reg_images()
    with reopened(database, model) as mapper:
        found = [0]
        while found:
            lost = sorted(set(model.images) - set(model.reg_image_ids()))
            found = [image for image in lost if mapper.register_next_image(options.get_mapper(), image)]
            for image in found:
                mapper.triangulate_image(options.get_triangulation(), image)
    if model.num_reg_images() > known:
        refine(job, database, model, DRIFTING, closed=False)
        drop_loose(model)


def refine(job: Job, database: Path, model: pycolmap.Reconstruction, how: Rounds, closed: bool) -> None:
    """Join and complete the model's tracks with all matches, closures included, and bundle-adjust until nothing moves."""
    if how in (SETTLED, ALIKE):
        tell("refinement", int(how is ALIKE), 2)
    else:
        tell("cameras", 1, 3)  # Frames are counted where they are added one by one, after this.
    options = pipeline_options(job, how.reach, closed)
    options.ba_refine_extra_params &= how.bent
    adjustment = options.get_global_bundle_adjustment()
    hasten = dense(len(job.names)) and not job.held
    iterations, tolerance = HASTY if hasten and how not in (SETTLED, ALIKE) else THOROUGH
    rounds = min(how.rounds, ENOUGH_ROUNDS) if hasten else how.rounds
    adjustment.ceres.solver_options.max_num_iterations = iterations
    adjustment.ceres.solver_options.function_tolerance = tolerance
    adjustment.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
    adjustment.ceres.loss_function_scale = how.loss_scale
    with reopened(database, model) as mapper:
        mapper.iterative_global_refinement(rounds, 0.0005, options.get_mapper(), adjustment, options.get_triangulation())
    model.update_point_3d_errors()


def settle(job: Job, database: Path, model: pycolmap.Reconstruction, closed: bool) -> None:
    """Give a model its last adjustment, and the frames of all lenses one distortion, as a scene has it."""
    refine(job, database, model, SETTLED, closed)
    taken = [model.cameras[model.images[image].camera_id].params for image in sorted(model.reg_image_ids())]
    if len({tuple(params) for params in taken}) > 1:
        shared = np.median(taken, 0)[1:]
        for camera in model.cameras.values():
            camera.params = np.array([camera.focal_length, *shared])
        refine(job, database, model, ALIKE, closed)
    drop_loose(model)
