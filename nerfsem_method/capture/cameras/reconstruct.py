"""This module has COLMAP reconstruct the cameras, in a process of its own, and gives every frame a pose."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nerfsem_method.capture.cameras.between import Tracks, pose_between
from nerfsem_method.capture.cameras.gaps import fill_gaps
from nerfsem_method.capture.cameras.process import run_worker
from nerfsem_method.capture.cameras.sparse import MOST_APART, OTHER_PART, SparseModel
from nerfsem_method.capture.cameras.strays import brought_back
from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.capture.clip.keyframes import keyframes
from nerfsem_method.capture.clip.legible import legible
from nerfsem_method.capture.colmap.job import Job
from nerfsem_method.errors import CaptureError
from nerfsem_method.files import scratch
from nerfsem_method.log import LOG
from nerfsem_method.media.pictures import read_picture, write_picture
from nerfsem_method.scene.camera import Intrinsics, camera_centres, look_at_point

HARDLY_MOVES = (
    "the camera hardly moves: film the object while walking around it, not from a tripod; an object that turns needs a "
    "turntable before something that stands still, for hands move, too"
)
MIN_REGISTERED, MIN_OF_ALL = 0.6, 0.4
"""A smaller share of registered frames than the first, from the first to the last of them, leaves gaps that no interpolation can
fill. What a clip shows before and after, the floor for example, is left out and named; a smaller share of the whole clip than the
second is a failure."""
NEARLY_ALL = 0.9
"""With a smaller share of a clip's frames, or a gap among them, more keyframes are tried."""
MIN_MOTION = 0.004
"""Features must travel this share of the diagonal between some frames that are compared, or the camera stands still."""
LEAST_AT_ALL = 0.25
"""Cameras that explain a smaller share of the verified matches are wrong: .18 before a wallpaper, where they were so by 86
degrees; of sixty other films and sets of photographs the least shares are .39 and .46, of cameras that were wrong, too."""
MIN_PARALLAX = 5.0
"""The two most different viewing directions must differ by so many degrees, or no depth can be triangulated."""
CUT = 0.2
"""No lens zooms by such a share from one keyframe to the next."""
MODEL_SHARE = 0.85
"""COLMAP's model of the keyframes takes about this share of the time, and the frames between them take the rest."""


def reconstruct(
    frames: list[Path],
    mattes: Sequence[np.ndarray] | None,
    region: str,
    still_background: bool,
    advance: Advance,
    ordered: bool = True,
    zooms: Mapping[int, float] | None = None,
) -> SparseModel:
    """Return the cameras of `frames`, from the features of whole frames or, where `mattes` are given, of the object alone.

    `mattes` are [h, w] uint8, one per frame, of any size; `region` names which of the two it is; `still_background` says that
    what does not move is not the object, `ordered` that frames are in the order in which they were taken. Some say that they have
    so many times the usual focal length, the `zooms`. Raises CaptureError when COLMAP dies, or its result is of no use.
    """
    place, alone, shape = str(frames[0].parent), region == "object", read_picture(frames[0], grey=True).shape
    chosen = keyframes(frames, ordered, alone)
    said = {frames[frame].name: zoom for frame, zoom in (zooms or {}).items()}
    asked = Job(place, "", [], max(shape), None, alone, still_background, "", ordered, chosen.drawn, zooms=said)
    furthest = 0

    def ahead(done: int, total: int) -> None:
        nonlocal furthest
        furthest = max(furthest, round(100 * done / total))  # Another try begins anew; what is told does not go back.
        advance(furthest, 100)

    models, refused = [], []
    for keys in chosen.tries:
        try:
            job = replace(asked, reach=chosen.reach(keys))
            models.append(_solve(job, frames, keys, mattes, math.hypot(*shape), ahead))
        except CaptureError as error:
            if str(error) == HARDLY_MOVES:  # Frames that are nearer to each other show less motion still.
                raise
            LOG.info("%d keyframes: %s", len(keys), error)
            refused.append(error)
        if models and _complete(models[-1]) and not models[-1].doubtful:
            break
    if not models:
        raise refused[0]
    return replace(max(models, key=lambda model: (not model.doubtful, model.registered.sum())), ordered=ordered)


def _complete(model: SparseModel) -> bool:
    """Return whether no frame is missing between the first and the last one; what is before and after may be a title."""
    found = np.flatnonzero(model.registered)
    return len(found) == found[-1] - found[0] + 1 and len(found) >= NEARLY_ALL * len(model.registered)


