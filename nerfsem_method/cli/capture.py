"""`nerfsem capture` turns a video into a scene folder."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.cli.manners import Manners

if TYPE_CHECKING:
    from nerfsem_method.capture.report.figures import Report
    from nerfsem_method.scene.scene import Scene


@dataclass(frozen=True)
class Capture:
    """Find the object and the cameras of a video, and keep them in a folder that training reads.

    A folder of pictures whose cameras are known (transforms.json of nerfstudio, Polycam, Record3D or Blender; a model of COLMAP)
    is taken over, with its masks or alpha as mattes.

    A folder that holds this capture already is left as it is; one that holds a part of it is completed.

    Examples:
      nerfsem capture relic.mp4 scene/
      nerfsem capture relic.mp4 scene/ --mattes mattes/ --scale 270:480
      nerfsem capture relic.mp4 scene/ --segmenter birefnet
    """

    video: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="CLIP")]
    """Take this clip, which circles one object, 8 frames or more: a video, a folder of photographs, a quoted pattern of their
    names, such as 'shots/*.JPG', or a folder of pictures with their cameras."""
    scene_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="SCENE_DIR")]
    """Fill this folder; it may be new, empty, or from an earlier capture."""
    capture: Annotated[CaptureOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=CaptureOptions)
    manners: Annotated[Manners, tyro.conf.OmitArgPrefixes] = field(default_factory=Manners)

    def run(self) -> None:
        """Capture. Raises CaptureError when the video, the mattes or the folder cannot be used, or no cameras are found."""
        from nerfsem_method.api import capture
        from nerfsem_method.capture.report.figures import read_report

        start = time.monotonic()
        scene = capture(self.video, self.scene_dir, self.capture)
        print(_as_text(scene, read_report(scene.root), time.monotonic() - start))


def _as_text(scene: Scene, report: Report, seconds: float) -> str:
    low, *_, high = covered = sorted(100 * share for share in report.coverage)
    lines = [
        f"{scene.root}: {report.frames} frames of {scene.camera.width} x {scene.camera.height}, {seconds:.0f} seconds",
        f"  cameras   {report.registered} registered, {len(report.interpolated)} interpolated, {len(report.unposed)} without, "
        f"reprojection error {report.reprojection_error_pixels:.2f} pixels",
        f"  turn      {report.turn_degrees:.0f} of 360 degrees",
        f"  focal     {report.focal_pixels:.1f} pixels",
        f"  points    {report.points} on the object",
        f"  coverage  {covered[len(covered) // 2]:.1f} % of the median frame, {low:.1f} to {high:.1f} %",
        *(f"  warning   {text}" for text in report.warnings),
        f"  report    {scene.root / 'report.html'}",
    ]
    return "\n".join(lines)
