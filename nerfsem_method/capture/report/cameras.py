"""What is to be said about the cameras of a capture, in plain words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nerfsem_method.capture.cameras.sparse import GIVEN, SparseModel
from nerfsem_method.capture.cameras.strays import torn
from nerfsem_method.capture.clip.motion import Box
from nerfsem_method.media.naming import Naming

LARGE_ERROR = 1.0
"""Above this mean reprojection error in pixels something moved, or the lens is not what COLMAP takes it for."""
WHOLE_TURN = 340.0
"""So many degrees around the object count as all around; the last steps of a turn may be missing."""
FAR_ZOOM = 0.15
"""A zoom by a quarter, which shows as 0.18, bends cameras by 1 to 5 degrees; a cut to a close-up, twice as large, shows as
0.51."""
SQUEEZED = 0.03
"""Pixels whose sides differ by more than this share are worth a word: by a tenth cameras are bent by 1.6 degrees."""
FEW_POINTS = 50
"""With fewer points on the object, its cameras follow the background alone."""
MOST_LENSES = 4
"""Beside the usual one nobody takes more lenses to an object: where there are more, it is one whose focal length changes."""
MOST_PLACES = 4
"""A sentence tells so many places of what stands still."""


def of_cameras(model: SparseModel, naming: Naming, interpolated: list[int], covered: float, points: int) -> list[str]:
    """Return what is to be said about the cameras, which cover so many degrees around an object with so many points."""
    warnings = []
    if model.region == GIVEN:
        return [_open_turn(covered)] if covered < WHOLE_TURN else []
    if interpolated:
        lost = naming.of_rows(interpolated)
        warnings.append(f"no camera was found for {lost}; {'it is' if len(interpolated) == 1 else 'they are'} interpolated")
    if covered < WHOLE_TURN:
        warnings.append(_open_turn(covered))
    elif not model.closures:
        warnings.append(
            "the turn closes, but its end was not recognised as its beginning, so the cameras may have drifted; film on "
            "until the first view is seen again"
        )
    if model.region == "object" and not model.closures:
        warnings.append(
            "seen alone, an object tells the focal length only where its turn is seen to close: that of a usual lens was taken, "
            "and cameras may be bent by degrees; film more than a whole turn, or let what turns with the object be seen, too"
        )
    if model.reprojection_error > LARGE_ERROR:
        warnings.append(
            f"the cameras fit the frames badly ({model.reprojection_error:.1f} pixels): something moved, or the lens zoomed"
        )
    if model.lens_unsure:
        warnings.append(
            "the focal length can hardly be told from this clip, and cameras may be bent by degrees: film all around the object, "
            "in good light, with textured things beside it"
        )
    if model.contradicted:
        larger = "film the object larger, in " if model.region == "object" else "film "
        warnings.append(
            f"only {model.explained:.0%} of what frames have in common agrees with their cameras, which may be wrong: look at "
            f"them in report.html; {larger}a slow and steady turn, or give photographs in the order in which they were taken"
        )
    if model.ordered and (parts := torn(np.flatnonzero(model.registered).tolist(), model.views)):
        warnings.append(
            f"hardly anything of {naming.of_rows(parts)} is seen in the frame before, as where a film is cut, something fills "
            "the picture, or the object looks alike from several sides: whether cameras before and after fit together is not "
            "sure; look at them in report.html, or give one part alone"
        )
    if abs(model.squeeze - 1) > SQUEEZED:
        warnings.append(
            f"pixels seem to be {model.squeeze:.2f} times as wide as high, as in a clip that was squeezed or stretched, which "
            "bends cameras by degrees; give it its true shape first, a film by: ffmpeg -i CLIP -vf "
            f"'scale=trunc(iw*{model.squeeze:.3f}/2)*2:ih,setsar=1' NEW"
        )
    warnings += _of_overlays(model.overlays, naming)
    if points < FEW_POINTS:
        warnings.append(f"only {points} points were found on the object; its cameras rest on the background")
    return warnings


def of_fisheye(model: SparseModel, width: int, height: int, naming: Naming) -> list[str]:
    """Return what is to be said where a fisheye lens took the clip, whose frames have this size in pixels and this naming."""
    if not model.fisheye:
        return []
    sides = model.camera.width / model.fisheye, model.camera.height / model.fisheye
    across, down = map(math.degrees, sides)
    h_fov, v_fov = (math.degrees(2 * math.atan(side / 2)) for side in sides)
    even = f"w={width // 2 * 2}:h={height // 2 * 2}"  # Most codecs take even sizes alone.
    flat = f"v360=fisheye:flat:ih_fov={across:.1f}:iv_fov={down:.1f}:h_fov={h_fov:.1f}:v_fov={v_fov:.1f}:{even}"
    remedy = "the photographs" if naming.files else f"the film, as by: ffmpeg -i CLIP -vf {flat} NEW"
    return [
        "the lens seems to be a fisheye, as those of action cameras are, which bends cameras and space: set such a camera to "
        f"linear, or straighten {remedy}"
    ]


def _of_overlays(places: Sequence[Box], naming: Naming) -> list[str]:
    """Return what is to be said of what stands still in the frames, which have this naming, at these places."""
    whole = np.array([0.0, 0.0, 1.0, 1.0])
    around = [box for box in places if (np.array(box) == whole).sum() == 3]  # From side to side, along a third one.
    within = [box for box in places if box not in around]
    return [*([_of_window(around, naming)] if around else []), *([_of_burnt_in(within)] if within else [])]


def _of_window(around: Sequence[Box], naming: Naming) -> str:
    """Return what is to be said of boxes that lie along sides of the frames, around the picture."""
    left, top = (max((box[2 + axis] for box in around if box[2 + axis] < 1), default=0.0) for axis in (0, 1))
    right, bottom = (min((box[axis] for box in around if box[axis] > 0), default=1.0) for axis in (0, 1))
    crop = f"iw*{right - left:.3f}:ih*{bottom - top:.3f}:iw*{left:.3f}:ih*{top:.3f}"
    remedy = "crop the photographs" if naming.files else f"give the film alone, as by: ffmpeg -i CLIP -vf 'crop={crop}' NEW"
    return (
        f"the picture takes from {_place((left, top, right, bottom))} of the frames alone, and what is around it, as bars, a "
        f"template or a screen, stands still: cameras were found without it, but its colours mislead the mattes; {remedy}"
    )


def _of_burnt_in(places: Sequence[Box]) -> str:
    """Return what is to be said of what is burnt into the frames at these places."""
    told = "; from ".join(map(_place, places[:MOST_PLACES]))
    more = f"; and in {len(places) - MOST_PLACES} more places" if len(places) > MOST_PLACES else ""
    return (
        f"something stands still in the frames, a logo or watermark, from {told}{more}: cameras were found without it, but if it "
        "covers the object it becomes part of it: then give a film without it"
    )


def _place(box: Box) -> str:
    left, top, right, bottom = box
    return f"{left:.0%} to {right:.0%} of the width and {top:.0%} to {bottom:.0%} of the height"


def of_zoom(model: SparseModel, naming: Naming) -> list[str]:
    """Return what is to be said where stretches of the clip, whose frames have this naming, have focal lengths of their own."""
    if not model.stretches:
        return []
    widest, longest = (choose(model.stretches, key=lambda stretch: stretch[2]) for choose in (min, max))
    ratio = longest[2] / widest[2]
    narrow, wide = (naming.of_rows(range(stretch[0], stretch[1] + 1)) for stretch in (longest, widest))
    much = " a little" if ratio < 1 + FAR_ZOOM else " by degrees"
    return [
        f"the focal length changes: {narrow} are taken with one at least {100 * (ratio - 1):.0f} % "
        f"longer than {wide}; all count as taken alike, which bends the cameras{much}: "
        "film without zooming, and give a close-up as a clip of its own"
    ]


def of_lenses(model: SparseModel, naming: Naming) -> list[str]:
    """Return what is to be said where several lenses took the frames, or one whose focal length changes."""
    if not model.lenses:
        return []
    zooms, what = sorted({zoom for _, zoom in model.lenses}), "photograph" if naming.files else "frame"
    if len(zooms) > MOST_LENSES:
        return [
            f"the {what}s have focal lengths from {min(1, zooms[0]):.2f} to {max(1, zooms[-1]):.2f} times the usual one, as "
            "by a lens that zooms, or focuses near and far: each has a camera of its own"
        ]
    taken = {zoom: [frame for frame, its in model.lenses if its == zoom] for zoom in zooms}
    named = "; ".join(f"{naming.of_rows(frames)} with {zoom:.2f} times" for zoom, frames in taken.items())
    count = len(model.lenses)
    were = f"{what} was" if count == 1 else f"{what}s were"
    return [
        f"{count} {were} taken by another lens, or cropped and enlarged: {named} the usual focal length; each lens has a camera "
        "of its own"
    ]


def _open_turn(covered: float) -> str:
    return f"the turn does not close: the cameras cover {covered:.0f} of 360 degrees; sides that no frame shows cannot be kept"


def turn(centres: np.ndarray) -> float:
    """Return the degrees of the horizontal circle (z is up) around the origin that cameras at `centres` [N, 3] cover."""
    azimuths = np.sort(np.degrees(np.arctan2(centres[:, 1], centres[:, 0])))
    gaps = np.diff(azimuths, append=azimuths[0] + 360)
    # Between neighbours on the circle the way is covered; one usual step is added, so that a closed turn counts as 360
    return float(min(360.0, 360 - gaps.max() + np.median(gaps)))