def _solve(
    asked: Job,
    frames: list[Path],
    keys: list[int],
    mattes: Sequence[np.ndarray] | None,
    diagonal: float,
    advance: Advance,
) -> SparseModel:
    """Have COLMAP solve the frames `keys`, as is `asked`, and pose those between them. Raises as `reconstruct` does.

    `diagonal` is the frames' in pixels.
    """
    chosen = [frames[key] for key in keys]
    with scratch("colmap") as work:
        masks = str(write_masks(chosen, (mattes[key] for key in keys), work / "masks")) if mattes else None
        seen = str(legible(chosen, work / "legible")[0].parent)
        job = replace(asked, legible=seen, names=[path.name for path in chosen], masks=masks, work=str(work))
        job.write(work / "job.json")
        share = MODEL_SHARE if len(keys) < len(frames) else 1.0
        run_worker(work, lambda done, total: advance(round(100 * share * done / total), 100))
        result = json.loads((work / "result.json").read_text())
        arrays = dict(np.load(work / "points.npz")) if result["poses"] else {}
    may_have = _zooms(len(frames), keys, result)
    cameras = [_cameras(some, result) for some in may_have]
    # Which of several lenses took photographs between is not known: they are left out, so that all are tried as keyframes.
    alike = asked.ordered or not result["lenses"]
    known, views, taken = _of_all_frames(frames, keys, result, arrays, cameras if alike else None, advance)
    points = {**arrays, "views": views}
    zooms = np.array([some[taken.get(frame, 0)] for frame, some in enumerate(may_have)])
    if asked.ordered and known and len(views):
        known, points = brought_back(frames, known, points, _cameras(zooms, result))
    stretches = [(keys[first], keys[last], length) for first, last, length in result["stretches"]]
    lenses = [(frame, float(zooms[frame])) for frame in np.flatnonzero(zooms != 1).tolist()]
    region = "object" if asked.object_alone else "frame"
    model = checked_model(len(frames), {**result, "stretches": stretches, "lenses": lenses}, known, points, diagonal, region)
    return model if alike else replace(model, poses=np.where(model.registered[:, None, None], model.poses, np.nan))


def _zooms(count: int, keys: list[int], result: dict) -> list[list[float]]:
    """Return how many times the usual focal length each frame may have.

    Between the frames `keys` of a film it changes evenly or, at a cut, is that of the nearer or else of the farther one.
    """
    known = {int(index): 1.0 for index in result["poses"]} | {int(index): zoom for index, zoom in result["lenses"]}
    if not result["lenses"]:
        return [[1.0]] * count
    places = sorted(known)
    at, lengths = np.array([keys[place] for place in places]), np.log([known[place] for place in places])
    found = []
    for frame, even in enumerate(np.interp(np.arange(count), at, lengths)):
        after = min(max(int(np.searchsorted(at, frame)), 1), max(len(at) - 1, 1))
        ends = sorted({after - 1, min(after, len(at) - 1)}, key=lambda place: abs(int(at[place]) - frame))
        cut = abs(lengths[ends[-1]] - lengths[ends[0]]) > CUT
        within = at[after - 1] < frame < at[min(after, len(at) - 1)]
        found.append([float(np.exp(lengths[end])) for end in ends[: 1 + within]] if cut else [float(np.exp(even))])
    return found


def _cameras(zooms: Iterable[float], result: dict) -> list[Intrinsics]:
    """Return the cameras with these zooms; none where COLMAP found none."""
    if not result["poses"]:
        return []
    usual = Intrinsics.from_colmap(*result["camera"])
    return [usual if zoom == 1 else usual.zoomed(float(zoom)) for zoom in zooms]


