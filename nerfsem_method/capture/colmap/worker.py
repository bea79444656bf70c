"""COLMAP in a process of its own: `python -m nerfsem_method.capture.colmap.worker JOB.json`.

Only pycolmap, NumPy and the standard library are imported here, so that a native abort, COLMAP's threads or its
memory never reach the caller. Progress goes to stdout as lines `stage done total`, COLMAP's own log to stderr.

Pairs are chosen here, not by COLMAP: 3.13 takes no pair list for matching, and its exhaustive and quadratic pairings
compare opposite sides of the object, which look alike on a turned vase. Nearby frames in video order are matched
first; once a first model stands, frames that it places close together (a closed turn, a second turn) are matched too,
and kept only where their two-view geometry agrees with the model. Of a long clip the model is made of keyframes; the
frames between are posed against it.
"""

from __future__ import annotations

import json
import sys
from bisect import bisect
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pycolmap

from nerfsem_method.capture.colmap import pairs
from nerfsem_method.capture.colmap.job import Job

RANDOM_SEED = 0
SMALL_FRAME = 640
"""Long side in pixels below which SIFT runs with lower thresholds than COLMAP's, as it does on the object alone: too few
features otherwise."""
LOW_PEAK, LOW_EDGE = 0.002, 20.0
STILL = 0.5
"""Pixels that a feature of the object moves at least between two frames when the room behind it stands still."""
NEIGHBOURS = 2
"""Keyframes before and after a frame against which it is posed."""
MIN_MATCHES = 15
MIN_INLIERS = 30
"""Points that a frame posed by points alone must fit."""
MAX_ERROR = 1.5
"""Pixels of reprojection error (COLMAP: 4, for photographs of several megapixels)."""
MAX_TRIALS = 1000
"""RANSAC samples a pair; COLMAP's 10000 are spent on pairs that are of no use anyway."""
CLOSURE_TOLERANCE = 12.0
"""Degrees by which a closing pair's rotation may differ from the model's drift-prone prediction."""
REFINEMENTS = ((12.0, MAX_ERROR, 2), (MAX_ERROR, 0.5, 4))
"""Pixels that may be joined to one track, scale of the robust loss in pixels, and rounds, of the first and the last
refinement. The last scale is about twice a good feature's noise: features on rims and in contact shadows are off by half
a pixel to one and a half, agree with each other, and lengthen the focal length together."""


def tell(stage: str, done: int, total: int) -> None:
    print(stage, done, total, flush=True)


def extract(job: Job, database: Path) -> None:
    """SIFT on every frame, all of one camera; COLMAP reads the mask of `a.png` from `a.png.png`."""
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = "SIMPLE_RADIAL"
    if job.masks:
        reader.mask_path = job.masks
    options = pycolmap.FeatureExtractionOptions()
    options.use_gpu = False
    if job.masks or job.long_side < SMALL_FRAME:
        options.sift.peak_threshold, options.sift.edge_threshold = LOW_PEAK, LOW_EDGE
    # numbered before features are sought in parallel: left to that, the numbers, and with them the model, change by chance
    pycolmap.Database.open(str(database)).close()  # makes an empty one
    pycolmap.import_images(str(database), job.images, pycolmap.CameraMode.SINGLE, job.names, reader)
    pycolmap.extract_features(
        str(database), job.images, image_names=job.names, camera_mode=pycolmap.CameraMode.SINGLE, reader_options=reader,
        extraction_options=options,
    )  # fmt: skip


def image_id(database: pycolmap.Database, name: str) -> int:
    """The number of a picture whose features have been extracted."""
    image = database.read_image_with_name(name)
    assert image is not None, name
    return image.image_id


