"""COLMAP in a process of its own: `python -m nerfsem_dataparsers.capture.colmap_worker JOB.json`.

Only pycolmap, NumPy and the standard library are imported here, so that a native abort, COLMAP's threads or its
memory never reach the caller. Progress goes to stdout as lines `stage done total`, COLMAP's own log to stderr.

Pairs are chosen here, not by COLMAP: 3.13 takes no pair list for matching, and its exhaustive and quadratic pairings
compare opposite sides of the object, which look alike on a turned vase. Nearby frames in video order are matched
first; once a first model stands, frames that it places close together (a closed turn, a second turn) are matched too,
and kept only where their two-view geometry agrees with the model.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pycolmap

from nerfsem_dataparsers.capture import pairs
from nerfsem_dataparsers.capture.colmap_job import Job

RANDOM_SEED = 0
SMALL_FRAME = 640
"""Long side in pixels below which SIFT runs with lower thresholds than COLMAP's: too few features otherwise."""
SMALL_FRAME_PEAK, SMALL_FRAME_EDGE = 0.002, 20.0
MIN_MATCHES = 15
MAX_ERROR = 1.5
"""Pixels of reprojection error (COLMAP: 4, for photographs of several megapixels)."""
MAX_TRIALS = 1000
"""RANSAC samples a pair; COLMAP's 10000 are spent on pairs that are of no use anyway."""
CLOSURE_TOLERANCE = 12.0
"""Degrees by which a closing pair's rotation may differ from the model's drift-prone prediction."""
REFINEMENT_ERRORS = (12.0, MAX_ERROR)
"""Pixels: what may be joined to one track in the first and the last refinement."""
REFINEMENTS = 2


def tell(stage: str, done: int, total: int) -> None:
    print(stage, done, total, flush=True)


def extract(job: Job, database: Path) -> None:
    """SIFT on every frame, all of one camera; COLMAP reads the mask of `a.png` from `a.png.png`."""
    reader = pycolmap.ImageReaderOptions()
    if job.masks:
        reader.mask_path = job.masks
    options = pycolmap.FeatureExtractionOptions()
    options.use_gpu = False
    if job.long_side < SMALL_FRAME:
        options.sift.peak_threshold, options.sift.edge_threshold = SMALL_FRAME_PEAK, SMALL_FRAME_EDGE
    pycolmap.extract_features(
        str(database),
        job.images,
        image_names=job.names,
        camera_mode=pycolmap.CameraMode.SINGLE,
        camera_model="SIMPLE_RADIAL",
        reader_options=reader,
        extraction_options=options,
    )


class Matcher:
    """Matches pairs of frames (by position in `job.names`) into the database and verifies their geometry."""

    def __init__(self, job: Job, path: Path) -> None:
        self.job, self.path = job, path
        with pycolmap.Database.open(str(path)) as database:
            self.ids = [database.read_image_with_name(name).image_id for name in job.names]
            raw = [np.asarray(database.read_descriptors(i), np.float32).reshape(-1, 128) for i in self.ids]
            self.keypoints = [np.asarray(database.read_keypoints(i))[:, :2] for i in self.ids]
        self.descriptors = [d / np.maximum(np.linalg.norm(d, axis=1, keepdims=True), 1e-9) for d in raw]

    def match(self, chosen: list[tuple[int, int]], stage: str) -> None:
        with pycolmap.Database.open(str(self.path)) as database:
            for done, (a, b) in enumerate(chosen, 1):
                matches = pairs.mutual_matches(self.descriptors[a], self.descriptors[b])
                if len(matches) >= MIN_MATCHES:
                    database.write_matches(self.ids[a], self.ids[b], matches)
                tell(stage, done, len(chosen))
        names = self.job.names
        listing = self.path.with_name(f"{stage}_pairs.txt")
        listing.write_text("".join(f"{names[a]} {names[b]}\n" for a, b in chosen))
        options = pycolmap.TwoViewGeometryOptions()
        options.ransac.max_num_trials = MAX_TRIALS
        options.compute_relative_pose = True
        options.ransac.max_error = MAX_ERROR
        options.ransac.random_seed = RANDOM_SEED
        pycolmap.verify_matches(str(self.path), str(listing), options)

    def drop_disagreeing(self, chosen: list[tuple[int, int]], poses: dict[int, np.ndarray]) -> int:
        """Delete the pairs whose relative rotation contradicts the model's; returns how many remain."""
        kept = 0
        with pycolmap.Database.open(str(self.path)) as database:
            for a, b in chosen:
                geometry = None
                if database.exists_inlier_matches(self.ids[a], self.ids[b]):
                    geometry = database.read_two_view_geometry(self.ids[a], self.ids[b])
                if geometry is None or len(geometry.inlier_matches) < MIN_MATCHES:
                    continue
                predicted = poses[b][:, :3] @ poses[a][:, :3].T
                measured = geometry.cam2_from_cam1.rotation.matrix()
                if pairs.rotation_angle(measured @ predicted.T) < CLOSURE_TOLERANCE:
                    kept += 1
                else:
                    database.delete_inlier_matches(self.ids[a], self.ids[b])
        return kept

    def median_motion(self) -> float | None:
        """Median displacement in pixels between the frames matched farthest apart; None where nothing matches."""
        step = pairs.sequential_steps(len(self.ids))[-1]
        moved = []
        with pycolmap.Database.open(str(self.path)) as database:
            for a in range(len(self.ids) - step):
                if database.exists_matches(self.ids[a], self.ids[a + step]):
                    first, second = database.read_matches(self.ids[a], self.ids[a + step]).T
                    shift = self.keypoints[a + step][second] - self.keypoints[a][first]
                    moved.append(np.median(np.linalg.norm(shift, axis=1)))
        return float(np.median(moved)) if moved else None


