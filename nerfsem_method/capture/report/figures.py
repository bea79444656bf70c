"""This module says what a person wants to know about a capture, in figures (`report.json`) and in plain words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from nerfsem_method.capture.cameras.sparse import GIVEN, MOST_APART, OTHER_PART, SparseModel
from nerfsem_method.capture.cameras.strays import torn
from nerfsem_method.capture.clip.blur import rhythm
from nerfsem_method.capture.clip.legible import DIM_SHARE, NOISY
from nerfsem_method.capture.clip.tones import FLAT
from nerfsem_method.capture.mattes import given as matte_files
from nerfsem_method.capture.report.facts import FrameFacts
from nerfsem_method.media.matte_names import frames_text, shortened
from nerfsem_method.scene.camera import camera_centres, look_at_point
from nerfsem_method.scene.scene import Scene

LARGE_ERROR = 1.0
"""Above this mean reprojection error in pixels something moved, or the lens is not what COLMAP takes it for."""
WHOLE_TURN = 340.0
"""So many degrees around the object count as all around; the last steps of a turn may be missing."""
FAR_ZOOM = 0.15
"""A zoom by a quarter, which shows as 0.18, bends cameras by 1 to 5 degrees; a cut to a close-up, twice as large, shows as
0.51."""
SQUEEZED = 0.03
"""Pixels whose sides differ by more than this share are worth a word: by a tenth cameras are bent by 1.6 degrees."""
FOCAL_EVIDENCE = 0.015
"""A focal length a tenth off must fit worse by this share. In four parts of a turn, twenty frames each, right ones fit better by
0.029 and 0.055; one that was wrong by 13 % by 0.008, and one wrong by 69 % by 0.002."""
FEW_POINTS = 50
"""With fewer points on the object, its cameras follow the background alone."""
CLOSER = 1.1
"""Of a frame with so many times the usual focal length it is expected that the object fills it."""
MOST_LENSES = 4
"""Beside the usual one nobody takes more lenses to an object: where there are more, it is one whose focal length changes."""
BORDER_SHARE = 0.005
"""The matte may touch this share of a frame's border before the object is said to leave the frame."""
WHOLE_FRAME = 0.97
"""A matte that covers more of its frame than this shows no outline of the object."""
INVERTED = 0.6
"""Mattes that hold this share of the median frame's border show what is around the object, as inverted ones do."""
BLURRED, BLURRED_BESIDE = 1.7, 1.8
"""A clip is blurred throughout if its edges are softer than the first, in pixels; a frame is if they are softer than that and
than the second times the clip's median."""
ASIDE = 0.5
"""Cameras that look at a point so many edges of the unit cube aside from its middle circle something else. Only what is
beside counts: above a flat thing, such as a coin, that lies low in the frames, they look at nothing."""
EXPOSURE_RANGE = 1.6
"""The object's brightness may change by this factor along the clip, as light falls on its sides; beyond, the exposure did."""


@dataclass(frozen=True)
class Report:
    """A report is the figures of a capture, and the warnings that follow from them.

    `interpolated` lists frames by index; `features_from`, "frame" or "object", is where COLMAP looked, "given" if it did not;
    `turn_degrees` is how much of the full circle around the object the cameras cover. Per frame, `coverage` is the matte's share
    of it and `blur` the softness of its edges in pixels. The clip's frames `unposed`, by their numbers there, have no camera and
    are left out, for a reason that is `likely`, where there is one.
    """

    frames: int
    interpolated: list[int]
    features_from: str
    loop_closures: int
    reprojection_error_pixels: float
    focal_pixels: float
    points: int
    turn_degrees: float
    coverage: list[float]
    blur: list[float]
    warnings: list[str]
    unposed: list[int] = field(default_factory=list)
    likely: str = ""

    @property
    def registered(self) -> int:
        """COLMAP found so many cameras; the others lie between them."""
        return self.frames - len(self.interpolated)

    def save(self, root: Path) -> None:
        """Write `root`/report.json."""
        (root / "report.json").write_text(json.dumps(asdict(self), indent=1))


def read_report(root: Path) -> Report:
    """Return the report of a scene folder."""
    return Report(**json.loads((root / "report.json").read_text()))


