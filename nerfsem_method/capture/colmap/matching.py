"""This module finds the features of the frames and matches them, pair by pair, in COLMAP's database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
import pycolmap

from nerfsem_method.capture.colmap import pairs
from nerfsem_method.capture.colmap.burnt import BY_AND_BY, around, burnt_cells, cells_of, places
from nerfsem_method.capture.colmap.job import Job, Place, dense, tell
from nerfsem_method.desk import cores

RANDOM_SEED = 0
"""COLMAP draws its random samples from this seed everywhere, so that the same frames give the same cameras."""
MOST_FEATURES = 3000
"""SIFT keeps about so many features of a frame, the largest; more of them cost time in their square, and move no camera. All that
it keeps are matched: without the smallest of these a logo's clip was wrong by a degree, and six wrong frames hung together."""
SMALL_FRAME = 512
"""In frames whose longer side has fewer pixels than this SIFT also looks at the doubled picture, as it does on the object alone;
in larger ones that takes four times as long and finds noise, or a messenger's blocks, unless there is little to see in them."""
FEW_FEATURES = 500
"""Frames in which SIFT finds fewer than this, counted in `SOME` of them, show as little as small ones: bars fill the rest."""
MANY_FEATURES, STRICTER_EDGE = 1000, 15.0
"""In a dense clip whose frames have so many, features of one orientation, and fewer along edges, are enough; `SOME` keep all."""
SOME = 5
PEAK, EDGE = 0.002, 20.0
"""These thresholds of SIFT's peaks and edges are lower than COLMAP's: smooth objects have few features, and matching tells."""
BATCH = 16
"""So many frames are given to SIFT at once, so that progress can be told in between."""
STILL = 0.5
"""A feature of the scene moves at least so many pixels between two frames, unless all of it stands still."""
MOVING, MOVING_SHARE = 4.0, 0.2
"""Where such a share of the matches moves by more pixels than this, those that stand still are burnt into the picture, or dirt on
the lens."""
NEARLY = 2.0
"""What is burnt in stays within so many pixels; what shines through it shifts it a little."""
LARGEST = 600
"""So many of a frame's features, the largest, tell which frames look alike."""
MIN_MATCHES = 15
"""Fewer matches than this fit a geometry by chance."""
MAX_ERROR = 1.5
"""This reprojection error in pixels is still a good one; COLMAP's own 4 is meant for photographs of several megapixels."""
MAX_TRIALS = 1000
"""RANSAC tries so many samples of a pair at most; COLMAP's 10000 are spent on pairs that are of no use anyway."""


def extract(job: Job, database: Path) -> None:
    """Find SIFT features in every frame of the job and write them to a new database, where one camera took all frames."""
    _list_frames(job, database)
    doubled, sparing = job.object_alone or job.long_side < SMALL_FRAME, False
    if not doubled:
        usual = _counted(job, database)
        doubled, sparing = usual < FEW_FEATURES, usual >= MANY_FEATURES and dense(len(job.names))
        if doubled:
            database.unlink()
            _list_frames(job, database)
    for start in range(0, len(job.names), BATCH):
        tell("features", start, len(job.names))
        _extract(job, database, job.names[start : start + BATCH], doubled, sparing)


def _counted(job: Job, database: Path) -> float:
    """Return how many features are usual in the job's frames as they are; those of the frames looked at stay there."""
    names = [job.names[k] for k in np.unique(np.linspace(0, len(job.names) - 1, SOME).round().astype(int))]
    _extract(job, database, names, doubled=False)
    with pycolmap.Database.open(str(database)) as found:
        return float(np.median([found.num_keypoints_for_image(image_id(found, name)) for name in names]))


