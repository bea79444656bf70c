"""This program holds a capture against truth: cameras and mattes of the vase clip, cameras of perikles, and a sheet to look at.

    python -m benchmarks.study.capture --source ../shared/data/vase --output-dir captured --given-mattes
    python -m benchmarks.study.capture --source ../shared/data/perikles --output-dir captured-bust
    python -m benchmarks.study.capture --source ../shared/data/vase --output-dir captured-mirrored --given-mattes --shown mirrored

Cameras are compared after the similarity that fits the camera centres and orientations best. Beside the scene stands
`<output-dir>.png`: the mattes over every few frames. Processor time and memory are those of this process and its children; a
mirrored clip or a turntable is made before the watch starts.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from PIL import Image, ImageOps

from benchmarks.record import RESULTS, Table, keep
from benchmarks.study.clips import filtered, turntable
from nerfsem_method.capture.ingest import ingest
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.cli.main import run
from nerfsem_method.media.video import write_video
from nerfsem_method.scene.camera import camera_centres
from nerfsem_method.scene.scene import Scene

PROGRAM = "benchmarks.study.capture"
COLUMNS = (
    "clip", "registered", "rotation median, max", "centre median", "focal length", "mattes' IoU mean, least", "seconds",
    "processor seconds", "memory",
)  # fmt: skip
SHEET, SHEET_COLUMNS, SHEET_HEIGHT = 21, 7, 480
"""The contact sheet shows so many frames, so many in a row, each of this height in pixels."""
VEIL = (90, 0, 90)


@dataclass(frozen=True)
class CameraErrors:
    """Errors are degrees, percent of the cameras' mean distance from their centre, and percent of the true focal length."""

    rotation_median: float
    rotation_max: float
    centre_median: float
    focal: float


@dataclass(frozen=True)
class CaptureStudy:
    """Capture a clip, measure the errors against known cameras and mattes, and draw the mattes over the frames."""

    source: Path = Path("../shared/data/vase")
    """This folder holds relic.mp4 and, where they are known, masks/ and poses_truth.json or poses_photoscan.json."""
    output_dir: Path = Path("captured")
    """The scene is written into this folder."""
    given_mattes: bool = False
    """The true mattes are used instead of the classical segmenter's."""
    scale: str | None = None
    """The frames have this size."""
    keep_support: bool = False
    """What the object stands on is kept."""
    every: int = 1
    """Each frame of this number is taken."""
    shown: Literal["as filmed", "mirrored", "on a turntable"] = "as filmed"
    """The clip is shown so: mirrored left to right, or with the object turning before a background that stands still."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> None:
        """Print a row of the table and keep it. Raises CaptureError as `nerfsem capture` does."""
        clip, masks = self._clip()
        truth = next(self.source.glob("poses_*.json"), None)
        mattes = masks if self.given_mattes else None
        options = CaptureOptions(mattes, scale=self.scale, keep_support=self.keep_support, every=self.every, allow_gaps=True)
        started, busy = time.monotonic(), _processor_seconds()
        scene = ingest(clip, options, self.output_dir)
        seconds, busy = time.monotonic() - started, _processor_seconds() - busy
        lost = len(scene.video.left_out)
        registered = sum(frame.source == "registered" for frame in scene.frames)
        cameras, overlaps = ("not known",) * 3, "not known"
        if truth is not None:
            known = json.loads(truth.read_text())
            cameras = _camera_cells(camera_errors(scene, self._truth(scene, known)))
        if masks.exists() and not self.keep_support:
            files = sorted(masks.glob("*.png"))
            overlap = matte_overlap(scene, [files[number] for number in self._numbers(scene, len(files))])
            overlaps = f"{overlap.mean():.4f}, {overlap.min():.4f} in frame {overlap.argmin()}"
        cells = (f"{registered} of {len(scene.frames) + lost}", *cameras, overlaps, f"{seconds:.0f}", f"{busy:.0f}", _memory())
        name = self._name(scene)
        contact_sheet(scene).save(self.output_dir.with_suffix(".png"))
        keep(self.results, PROGRAM, Table(name, COLUMNS, [(name, *cells)], "capture"))

    def _name(self, scene: Scene) -> str:
        every = f", one frame in {self.every}" if self.every > 1 else ""
        shown = f", {self.shown}" if self.shown != "as filmed" else ""
        mattes = "given" if self.given_mattes else "own"
        return f"{self.source.name} {scene.camera.width}x{scene.camera.height}{every}{shown}, {mattes} mattes"

    def _clip(self) -> tuple[Path, Path]:
        """Return the clip as it is shown, and the folder of its true mattes; what has to be made for it lies beside the scene."""
        filmed, masks = self.source / "relic.mp4", self.source / "masks"
        if self.shown == "as filmed":
            return filmed, masks
        made = self.output_dir.with_name(f"{self.output_dir.name}-clip")
        made.mkdir(parents=True, exist_ok=True)
        if self.shown == "on a turntable":
            write_video(made / "relic.mp4", turntable(self.source), Fraction(30))
            return made / "relic.mp4", masks
        filtered(filmed, "hflip", made / "relic.mp4")
        (made / "masks").mkdir(exist_ok=True)
        for path in masks.glob("*.png"):
            ImageOps.mirror(Image.open(path)).save(made / "masks" / path.name)
        return made / "relic.mp4", made / "masks"

    def _numbers(self, scene: Scene, count: int) -> list[int]:
        """Return the numbers that the scene's frames have among `count` of the clip."""
        return [number for number in range(0, count, self.every) if number not in scene.video.left_out]

    def _truth(self, scene: Scene, truth: dict) -> dict:
        """Return of the true cameras those of the scene's frames, mirrored as the clip is."""
        mirror = np.diag([-1.0, 1.0, 1.0, 1.0]) if self.shown == "mirrored" else np.eye(4)
        chosen = [np.array(truth["frames"][i]["transform_matrix"]) for i in self._numbers(scene, len(truth["frames"]))]
        return {**truth, "frames": [{"transform_matrix": (mirror @ matrix @ mirror).tolist()} for matrix in chosen]}