def summarise(
    scene: Scene,
    model: SparseModel,
    points: int,
    facts: FrameFacts,
    remarks: Sequence[str] = (),
    unposed: Sequence[int] = (),
    bars: str = "",
    mirrors: str = "",
) -> Report:
    """Return the report of a scene with `points` triangulated on its object.

    `remarks` were made about clip and given mattes; the clip's frames `unposed`, by their numbers, have no pose. What is to
    be said of `bars` around a part explains that, and a zoom; what is to be said of `mirrors` is of these frames.
    """
    interpolated = np.flatnonzero(~model.registered).tolist()
    covered = turn(camera_centres(scene.poses[model.registered]) - 0.5)
    warnings = [*remarks, *_of_cameras(model, interpolated, covered, points), *_of_frames(facts, model.cameras.factors > CLOSER)]
    if bars:
        warnings.insert(0, bars)
    elif model.region != GIVEN:
        warnings += _of_zoom(model) or _of_lenses(model)
    likely = bars or mirrors or (OTHER_PART if unposed and model.apart > MOST_APART else "")
    if unposed:
        lost, why = frames_text(list(unposed)), f"; {likely}" if likely and not bars else ""
        warnings.insert(0, f"no camera was found for {lost}: left out of the training, of the bundle and of what it plays{why}")
    if np.linalg.norm(look_at_point(scene.poses)[:2] - 0.5) > ASIDE:
        warnings.append(
            "the cameras circle a point beside the object that the mattes show: if there are two objects, or the mattes show "
            "the wrong one, point at it (--object-box) or give --mattes DIR"
        )
    return Report(
        frames=len(scene.frames),
        interpolated=interpolated,
        unposed=list(unposed),
        likely=likely,
        features_from=model.region,
        loop_closures=model.closures,
        reprojection_error_pixels=model.reprojection_error,
        focal_pixels=scene.camera.fx,
        points=points,
        turn_degrees=round(covered, 1),
        coverage=facts.coverage.round(4).tolist(),
        blur=facts.blur.round(2).tolist(),
        warnings=warnings,
    )


def turn(centres: np.ndarray) -> float:
    """Return the degrees of the horizontal circle (z is up) around the origin that cameras at `centres` [N, 3] cover."""
    azimuths = np.sort(np.degrees(np.arctan2(centres[:, 1], centres[:, 0])))
    gaps = np.diff(azimuths, append=azimuths[0] + 360)
    # Between neighbours on the circle the way is covered; one usual step is added, so that a closed turn counts as 360
    return float(min(360.0, 360 - gaps.max() + np.median(gaps)))


def _frames(chosen: np.ndarray) -> str:
    """Name the frames that are `chosen` [N] bool."""
    return frames_text(np.flatnonzero(chosen).tolist())


def _of_cameras(model: SparseModel, interpolated: list[int], covered: float, points: int) -> list[str]:
    """Return what is to be said about the cameras."""
    warnings = []
    if model.region == GIVEN:
        return [_open_turn(covered)] if covered < WHOLE_TURN else []
    if interpolated:
        lost = _frames(~model.registered)
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
    if model.focal_evidence is not None and model.focal_evidence < FOCAL_EVIDENCE:
        warnings.append(
            "the focal length can hardly be told from this clip, and cameras may be bent by degrees: film all around the object, "
            "in good light, with textured things beside it"
        )
    if model.contradicted:
        warnings.append(
            f"only {model.explained:.0%} of what frames have in common agrees with their cameras, which may be wrong: look at "
            "them in report.html; film a slow and steady turn, or give photographs in the order in which they were taken"
        )
    if model.ordered and (parts := torn(np.flatnonzero(model.registered).tolist(), model.views)):
        warnings.append(
            f"hardly anything of {frames_text(parts)} is seen in the frame before, as where a film is cut or something fills the "
            "picture: whether cameras before and after fit together is not sure; look at them in report.html, or give one part "
            "alone"
        )
    if abs(model.squeeze - 1) > SQUEEZED:
        warnings.append(
            f"pixels seem to be {model.squeeze:.2f} times as wide as high, as in a clip that was squeezed or stretched, which "
            "bends cameras by degrees; give it its true shape first, a film by: ffmpeg -i CLIP -vf "
            f"'scale=trunc(iw*{model.squeeze:.3f}/2)*2:ih,setsar=1' NEW"
        )
    for left, top, right, bottom in model.overlays:
        warnings.append(
            f"something stands still in the frames, a logo or a bar, from {left:.0%} to {right:.0%} of their width and {top:.0%} "
            f"to {bottom:.0%} of their height: cameras were found without it, but if it covers the object it becomes part of it"
        )
    if points < FEW_POINTS:
        warnings.append(f"only {points} points were found on the object; its cameras rest on the background")
    return warnings


