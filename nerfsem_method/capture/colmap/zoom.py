"""This module asks a finished model what its lens is: whether it zoomed, how surely its focal length is told, whether pixels are
square, and whether it is a fisheye.

For the first, each stretch of the clip gets a focal length of its own.

A model with one focal length moves its cameras instead, to where a zoom is hardly seen: a clip that zooms by a quarter fits to
0.42 pixels instead of 0.40. So poses and points are free here too, and what the stretches gain is compared with what all of it
gains without them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pycolmap

from nerfsem_method.capture.colmap.job import Job

STRETCHES, SHORTEST = 6, 5
"""A clip is cut into so many stretches, each of so many frames at least: one focal length a frame would be noise."""
SIGHTINGS = 100
"""The longest tracks are taken until each frame sees so many points: more take longer and say the same."""
LOSS_SCALE = 0.5
"""This is the scale of the robust loss (Cauchy) in pixels, as in the last adjustment of the model."""
EVIDENCE = 0.01
"""Stretches must lower the cost by this share: where they may as well not be, a focal length is exchanged for a distance. Of
five clips without a zoom the gain is 0.0001 to 0.001, of those that zoom by a quarter 0.05 to 0.085."""
BREATHES, ALIKE = 0.035, 0.6
"""A focal length for each frame of a film lowers the cost by a larger share than this, and goes on from one frame to the next
with such a correlation at least, where the focus moves: by .054 (.92) where it breathes by 3 %, .098 (.76) for photographs of a
head shown as a film. Of six steady films it was .003 to .008, and .022 (.29) for one of a bust."""
MUCH_EVIDENCE = 0.05
"""A focal length for each photograph lowers the cost by a larger share than this where half of them are by another lens (0.15),
and where a model is loose (0.11 for a head); by 0.006 to 0.02 where one lens took all."""
ZOOM = 1.065
"""Stretches whose focal lengths differ by such a factor are a zoom: autofocus changed those of one set of photographs by 1.06, a
zoom by a quarter shows as 1.15 to 1.19, one by 15 % as 1.07."""
ROUNDS, FEW_ROUNDS, MANY_ROUNDS = 50, 12, 150
"""Adjustments have so many rounds at most; to see that pixels are not square takes few; a fisheye is far away."""
FISHEYE = 0.08
"""A fisheye lens lowers the cost by a larger share than this where one took the film: by .24 and .14 in two, of 131 and 92
degrees across; in ten other films by .004 at most."""
SHORTER = 0.6
"""A fisheye's focal length is sought from so many times that on that its cameras believe: these have it 85 and 58 % too long."""
TRIED = (0.9, 1.1)
"""How surely the focal length is told is what these times of it cost."""

_Form = Callable[[pycolmap.Camera], tuple[pycolmap.CameraModelId, list[float]]]
"""A form says which of COLMAP's models a camera gets, and its parameters."""


def _as_it_is(lens: pycolmap.Camera) -> tuple[pycolmap.CameraModelId, list[float]]:
    return lens.model, list(lens.params)


def _of_two_axes(lens: pycolmap.Camera) -> tuple[pycolmap.CameraModelId, list[float]]:
    focal, *centre, distortion = lens.params
    return pycolmap.CameraModelId.OPENCV, [focal, focal, *centre, distortion, 0, 0, 0]


def _as_a_fisheye(lens: pycolmap.Camera) -> tuple[pycolmap.CameraModelId, list[float]]:
    return pycolmap.CameraModelId.SIMPLE_RADIAL_FISHEYE, [SHORTER * lens.params[0], *lens.params[1:3], 0]


_PATIENCE: dict[_Form, tuple[int, float]] = {
    _as_it_is: (ROUNDS, 1e-5), _of_two_axes: (FEW_ROUNDS, 1e-5), _as_a_fisheye: (MANY_ROUNDS, 1e-6)
}  # fmt: skip
"""An adjustment ends after so many rounds, or when one lowers the cost by a smaller share."""


@dataclass(frozen=True)
class Focal:
    """This is what a model says of its focal length.

    `evidence` is the share by which the cost rises, in the mean, when the focal length is another one of TRIED and all else is
    adjusted: where that is next to nothing, the clip does not tell it, and cameras are bent by whatever it was taken for. It is
    None where that was not measured. `stretches` are first frame, last frame and focal length of parts of the clip, by indices
    into `job.names`, relative to the median; without evidence of a zoom there are none. `squeeze` is how many times wider than
    high pixels are; 1 without evidence of that. `fisheye` is the focal length in pixels of the fisheye lens that fits better,
    which shows things as far from the middle as their angle is wide; 0 without evidence of one. `breathes` says
    that the focal length changes a little from frame to frame.
    """

    evidence: float | None
    stretches: list[tuple[int, int, float]]
    squeeze: float = 1.0
    breathes: bool = False
    fisheye: float = 0.0