def _of_all_frames(
    frames: list[Path],
    keys: list[int],
    result: dict,
    arrays: dict[str, np.ndarray],
    cameras: list[list[Intrinsics]] | None,
    advance: Advance,
) -> tuple[dict[int, np.ndarray], np.ndarray, dict[int, int]]:
    """Return poses by frame and views [M, 4]: those of the keyframes, which COLMAP found, and of the frames between them.

    These are posed where it is known which `cameras` may have taken each frame; which of them has taken it is the third answer.
    """
    taken: dict[int, int] = {}
    known = {keys[int(i)]: np.array(pose) for i, pose in result["poses"].items()}
    if not known or not len(arrays["views"]):
        return known, np.zeros((0, 4)), taken
    views = arrays["views"].copy()
    views[:, 1] = np.array(keys)[views[:, 1].astype(int)]
    if len(keys) < len(frames) and cameras is not None:
        tracks = Tracks.of(arrays["positions"], views)
        rest = 1 - MODEL_SHARE
        others, more, taken = pose_between(
            frames, known, cameras, tracks, lambda done, total: advance(round(100 * (MODEL_SHARE + rest * done / total)), 100)
        )
        known, views = {**known, **others}, np.concatenate([views, more])
    return known, views, taken


def write_masks(frames: list[Path], mattes: Iterable[np.ndarray], folder: Path) -> Path:
    """Write where to look for features in each frame, under the names that COLMAP expects, and return the new `folder`.

    COLMAP reads the mask of `a.png` from `a.png.png`. The masks are the mattes [h, w] uint8 at the size of their frames, grown
    by a hundredth of the longer side so that the features of the outline survive.
    """
    import cv2

    folder.mkdir()
    for frame, matte in zip(frames, mattes, strict=True):
        height, width = read_picture(frame).shape[:2]
        soft = cv2.resize(matte, (width, height))
        reach = 2 * round(0.01 * max(width, height)) + 1
        grown = cv2.dilate((soft > 127).astype(np.uint8) * 255, np.ones((reach, reach), np.uint8))
        write_picture(folder / f"{frame.name}.png", grown)
    return folder


def checked_model(
    count: int, result: dict, known: dict[int, np.ndarray], arrays: dict[str, np.ndarray], diagonal: float, region: str
) -> SparseModel:
    """Return the sparse model of `count` frames of which these have `known` poses, by COLMAP's result.json and points.npz.

    `diagonal` is the frames' in pixels. Raises CaptureError when the camera stood still, too few frames have a pose, or they
    explain next to nothing.
    """
    still = result["motion"] is not None and result["motion"] < MIN_MOTION * diagonal
    if still:
        raise CaptureError(HARDLY_MOVES)
    if not known:
        raise CaptureError(
            "no camera was found: hardly anything can be recognised from one frame to the next; film a slow, sharp turn "
            "around a textured object, and lay printed paper under a smooth one"
        )
    if len(known) < max(MIN_REGISTERED * (max(known) - min(known) + 1), MIN_OF_ALL * count):
        found = f"cameras were found for only {len(known)} of {count} frames"
        if result["apart"] > MOST_APART:
            raise CaptureError(f"{found}; as to the others, {OTHER_PART}")
        raise CaptureError(
            f"{found}: film a slow, sharp, steady turn around a "
            "textured object, with most of what one frame shows still in the next; if the object itself turns, set the camera on "
            "a tripod"
        )
    if result["explained"] < LEAST_AT_ALL:
        raise CaptureError(
            f"only {result['explained']:.0%} of what frames have in common agrees with the cameras that were found: a pattern "
            "that comes again and again, of wallpaper, tiles or an ornament, or mirrors mislead them, or the camera turned where "
            "it stood; walk around the object, where other things are around it"
        )
    if _parallax(np.stack(list(known.values()))) < MIN_PARALLAX:
        raise CaptureError(HARDLY_MOVES)
    model, width, height, params = result["camera"]
    camera = Intrinsics.from_colmap(model, width, height, params)
    registered = np.zeros(count, bool)
    registered[list(known)] = True
    return SparseModel(
        camera=camera,
        poses=fill_gaps(known, count, camera),
        registered=registered,
        points=arrays["positions"],
        colours=arrays["colours"],
        views=arrays["views"],
        reprojection_error=result["reprojection_error"],
        closures=result["closures"],
        region=region,
        overlays=result["burnt_in"],
        stretches=result["stretches"],
        focal_evidence=result["focal_evidence"],
        explained=result["explained"],
        apart=result["apart"],
        squeeze=result["squeeze"],
        fisheye=result["fisheye"],
        lenses=result["lenses"],
    )


def _parallax(poses: np.ndarray) -> float:
    """Return the largest angle in degrees between the directions from which the cameras see the point they all look at."""
    target = look_at_point(poses)
    rays = camera_centres(poses) - target
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return float(np.degrees(np.arccos(np.clip((rays @ rays.T).min(), -1, 1))))