def _list_frames(job: Job, database: Path) -> None:
    """Number the job's frames in a new database; left to parallel extraction, these numbers, and the model, change by chance."""
    pycolmap.Database.open(str(database)).close()  # Frames are imported into a database that exists.
    pycolmap.import_images(str(database), job.legible, pycolmap.CameraMode.SINGLE, job.names[:1], _reader(job))
    with pycolmap.Database.open(str(database)) as listed:
        (rig,) = listed.read_all_rigs()
        (first,) = listed.read_all_images()
        for name in job.names[1:]:  # COLMAP would read all of each picture for its size, which is that of the first.
            image = pycolmap.Image(name=name, camera_id=first.camera_id)
            image.image_id = listed.write_image(image)
            its_frame = pycolmap.Frame()
            its_frame.rig_id = rig.rig_id
            its_frame.add_data_id(image.data_id)
            listed.write_frame(its_frame)


def _extract(job: Job, database: Path, names: list[str], doubled: bool, sparing: bool = False) -> None:
    """Find the features of those of the frames that have none yet, in the doubled picture, too, or not; fewer if `sparing`."""
    options = pycolmap.FeatureExtractionOptions()
    options.use_gpu = False
    options.sift.max_num_features = MOST_FEATURES
    options.sift.peak_threshold, options.sift.edge_threshold = PEAK, EDGE
    if sparing:
        options.sift.edge_threshold, options.sift.max_num_orientations = STRICTER_EDGE, 1
    options.sift.first_octave = -1 if doubled else 0
    pycolmap.extract_features(
        str(database), job.legible, image_names=names, camera_mode=pycolmap.CameraMode.SINGLE, reader_options=_reader(job),
        extraction_options=options,
    )  # fmt: skip


def _reader(job: Job) -> pycolmap.ImageReaderOptions:
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = "SIMPLE_RADIAL"
    if job.masks:
        reader.mask_path = job.masks
    return reader


def image_id(database: pycolmap.Database, name: str) -> int:
    """Return the database's number of a frame whose features have been extracted."""
    image = database.read_image_with_name(name)
    assert image is not None, name
    return image.image_id