def measure_focal_length(job: Job, model: pycolmap.Reconstruction) -> Focal:
    """Return what a finished model says of its focal length, which is nothing of an object alone and of a handful of frames."""
    index_of = {name: index for index, name in enumerate(job.names)}
    images = sorted((index_of[image.name], number) for number, image in model.images.items() if image.has_pose)
    if job.object_alone or len(images) < SHORTEST:
        return Focal(None, [])
    lens_of = lenses(model, [number for _, number in images])
    tracks = _longest_tracks(model, list(lens_of))
    cost, as_it_is = _adjusted(model, lens_of, tracks, lens=True)
    tried = [
        _adjusted(model, lens_of, tracks, lens=True, focal=[share * focal for focal, *_ in as_it_is])[0] for share in TRIED
    ]
    evidence = float(np.mean(tried) / max(cost, 1e-9) - 1)
    squeeze, fisheye = _squeeze(model, lens_of, tracks, cost), _fisheye(model, lens_of, tracks, cost)
    count = min(STRETCHES, len(images) // SHORTEST)
    if count < 2 or len(as_it_is) > 1:  # Photographs by several lenses have been asked already, one by one.
        return Focal(evidence, [], squeeze, fisheye=fisheye)
    stretch_of = {number: place * count // len(images) for place, (_, number) in enumerate(images)}
    cost_of_many, lengths_of = _adjusted(model, stretch_of, tracks, lens=False)
    lengths = np.array([focal for focal, *_ in lengths_of])
    if cost_of_many > (1 - EVIDENCE) * cost or lengths.max() < ZOOM * lengths.min():
        breathes = job.ordered and _breathes(model, [number for _, number in images], tracks, cost)
        return Focal(evidence, [], squeeze, breathes, fisheye)
    relative = lengths / np.median(lengths)
    members = [[frame for frame, number in images if stretch_of[number] == stretch] for stretch in range(count)]
    stretches = [(frames[0], frames[-1], float(length)) for frames, length in zip(members, relative, strict=True)]
    return Focal(evidence, stretches, squeeze, fisheye=fisheye)


def lenses(model: pycolmap.Reconstruction, images: list[int]) -> dict[int, int]:
    """Return which of the lenses that took these images took each of them, the lenses numbered from 0."""
    numbers = sorted({model.images[image].camera_id for image in images})
    return {image: numbers.index(model.images[image].camera_id) for image in images}


def told_apart(model: pycolmap.Reconstruction) -> bool:
    """Return whether a model's frames would each rather have a focal length of its own."""
    images = sorted(model.reg_image_ids())
    if len(images) < SHORTEST:
        return False
    tracks = _longest_tracks(model, images)
    cost, _ = _adjusted(model, lenses(model, images), tracks, lens=True)
    cost_of_many, _ = _adjusted(model, {image: place for place, image in enumerate(images)}, tracks, lens=False)
    return cost_of_many < (1 - MUCH_EVIDENCE) * cost


def _squeeze(model: pycolmap.Reconstruction, lens_of: dict[int, int], tracks: list[int], cost: float) -> float:
    """Return how many times wider than high pixels are, by lenses with a focal length for each axis; 1 without EVIDENCE."""
    cost_of_two, found = _adjusted(model, lens_of, tracks, lens=True, form=_of_two_axes)
    return float(np.median([along / across for across, along, *_ in found])) if cost_of_two < (1 - EVIDENCE) * cost else 1.0


def _fisheye(model: pycolmap.Reconstruction, lens_of: dict[int, int], tracks: list[int], cost: float) -> float:
    """Return the focal length in pixels of a fisheye lens (Kannala and Brandt 2006, k1 alone); 0 without evidence of one."""
    cost_of_fisheye, found = _adjusted(model, lens_of, tracks, lens=True, form=_as_a_fisheye)
    return float(np.median([focal for focal, *_ in found])) if cost_of_fisheye < (1 - FISHEYE) * cost else 0.0


def _breathes(model: pycolmap.Reconstruction, images: list[int], tracks: list[int], cost: float) -> bool:
    """Return whether each of the images, in the clip's order, has a focal length of its own, near those of its neighbours."""
    cost_of_many, found = _adjusted(model, {image: place for place, image in enumerate(images)}, tracks, lens=False)
    lengths = np.array([focal for focal, *_ in found])
    alike = np.corrcoef(lengths[1:], lengths[:-1])[0, 1]
    return bool(cost_of_many < (1 - BREATHES) * cost and alike > ALIKE)


def _longest_tracks(model: pycolmap.Reconstruction, images: list[int]) -> list[int]:
    """Return the points with the longest tracks, so many that each image sees SIGHTINGS of them if it can."""
    seen = dict.fromkeys(images, 0)
    chosen = []
    for point in sorted(model.points3D, key=lambda point: (-model.points3D[point].track.length(), point)):
        viewers = [element.image_id for element in model.points3D[point].track.elements]
        if min(seen[image] for image in viewers) < SIGHTINGS:
            chosen.append(point)
            for image in viewers:
                seen[image] += 1
    return chosen


def _adjusted(
    model: pycolmap.Reconstruction, camera_of: dict[int, int], points: list[int], lens: bool,
    focal: list[float] | None = None, form: _Form = _as_it_is,
) -> tuple[float, list[np.ndarray]]:  # fmt: skip
    """Return cost and lenses of the model's `points` and images, adjusted with one camera for each value of `camera_of`.

    The lenses' distortion is adjusted too if `lens`; focal lengths stay `focal` if that is given. Lenses have a `form`, in which
    focal lengths come first.
    """
    copy = _copied(model, camera_of, points, form)
    options = pycolmap.BundleAdjustmentOptions()
    if focal is not None:
        options.refine_focal_length = False
        for camera, length in zip(sorted(copy.cameras), focal, strict=True):
            copy.cameras[camera].focal_length = length
    options.print_summary = False
    options.refine_extra_params = lens
    options.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
    options.ceres.loss_function_scale = LOSS_SCALE
    options.ceres.solver_options.num_threads = 1
    options.ceres.solver_options.max_num_iterations, options.ceres.solver_options.function_tolerance = _PATIENCE[form]
    config = pycolmap.BundleAdjustmentConfig()
    for image in camera_of:
        config.add_image(image)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    pycolmap.create_default_bundle_adjuster(options, config, copy).solve()
    return _cost(copy), [copy.cameras[camera].params for camera in sorted(copy.cameras)]


def _copied(
    model: pycolmap.Reconstruction, camera_of: dict[int, int], points: list[int], form: _Form
) -> pycolmap.Reconstruction:
    """Return a model of the same images and of these points, with one camera of a form for each value of `camera_of`."""
    copy = pycolmap.Reconstruction()
    lens_of = {camera: model.cameras[model.images[image].camera_id] for image, camera in camera_of.items()}
    for camera, lens in sorted(lens_of.items()):
        kind, params = form(lens)
        shape = {"width": lens.width, "height": lens.height}
        copy.add_camera_with_trivial_rig(pycolmap.Camera(camera_id=camera + 1, model=kind, params=params, **shape))
    pixels: dict[int, list[np.ndarray]] = {image: [] for image in camera_of}
    tracks = []
    for point in points:
        track = pycolmap.Track()
        for element in model.points3D[point].track.elements:
            track.add_element(element.image_id, len(pixels[element.image_id]))
            pixels[element.image_id].append(model.images[element.image_id].points2D[element.point2D_idx].xy)
        tracks.append(track)
    for image, camera in camera_of.items():
        keypoints = np.array(pixels[image]).reshape(-1, 2)
        taken = pycolmap.Image(name=model.images[image].name, keypoints=keypoints, camera_id=camera + 1, image_id=image)
        copy.add_image_with_trivial_frame(taken, model.images[image].cam_from_world())
    for point, track in zip(points, tracks, strict=True):
        copy.add_point3D(model.points3D[point].xyz, track)
    return copy


def _cost(model: pycolmap.Reconstruction) -> float:
    """Return the robust cost of all sightings."""
    total = 0.0
    for image in model.images.values():
        seen = [point for point in image.points2D if point.has_point3D()]
        world = np.array([model.points3D[point.point3D_id].xyz for point in seen]).reshape(-1, 3)
        matrix, camera = image.cam_from_world().matrix(), model.cameras[image.camera_id]
        local = world @ matrix[:, :3].T + matrix[:, 3]
        off = camera.img_from_cam(local) - np.array([point.xy for point in seen]).reshape(-1, 2)
        total += float(np.nansum(np.log1p((off**2).sum(1) / LOSS_SCALE**2)))  # Points behind a camera are no numbers.
    return total
