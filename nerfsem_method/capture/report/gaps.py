"""A scene that lacks many of its clip's frames is asked about before anything is trained on it."""

from __future__ import annotations

from nerfsem_method.capture.report.figures import read_report
from nerfsem_method.errors import CaptureError
from nerfsem_method.scene.scene import Scene

MOST_LEFT_OUT = 0.1
"""With a larger share of the clip's frames left out, its user is asked before a training."""


def check_gaps(scene: Scene, allowed: bool) -> Scene:
    """Return a scene. Raises CaptureError, if not `allowed`, where more of the clip is left out than is worth a training."""
    lost = len(scene.video.left_out)
    total = lost + scene.video.frames
    if lost > MOST_LEFT_OUT * total and not allowed:
        report = read_report(scene.root)
        better, cut = "film a slow, sharp, steady turn", "cut off the frames without a camera"
        if report.files:
            better, cut = "take more photographs from places between these and the others", "leave these out"
        first = f"{report.likely}; or" if report.likely else f"{better},"
        raise CaptureError(
            f"{lost} of the clip's {total} frames have no camera or are damaged ({report.naming.of(scene.video.left_out)}; see "
            f"{scene.root / 'report.html'}): {first} {cut}, or give --allow-gaps to go on without them"
        )
    return scene