def read_features(database: pycolmap.Database, image: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the keypoints [K, 6], pixels and shapes, and the descriptors [K, 128] uint8 of a frame; K is 0 for a black one."""
    descriptors = np.asarray(database.read_descriptors(image).data, np.uint8).reshape(-1, 128)
    return np.asarray(database.read_keypoints(image), np.float32).reshape(len(descriptors), 6), descriptors


def two_view_geometry(
    cameras: tuple[pycolmap.Camera, pycolmap.Camera], first: np.ndarray, second: np.ndarray, matches: np.ndarray, hasty: bool
) -> pycolmap.TwoViewGeometry | None:
    """Return the geometry of two frames that explains their `matches` [M, 2], of features at pixels [K, 2] each; None without.

    Where one camera took both, COLMAP looks for a focal length that the two share. `hasty` takes a quarter of the time, for
    COLMAP is told of two cameras, and looks for a fundamental matrix alone.
    """
    options = pycolmap.TwoViewGeometryOptions()
    options.ransac.max_num_trials = MAX_TRIALS
    options.ransac.max_error = MAX_ERROR
    options.ransac.random_seed = RANDOM_SEED
    camera, other = cameras
    if hasty and camera.camera_id == other.camera_id:
        other = copy(camera)
        other.camera_id = camera.camera_id + 1
    found = pycolmap.estimate_two_view_geometry(camera, first, other, second, matches, options)
    return found if len(found.inlier_matches) >= MIN_MATCHES else None


class Matcher:
    """A matcher holds the features of a job's frames, and writes matches of pairs to the database at `path`.

    Pairs are given as indices into `job.names`. `ids` are the database's numbers of the frames, `cameras` those that took them,
    `keypoints` and `descriptors` their features. Of a pair that an `earlier` matcher has compared, matches are known in any order
    of the frames and by any cameras, and the geometry of the same matches by the same camera or by any two.
    """

    def __init__(self, job: Job, path: Path, earlier: Matcher | None = None) -> None:
        self.job, self.path = job, path
        with pycolmap.Database.open(str(path)) as database:
            self.ids = [image_id(database, name) for name in job.names]
            features = [read_features(database, i) for i in self.ids]
        self.cameras = self._cameras_now()
        self.keypoints = [keypoints[:, :2] for keypoints, _ in features]
        self.descriptors = [descriptors for _, descriptors in features]
        self._matched: dict[tuple[int, int], np.ndarray] = earlier._matched if earlier else {}
        self._verified: dict[tuple[float, ...], pycolmap.TwoViewGeometry | None] = earlier._verified if earlier else {}
        self._burnt = np.zeros((0, 0), bool)
        self._geometries: dict[tuple[int, int], pycolmap.TwoViewGeometry | None] = {}
        scales = (np.linalg.norm(keypoints[:, 2:4], axis=1) for keypoints, _ in features)
        self._largest = [np.argsort(-scale, kind="stable")[:LARGEST] for scale in scales]

    def by_other_cameras(self, job: Job) -> Matcher:
        """Return a matcher of a job of the same frames by the cameras that the database holds now; all matches stay."""
        other = copy(self)
        other.job, other.cameras, other._geometries = job, self._cameras_now(), dict(self._geometries)
        return other

    def match(self, chosen: list[tuple[int, int]], stage: str) -> None:
        """Match the `chosen` pairs, as the stage `stage`; the database holds the geometry of all that have one then."""
        fresh = sorted(set(chosen) - self._geometries.keys())
        with ThreadPoolExecutor(cores()) as pool, pycolmap.Database.open(str(self.path)) as database:
            for done, _ in enumerate(pool.map(self._compare, fresh), 1):
                tell(stage, done, 2 * len(fresh))
            self._burnt = self._burnt_in()
            for done, (pair, (matches, geometry)) in enumerate(zip(fresh, pool.map(self._verify, fresh), strict=True), 1):
                if len(matches) >= MIN_MATCHES:
                    database.write_matches(*self._numbers(pair), matches)
                self._geometries[pair] = geometry
                tell(stage, len(fresh) + done, 2 * len(fresh))
            for pair in sorted(set(chosen)):
                geometry = self._geometries[pair]
                if geometry is not None and not database.exists_two_view_geometry(*self._numbers(pair)):
                    database.write_two_view_geometry(*self._numbers(pair), geometry)

    def forget(self) -> None:
        """Forget all matches, in the database too."""
        self._geometries.clear()
        with pycolmap.Database.open(str(self.path)) as database:
            database.clear_matches()
            database.clear_two_view_geometries()

    def largest(self) -> list[np.ndarray]:
        """Return the descriptors [K, 128] of the LARGEST features of every frame."""
        return [descriptors[rows] for descriptors, rows in zip(self.descriptors, self._largest, strict=True)]

    def common(self) -> np.ndarray:
        """Return how many of their LARGEST features each two frames have in common, [N, N]."""
        largest, count = self.largest(), len(self.ids)
        found = np.zeros((count, count), int)
        with ThreadPoolExecutor(cores()) as pool:
            for a in range(count):
                alike = pool.map(partial(pairs.mutual_matches, largest[a]), largest[a + 1 :])
                found[a, a + 1 :] = [len(matches) for matches in alike]
                tell("pairs", a + 1, count)
        return found + found.T

    def _cameras_now(self) -> list[pycolmap.Camera]:
        """Return the cameras that took the frames as the database has it."""
        with pycolmap.Database.open(str(self.path)) as database:
            cameras = [database.read_camera(database.read_image(i).camera_id) for i in self.ids]
        for camera in cameras:
            camera.has_prior_focal_length = False  # What is near the truth is not so near as to verify a pair by it.
        return cameras

    def _numbers(self, pair: tuple[int, int]) -> tuple[int, int]:
        return self.ids[pair[0]], self.ids[pair[1]]

    def _compare(self, pair: tuple[int, int]) -> None:
        """Find the features that match, for `_matched`."""
        numbers, (a, b) = self._numbers(pair), pair
        if numbers not in self._matched:
            self._matched[numbers] = pairs.mutual_matches(self.descriptors[a], self.descriptors[b])

    def _verify(self, pair: tuple[int, int]) -> tuple[np.ndarray, pycolmap.TwoViewGeometry | None]:
        """Return those matches of a compared pair that may be of the scene, and the geometry that explains them."""
        a, b = pair
        numbers, cameras = self._numbers(pair), (self.cameras[a], self.cameras[b])  # Which of the two comes first matters.
        matches = self._matched[numbers]
        shift, moves = self._shift(pair)
        moves |= self.job.still_background
        scene = (shift > NEARLY) | ~self._lie_burnt_in(self.keypoints[a][matches[:, 0]])
        matches = matches[scene & (shift > STILL) if moves else scene]
        kind = (*numbers, crc32(matches.tobytes()), *(cameras[0].params if cameras[0].camera_id == cameras[1].camera_id else ()))
        if kind not in self._verified:
            pixels = self.keypoints[a], self.keypoints[b]
            self._verified[kind] = two_view_geometry(cameras, *pixels, matches, dense(len(self.ids)))
        return matches, self._verified[kind]

    def _shift(self, pair: tuple[int, int]) -> tuple[np.ndarray, bool]:
        """Return by how many pixels each match [M] of a compared pair moves, and whether so many do that the scene does."""
        (a, b), matches = pair, self._matched[self._numbers(pair)]
        shift = np.linalg.norm(self.keypoints[b][matches[:, 1]] - self.keypoints[a][matches[:, 0]], axis=1)
        return shift, bool((shift > MOVING).sum() > MOVING_SHARE * len(shift))

    def _burnt_in(self) -> np.ndarray:
        """Return in which cells [rows, columns] bool features stand still while the scene moves, by all pairs compared.

        Before a still background, where all that stands still is dropped anyway, there are none.
        """
        of_number = {number: frame for frame, number in enumerate(self.ids)}
        cells = [cells_of(keypoints) for keypoints in self.keypoints]
        shape = np.max([cell.max(0) for cell in cells if len(cell)], axis=0)[::-1] + 2 if any(map(len, cells)) else (0, 0)
        counts, slow, moving = np.zeros(shape, int), np.zeros(shape, int), 0
        for numbers, matches in self._matched.items():
            pair = of_number[numbers[0]], of_number[numbers[1]]
            shift, moves = self._shift(pair)
            twice = numbers[0] > numbers[1] and numbers[::-1] in self._matched
            if moves and not twice and not self.job.still_background:
                moving += 1
                counts += around(shape, cells[pair[0]][matches[shift <= STILL, 0]])
                slow += around(shape, cells[pair[0]][matches[(shift > NEARLY) & (shift <= BY_AND_BY), 0]])
        return burnt_cells(counts, slow, moving)

    def _lie_burnt_in(self, pixels: np.ndarray) -> np.ndarray:
        """Return which pixels [M, 2] lie where something is burnt in, [M] bool."""
        across, down = cells_of(pixels).T
        return self._burnt[down, across]

    def burnt_in(self) -> list[Place]:
        """Return where something is burnt into the frames of which features alone tell, as a translucent watermark."""
        return places(self._burnt, self.cameras[0].width, self.cameras[0].height)

    def median_motion(self) -> float | None:
        """Return the median shift in pixels between frames so far apart that it is largest; None where nothing matches.

        The frames farthest apart may be a whole turn apart.
        """
        moved = []
        with pycolmap.Database.open(str(self.path)) as database:
            for step in pairs.sequential_steps(len(self.ids), self.job.reach):
                shifts = []
                for a in range(len(self.ids) - step):
                    if database.exists_matches(self.ids[a], self.ids[a + step]):
                        first, second = database.read_matches(self.ids[a], self.ids[a + step]).T
                        shift = self.keypoints[a + step][second] - self.keypoints[a][first]
                        shifts.append(np.median(np.linalg.norm(shift, axis=1)))
                moved += [np.median(shifts)] if shifts else []
        return float(max(moved)) if moved else None