def _of_zoom(model: SparseModel) -> list[str]:
    """Return what is to be said where stretches of the clip have focal lengths of their own."""
    if not model.stretches:
        return []
    widest, longest = (choose(model.stretches, key=lambda stretch: stretch[2]) for choose in (min, max))
    ratio = longest[2] / widest[2]
    much = " a little" if ratio < 1 + FAR_ZOOM else " by degrees"
    return [
        f"the focal length changes: frames {longest[0]}-{longest[1]} are taken with one at least {100 * (ratio - 1):.0f} % "
        f"longer than frames {widest[0]}-{widest[1]}; all count as taken alike, which bends the cameras{much}: "
        "film without zooming, and give a close-up as a clip of its own"
    ]


def _of_lenses(model: SparseModel) -> list[str]:
    """Return what is to be said where several lenses took the frames, or one whose focal length changes."""
    if not model.lenses:
        return []
    zooms, what = sorted({zoom for _, zoom in model.lenses}), "frame" if model.ordered else "photograph"
    if len(zooms) > MOST_LENSES:
        return [
            f"the {what}s have focal lengths from {min(1, zooms[0]):.2f} to {max(1, zooms[-1]):.2f} times the usual one, as "
            "by a lens that zooms, or focuses near and far: each has a camera of its own"
        ]
    taken = {zoom: [frame for frame, its in model.lenses if its == zoom] for zoom in zooms}
    named = "; ".join(f"{shortened(frames_text(frames))} with {zoom:.2f} times" for zoom, frames in taken.items())
    count = len(model.lenses)
    were = f"{what} was" if count == 1 else f"{what}s were"
    return [
        f"{count} {were} taken by another lens, or cropped and enlarged: {named} the usual focal length; each lens has a camera "
        "of its own"
    ]


def _open_turn(covered: float) -> str:
    return f"the turn does not close: the cameras cover {covered:.0f} of 360 degrees; sides that no frame shows cannot be kept"


def _of_frames(facts: FrameFacts, details: np.ndarray) -> list[str]:
    """Return what is to be said about frames and mattes; of `details` [N] bool it is expected that the object fills them."""
    warnings = []
    if facts.redrawn.any():
        warnings.append(f"the matte disagreed with all other views in {_frames(facts.redrawn)} and was redrawn there")
    if (empty := facts.coverage < matte_files.MIN_COVERAGE).any():
        warnings.append(f"the mattes show no object in {_frames(empty)}")
    if (whole := (facts.coverage > WHOLE_FRAME) & ~details).any():
        warnings.append(f"the mattes take all of the frame for the object in {_frames(whole)}")
    if np.median(facts.border) > INVERTED:
        warnings.append("the mattes cover the frames' borders: if they show what is around the object, invert them")
    if (cut := (facts.border > BORDER_SHARE) & ~details).any():
        warnings.append(f"the object leaves the frame in {_frames(cut)}")
    if np.median(facts.pieces) > 1:
        warnings.append(f"the mattes show {int(np.median(facts.pieces))} separate pieces; a bundle is made for one object")
    if (period := rhythm(facts.blur)) is not None:
        warnings.append(
            f"sharp and soft frames take turns, every {period} frames anew, as where a frame rate was changed by blending: such "
            "frames show two places at once, and their cameras are wrong; give the video as it was filmed"
        )
    middle = float(np.median(facts.blur))
    if middle > BLURRED:
        warnings.append(f"the whole clip is blurred (edges {middle:.1f} pixels soft): move slower, or give more light")
    elif (soft := facts.blur > max(BLURRED, BLURRED_BESIDE * middle)).any():
        warnings.append(f"{_frames(soft)} {'is' if soft.sum() == 1 else 'are'} blurred")
    if (grain := float(np.median(facts.noise))) > NOISY:
        warnings.append(
            f"the frames are full of noise ({grain:.0f} grey levels), so that cameras are less exact: give more light, or film "
            "with a lower ISO number"
        )
    if (gloom := float(np.median(facts.dim))) > DIM_SHARE:
        warnings.append(
            f"{gloom:.0%} of the median frame is nearly dark, where little can be recognised, so that cameras are less exact: "
            "give more light, or take a lens that does not darken the rims"
        )
    if (tones := float(np.median(facts.tones))) < FLAT:
        warnings.append(
            f"the frames are flat, within {tones:.0f} of 255 grey levels, as a log profile, little light, or pale things before "
            "a pale wall make them, so that little can be recognised: give the graded clip if there is one"
        )
    dark, bright = np.nanquantile(facts.light, (0.05, 0.95))
    if bright > EXPOSURE_RANGE * dark:
        warnings.append(
            f"the object's brightness changes by a factor of {bright / dark:.1f} along the clip: lock the exposure if you can"
        )
    return warnings