def pipeline_options(max_error: float = MAX_ERROR) -> pycolmap.IncrementalPipelineOptions:
    """Strict pixel thresholds; few refinements on the way, because `refine` has the last word."""
    options = pycolmap.IncrementalPipelineOptions()
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
    """The largest model of incremental mapping, or None."""
    models = Path(job.work) / "models"
    models.mkdir()
    registered = iter(range(1, 10**9))
    found = pycolmap.incremental_mapping(
        str(database),
        job.images,
        str(models),
        options=pipeline_options(),
        next_image_callback=lambda: tell("cameras", next(registered), len(job.names)),
    )
    return max(found.values(), key=lambda model: model.num_reg_images(), default=None)


def refine(database: Path, model: pycolmap.Reconstruction) -> None:
    """Retriangulate with all matches, closures included, and bundle-adjust until nothing moves.

    Drift keeps the two ends of a turn pixels apart, so tracks are first joined with a wide threshold and a robust
    loss, then cleaned with the strict one.
    """
    with pycolmap.Database.open(str(database)) as opened:
        cache = pycolmap.DatabaseCache.create(opened, MIN_MATCHES, False, set())
    mapper = pycolmap.IncrementalMapper(cache)
    mapper.begin_reconstruction(model)
    for max_error in REFINEMENT_ERRORS:
        options = pipeline_options(max_error)
        adjustment = options.get_global_bundle_adjustment()
        adjustment.solver_options.max_num_iterations = 25
        adjustment.solver_options.function_tolerance = 1e-5
        adjustment.loss_function_type = pycolmap.LossFunctionType.CAUCHY
        adjustment.loss_function_scale = MAX_ERROR
        mapper.iterative_global_refinement(REFINEMENTS, 0.0005, options.get_mapper(), adjustment, options.get_triangulation())
    mapper.end_reconstruction(False)
    model.update_point_3d_errors()


def poses_of(job: Job, model: pycolmap.Reconstruction) -> dict[int, np.ndarray]:
    """cam_from_world [3, 4] of every registered frame, by its position in `job.names`."""
    place = {name: i for i, name in enumerate(job.names)}
    return {place[i.name]: i.cam_from_world().matrix() for i in model.images.values() if i.has_pose}


def save(job: Job, model: pycolmap.Reconstruction | None, motion: float | None, closures: int) -> None:
    """Write result.json and points.npz into the work folder."""
    work = Path(job.work)
    result: dict[str, object] = {"motion": motion, "closures": closures, "poses": {}}
    if model is not None:
        camera = next(iter(model.cameras.values()))
        result["poses"] = {str(i): pose.tolist() for i, pose in poses_of(job, model).items()}
        result["camera"] = [camera.model.name, camera.width, camera.height, camera.params.tolist()]
        result["reprojection_error"] = model.compute_mean_reprojection_error()
        place = {i.image_id: job.names.index(i.name) for i in model.images.values()}
        points = list(model.points3D.values())
        views = [
            (row, place[e.image_id], *model.images[e.image_id].points2D[e.point2D_idx].xy)
            for row, point in enumerate(points)
            for e in point.track.elements
        ]
        np.savez(
            work / "points.npz",
            positions=np.array([p.xyz for p in points]).reshape(-1, 3),
            colours=np.array([p.color for p in points], np.uint8).reshape(-1, 3),
            views=np.array(views).reshape(-1, 4),
        )
    (work / "result.json").write_text(json.dumps(result))


def main(job: Job) -> None:
    database = Path(job.work) / "database.db"
    extract(job, database)
    matcher = Matcher(job, database)
    matcher.match(pairs.sequential_pairs(len(job.names)), "matches")
    model = map_frames(job, database)
    closures = 0
    if model is not None:
        poses = poses_of(job, model)
        closing = pairs.closing_pairs(poses, len(job.names))
        matcher.match(closing, "closure")
        closures = matcher.drop_disagreeing(closing, poses)
        refine(database, model)
        model.extract_colors_for_all_images(job.images)
    save(job, model, matcher.median_motion(), closures)


if __name__ == "__main__":
    main(Job.read(Path(sys.argv[1])))