def read_features(database: pycolmap.Database, image: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the keypoints [K, 2] in pixels and the descriptors [K, 128] uint8 of a picture."""
    descriptors = np.asarray(database.read_descriptors(image), np.uint8).reshape(-1, 128)
    keypoints = np.asarray(database.read_keypoints(image), np.float32)
    return keypoints.reshape(-1, max(keypoints.shape[-1], 2))[:, :2], descriptors  # a black frame has none


class Matcher:
    """Matches pairs of frames (by position in `job.names`) into the database and verifies their geometry."""

    def __init__(self, job: Job, path: Path) -> None:
        self.job, self.path = job, path
        with pycolmap.Database.open(str(path)) as database:
            self.ids = [image_id(database, name) for name in job.names]
            features = [read_features(database, i) for i in self.ids]
        self.keypoints, self.descriptors = (list(column) for column in zip(*features, strict=True))

    def match(self, chosen: list[tuple[int, int]], stage: str) -> None:
        with pycolmap.Database.open(str(self.path)) as database:
            for done, (a, b) in enumerate(chosen, 1):
                matches = pairs.mutual_matches(self.descriptors[a], self.descriptors[b])
                if self.job.still_room:
                    shift = self.keypoints[b][matches[:, 1]] - self.keypoints[a][matches[:, 0]]
                    matches = matches[np.linalg.norm(shift, axis=1) > STILL]
                if len(matches) >= MIN_MATCHES:
                    database.write_matches(self.ids[a], self.ids[b], matches)
                tell(stage, done, len(chosen))
        names = self.job.names
        listing = self.path.with_name(f"{stage}_pairs.txt")
        listing.write_text("".join(f"{names[a]} {names[b]}\n" for a, b in chosen))
        options = pycolmap.TwoViewGeometryOptions()
        options.ransac.max_num_trials = MAX_TRIALS
        options.ransac.max_error = MAX_ERROR
        options.ransac.random_seed = RANDOM_SEED
        pycolmap.verify_matches(str(self.path), str(listing), options)

    def drop_disagreeing(self, chosen: list[tuple[int, int]], model: pycolmap.Reconstruction) -> int:
        """Delete the pairs that contradict the model; returns how many remain.

        The second frame is posed by the points that the first one sees. The pair's own two-view geometry would not do:
        of a shallow object its rotation is wrong by ten degrees and more.
        """
        kept = 0
        rows, poses = Points.of(self, model), poses_of(self.job, model)
        with pycolmap.Database.open(str(self.path)) as database:
            for a, b in chosen:
                if not database.exists_inlier_matches(self.ids[a], self.ids[b]):
                    continue
                first, second = database.read_two_view_geometry(self.ids[a], self.ids[b]).inlier_matches.T
                seen = rows.seen[a][first] >= 0
                found = rows.pose(self.keypoints[b][second[seen]], rows.seen[a][first[seen]])
                if found and pairs.rotation_angle(found[0][:, :3] @ poses[b][:, :3].T) < CLOSURE_TOLERANCE:
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


def pipeline_options(job: Job, max_error: float = MAX_ERROR, closed: bool = False) -> pycolmap.IncrementalPipelineOptions:
    """Strict pixel thresholds; few refinements on the way, because `refine` has the last word.

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
    """The largest model of incremental mapping, or None."""
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
    """Retriangulate with all matches, closures included, and bundle-adjust until nothing moves.

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


@dataclass
class Solution:
    """What the caller gets: poses [3, 4] by position in `job.names`, points, and rows (point, frame, u, v) of `views`."""

    poses: dict[int, np.ndarray]
    positions: np.ndarray
    colours: np.ndarray
    views: list[tuple[float, ...]]


def poses_of(job: Job, model: pycolmap.Reconstruction) -> dict[int, np.ndarray]:
    """cam_from_world [3, 4] of every registered frame, by its position in `job.names`."""
    place = {name: i for i, name in enumerate(job.names)}
    return {place[i.name]: i.cam_from_world().matrix() for i in model.images.values() if i.has_pose}


def solution_of(job: Job, model: pycolmap.Reconstruction) -> Solution:
    """A model in plain arrays."""
    place = {i.image_id: job.names.index(i.name) for i in model.images.values()}
    points = list(model.points3D.values())
    views = [
        (row, place[e.image_id], float(x), float(y))
        for row, point in enumerate(points)
        for e in point.track.elements
        for x, y in [model.images[e.image_id].points2D[e.point2D_idx].xy]
    ]
    positions = np.array([p.xyz for p in points]).reshape(-1, 3)
    colours = np.array([p.color for p in points], np.uint8).reshape(-1, 3)
    return Solution(poses_of(job, model), positions, colours, views)


@dataclass(frozen=True)
class Points:
    """A model's points as rows of `positions` [P, 3]; `seen`: for each frame of a Matcher its features' rows [K], -1 none."""

    camera: pycolmap.Camera
    positions: np.ndarray
    seen: list[np.ndarray]

    @classmethod
    def of(cls, matcher: Matcher, model: pycolmap.Reconstruction) -> Points:
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
        """cam_from_world [3, 4] of a frame that sees points `rows` at `pixels` [N, 2], and which fit [N] bool."""
        if len(rows) < MIN_MATCHES:
            return None
        options = pycolmap.AbsolutePoseEstimationOptions()
        options.ransac.max_error = 2 * MAX_ERROR
        options.ransac.random_seed = RANDOM_SEED
        answer = pycolmap.estimate_and_refine_absolute_pose(pixels, self.positions[rows], self.camera, options)
        if answer is None or answer["num_inliers"] < MIN_MATCHES:
            return None
        return answer["cam_from_world"].matrix(), np.asarray(answer["inlier_mask"])


def pose_others(job: Job, keys: Matcher, model: pycolmap.Reconstruction, found: Solution) -> None:
    """Add the poses and views of the frames that the model lacks, each from the points that nearby keyframes see."""
    points = Points.of(keys, model)
    known = [position for position, key in enumerate(job.keys) if key in found.poses]
    others = [frame for frame in range(len(job.names)) if frame not in found.poses]
    with pycolmap.Database.open(str(keys.path)) as database:
        for done, frame in enumerate(others, 1):
            tell("others", done, len(others))
            pixels, descriptors = read_features(database, image_id(database, job.names[frame]))
            after = bisect([job.keys[position] for position in known], frame)
            feature_of: dict[int, int] = {}  # by point
            for position in known[max(0, after - NEIGHBOURS) : after + NEIGHBOURS]:
                for feature, other in pairs.mutual_matches(descriptors, keys.descriptors[position]):
                    if (row := int(points.seen[position][other])) >= 0:
                        feature_of[row] = int(feature)
            rows, features = (np.array(list(part), int) for part in (feature_of.keys(), feature_of.values()))
            posed = points.pose(pixels[features], rows)
            if posed and posed[1].sum() >= MIN_INLIERS:
                found.poses[frame], good = posed
                found.views += [(p, frame, *pixels[f]) for p, f in zip(rows[good], features[good], strict=True)]


def save(job: Job, model: pycolmap.Reconstruction | None, found: Solution | None, motion: float | None, closures: int) -> None:
    """Write result.json and points.npz into the work folder."""
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


def main(job: Job) -> None:
    database = Path(job.work) / "database.db"
    extract(job, database)
    keys = replace(job, names=[job.names[i] for i in job.keys])
    matcher = Matcher(keys, database)
    matcher.match(pairs.sequential_pairs(len(keys.names)), "matches")
    model, found = map_frames(keys, database), None
    closures = 0
    if model is not None:
        if job.masks:  # of the object alone the first model bends: ends that meet would be taken for others
            refine(keys, database, model, closed=False)
        closing = pairs.closing_pairs(poses_of(keys, model), len(keys.names))
        matcher.match(closing, "closure")
        closures = matcher.drop_disagreeing(closing, model)
        refine(keys, database, model, closed=closures > 0)
        model.extract_colors_for_all_images(job.images)
        found = solution_of(job, model)
        pose_others(job, matcher, model, found)
    save(job, model, found, matcher.median_motion(), closures)


if __name__ == "__main__":
    main(Job.read(Path(sys.argv[1])))