def _processor_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _memory() -> str:
    """Return the most memory that this process and its largest child have had, which need not have been at one time."""
    ours, largest = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return f"{ours / 2**20:.1f} GB, child {largest / 2**20:.1f} GB"


def _camera_cells(errors: CameraErrors) -> tuple[str, str, str]:
    return (
        f"{errors.rotation_median:.3f}, {errors.rotation_max:.3f} deg",
        f"{errors.centre_median:.3f} % of the ring",
        f"{errors.focal:+.2f} %",
    )


def camera_errors(scene: Scene, truth: dict) -> CameraErrors:
    """Return the errors of a scene's cameras against truth, camera to world, in the axes that its `convention` names."""
    true = np.array([frame["transform_matrix"] for frame in truth["frames"]])
    flip = (1.0, -1.0, -1.0) if "OpenGL" in truth["convention"] else (1.0, 1.0, 1.0)
    true_rotations, true_centres = true[:, :3, :3] * flip, true[:, :3, 3]
    rotations, centres = scene.poses[:, :, :3].transpose(0, 2, 1), camera_centres(scene.poses)
    u, _, vt = np.linalg.svd(np.einsum("nij,nkj->ik", true_rotations, rotations))
    turn = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    residual = np.einsum("ij,njk,nlk->nil", turn, rotations, true_rotations)
    angles = np.degrees(np.arccos(((np.trace(residual, axis1=1, axis2=2) - 1) / 2).clip(-1, 1)))
    moved, target = (centres - centres.mean(0)) @ turn.T, true_centres - true_centres.mean(0)
    moved *= (moved * target).sum() / (moved**2).sum()
    ring = np.linalg.norm(target, axis=1).mean()
    centre = 100 * np.median(np.linalg.norm(moved - target, axis=1)) / ring
    focal = 100 * (scene.camera.fx / scene.camera.width / (truth["fl_x"] / truth["w"]) - 1)
    return CameraErrors(float(np.median(angles)), float(angles.max()), float(centre), float(focal))


def matte_overlap(scene: Scene, masks: list[Path]) -> np.ndarray:
    """Return the intersection over union [N] of the scene's mattes and the true ones, both above one half."""
    size = (scene.camera.width, scene.camera.height)
    overlaps = []
    for frame, mask in zip(scene.frames, masks, strict=True):
        ours = np.asarray(Image.open(scene.root / frame.matte).convert("L")) > 127
        true = np.asarray(Image.open(mask).convert("L").resize(size, Image.Resampling.BOX)) > 127
        overlaps.append((ours & true).sum() / (ours | true).sum())
    return np.array(overlaps)


def contact_sheet(scene: Scene) -> Image.Image:
    """Return a picture of SHEET frames from all around, what the mattes leave out in dark violet."""
    height = SHEET_HEIGHT
    width = round(height * scene.camera.width / scene.camera.height)
    rows = -(-SHEET // SHEET_COLUMNS)
    sheet = Image.new("RGB", (SHEET_COLUMNS * width, rows * height))
    chosen = np.unique(np.linspace(0, len(scene.frames), SHEET, endpoint=False).astype(int))
    for number, index in enumerate(chosen):
        frame = scene.frames[index]
        picture = Image.open(scene.root / frame.image).convert("RGB")
        veiled = Image.blend(picture, Image.new("RGB", picture.size, VEIL), 0.8)
        veiled.paste(picture, mask=Image.open(scene.root / frame.matte).convert("L"))
        small = veiled.resize((width, height), Image.Resampling.BOX)
        sheet.paste(small, (number % SHEET_COLUMNS * width, number // SHEET_COLUMNS * height))
    return sheet


if __name__ == "__main__":
    sys.exit(run(tyro.cli(CaptureStudy)))
