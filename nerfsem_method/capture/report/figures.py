"""This module says what a person wants to know about a capture, in figures (`report.json`) and in plain words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from nerfsem_method.capture.cameras.sparse import GIVEN, MOST_APART, OTHER_PART, SparseModel
from nerfsem_method.capture.report.cameras import of_cameras, of_lenses, of_zoom, turn
from nerfsem_method.capture.report.facts import FrameFacts
from nerfsem_method.capture.report.frames import of_frames
from nerfsem_method.media.naming import Naming
from nerfsem_method.scene.camera import camera_centres, look_at_point
from nerfsem_method.scene.scene import Scene

ASIDE = 0.5
"""Cameras that look at a point so many edges of the unit cube aside from its middle circle something else. Only what is
beside counts: above a flat thing, such as a coin, that lies low in the frames, they look at nothing."""
MOST_OF_A_TURN = 240
"""In a turn of fewer degrees cameras that hold the object aside in their pictures look past it, too."""


@dataclass(frozen=True)
class Report:
    """A report is the figures of a capture, and the warnings that follow from them.

    `interpolated` lists frames by index; `features_from`, "frame" or "object", is where COLMAP looked, "given" if it did not;
    `turn_degrees` is how much of the full circle around the object the cameras cover. Per frame, `coverage` is the matte's share
    of it and `blur` the softness of its edges in pixels. The clip's frames `unposed`, by their numbers there, have no camera and
    are left out, for a reason that is `likely`, where there is one; the others have the `numbers`. The clip's photographs are
    called as their `files` are.
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
    numbers: list[int] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    @property
    def naming(self) -> Naming:
        """Return what the frames are called."""
        return Naming(self.numbers or range(self.frames), self.files)

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
    naming: Naming,
    remarks: Sequence[str] = (),
    unposed: Sequence[int] = (),
    bars: str = "",
    mirrors: str = "",
) -> Report:
    """Return the report of a scene with `points` triangulated on its object.

    The `naming` is that of all frames taken of the clip, of which those `unposed`, by their numbers there, have no pose.
    `remarks` were made about clip and given mattes. What is to be said of `bars` around a part explains that there is no pose,
    and a zoom; what is to be said of `mirrors` is of these frames.
    """
    interpolated = np.flatnonzero(~model.registered).tolist()
    covered = turn(camera_centres(scene.poses[model.registered]) - 0.5)
    posed = naming.without(unposed)
    of_clip = [*of_cameras(model, posed, interpolated, covered, points), *of_frames(facts, posed, model.cameras.factors)]
    warnings = [*remarks, *of_clip]
    if bars:
        warnings.insert(0, bars)
    elif model.region != GIVEN:
        warnings += of_zoom(model, naming) or of_lenses(model, posed)
    likely = bars or mirrors or (OTHER_PART if unposed and model.apart > MOST_APART else "")
    if unposed:
        lost, why = naming.of(unposed), f"; {likely}" if likely and not bars else ""
        warnings.insert(0, f"no camera was found for {lost}: left out of the training, of the bundle and of what it plays{why}")
    if covered >= MOST_OF_A_TURN and np.linalg.norm(look_at_point(scene.poses)[:2] - 0.5) > ASIDE:
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
        numbers=list(posed.numbers),
        files=list(posed.files),
    )
