"""Cameras by structure from motion: COLMAP in a subprocess, then a pose for every frame."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from nerfsem_method.capture.clip import motion
from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.capture.clip.motion import Motion
from nerfsem_method.capture.colmap.job import Job
from nerfsem_method.errors import CaptureError
from nerfsem_method.scene.camera import Intrinsics, camera_centres, look_at_point

Region = Literal["auto", "object", "frame"]
"""Where features are sought."""
HARDLY_MOVES = "the camera hardly moves: film the object while walking around it, not from a tripod"
MIN_REGISTERED = 0.6
MIN_MOTION = 0.004
"""Share of the frame's diagonal that features must travel between frames about ten apart."""
MIN_PARALLAX = 5.0
"""Degrees between the two most different viewing directions."""
LOG_TAIL = 3
SCALARS = ("reprojection_error", "closures", "region")
"""Fields of a SparseModel that are no arrays."""


@dataclass(frozen=True)
class SparseModel:
    """Cameras of all frames and the triangulated points, in COLMAP's arbitrary world.

    `poses` [N, 3, 4] cam_from_world; `registered` [N] bool, False where the pose is interpolated. `points` [P, 3],
    `colours` [P, 3] uint8. `views` [M, 4] float: point row, frame, u, v in pixels of `camera`. `region`:
    "frame" or "object", where the features come from.
    """

    camera: Intrinsics
    poses: np.ndarray
    registered: np.ndarray
    points: np.ndarray
    colours: np.ndarray
    views: np.ndarray
    reprojection_error: float
    closures: int
    region: str = "frame"

    def save(self, folder: Path) -> None:
        scalars = {name: getattr(self, name) for name in SCALARS}
        (folder / "camera.json").write_text(json.dumps({**vars(self.camera), **scalars}))
        arrays = {name: getattr(self, name) for name in ("poses", "registered", "points", "colours", "views")}
        np.savez_compressed(folder / "model.npz", **arrays)

    @classmethod
    def load(cls, folder: Path) -> SparseModel:
        camera = json.loads((folder / "camera.json").read_text())
        scalars = {name: camera.pop(name) for name in SCALARS}
        with np.load(folder / "model.npz") as arrays:
            return cls(Intrinsics(**camera), **{name: arrays[name] for name in arrays.files}, **scalars)

    def points_on(self, mattes: np.ndarray, least_share: float = 0.8) -> np.ndarray:
        """Which points [P] lie on the object: seen on a matte ([N, H, W] uint8, any size) in most of their views."""
        point, frame = self.views[:, 0].astype(int), self.views[:, 1].astype(int)
        height, width = mattes.shape[1:]
        column = (self.views[:, 2] * width / self.camera.width).astype(int).clip(0, width - 1)
        row = (self.views[:, 3] * height / self.camera.height).astype(int).clip(0, height - 1)
        on = np.bincount(point, mattes[frame, row, column] > 127, len(self.points))
        return on >= least_share * np.bincount(point, minlength=len(self.points)).clip(1)


def solve(frames: list[Path], mattes: list[Path] | None, region: Region, advance: Advance) -> SparseModel:
    """Cameras of `frames`, from features of the whole frame or of the object alone.

    The room behind a static object carries more features than a smooth artefact, and other ones on each side (sample
    clip, 60 frames: 60 registered on whole frames, 17 on the object). Where the object turns before a fixed camera the
    room says that nothing moves. "auto" takes the object where the room stands still, and where whole frames fail and
    `mattes` are given. Raises CaptureError when nothing moves, too few frames can be registered, or COLMAP dies.
    """
    seen = motion.look(frames)
    if seen.nothing:
        raise CaptureError(HARDLY_MOVES)
    if region == "object" or (region == "auto" and seen.turntable):
        return _solve(frames, _object(frames, mattes, seen), "object", seen.turntable, advance)
    try:
        return _solve(frames, None, "frame", False, advance)
    except CaptureError:
        if region == "frame" or not mattes:
            raise
        return _solve(frames, _object(frames, mattes, seen), "object", seen.turntable, advance)


def _object(frames: list[Path], mattes: list[Path] | None, seen: Motion) -> list[np.ndarray]:
    """Where to look for the object in each frame: its mattes [H, W] uint8, or all that moves before a still room."""
    import cv2

    if mattes:
        return [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in mattes]
    if not seen.turntable:
        raise CaptureError(
            "--sfm-region object needs to know the object: give --mattes DIR, choose --segmenter birefnet, or let the "
            "camera stand still while the object turns"
        )
    return [seen.region() * np.uint8(255)] * len(frames)


def _solve(
    frames: list[Path], mattes: list[np.ndarray] | None, region: str, still_background: bool, advance: Advance
) -> SparseModel:
    from PIL import Image

    with Image.open(frames[0]) as picture:
        size = picture.size
    with tempfile.TemporaryDirectory(prefix="nerfsem-colmap-") as name:
        work = Path(name)
        masks = str(_write_masks(frames, mattes, work / "masks")) if mattes else None
        keys = motion.keyframes(frames)
        job = Job(str(frames[0].parent), [f.name for f in frames], keys, max(size), masks, still_background, name)
        job.write(work / "job.json")
        _run_worker(work, advance)
        result = json.loads((work / "result.json").read_text())
        arrays = dict(np.load(work / "points.npz")) if result["poses"] else {}
    return _checked_model(len(frames), result, arrays, float(np.hypot(*size)), region)


def _write_masks(frames: list[Path], mattes: list[np.ndarray], folder: Path) -> Path:
    """The object, grown by a hundredth of the frame so that its outline's features survive, under COLMAP's names."""
    import cv2

    folder.mkdir()
    for frame, matte in zip(frames, mattes, strict=True):
        height, width = cv2.imread(str(frame)).shape[:2]
        soft = cv2.resize(matte, (width, height))
        reach = 2 * round(0.01 * max(width, height)) + 1
        grown = cv2.dilate((soft > 127).astype(np.uint8) * 255, np.ones((reach, reach), np.uint8))
        cv2.imwrite(str(folder / f"{frame.name}.png"), grown)
    return folder


def _run_worker(work: Path, advance: Advance) -> None:
    """Run COLMAP on `work`/job.json; its stages share one progress bar, a quarter each."""
    stages = ["matches", "cameras", "closure", "others"]
    # The search path goes along: the caller may run from a source tree
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "nerfsem_method.capture.colmap.worker", str(work / "job.json")]
    with (
        (work / "colmap.log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as process,
    ):
        try:
            for line in process.stdout or ():
                stage, done, total = line.split()
                share = stages.index(stage) + min(int(done) / max(int(total), 1), 1.0)
                advance(round(100 * share / len(stages)), 100)
        except BaseException:  # Ctrl-C included: no orphan may go on computing
            process.kill()
            raise
    if process.returncode:
        tail = " | ".join((work / "colmap.log").read_text(errors="replace").strip().splitlines()[-LOG_TAIL:])
        raise CaptureError(f"COLMAP stopped with exit code {process.returncode}: {tail or 'no message'}")


def _checked_model(
    count: int, result: dict, arrays: dict[str, np.ndarray], diagonal: float, region: str = "frame"
) -> SparseModel:
    known = {int(i): np.array(pose) for i, pose in result["poses"].items()}
    still = result["motion"] is not None and result["motion"] < MIN_MOTION * diagonal
    if still or (known and _parallax(np.stack(list(known.values()))) < MIN_PARALLAX):
        raise CaptureError(HARDLY_MOVES)
    if not known:
        raise CaptureError(
            "no camera was found: hardly anything can be recognised from one frame to the next; film a slow, sharp turn "
            "around a textured object, and lay printed paper under a smooth one"
        )
    if len(known) < MIN_REGISTERED * count:
        raise CaptureError(
            f"cameras were found for only {len(known)} of {count} frames: film a slow, sharp, steady turn around a "
            "textured object, with most of what one frame shows still in the next"
        )
    model, width, height, params = result["camera"]
    registered = np.zeros(count, bool)
    registered[list(known)] = True
    return SparseModel(
        camera=Intrinsics.from_colmap(model, width, height, params),
        poses=fill_gaps(known, count),
        registered=registered,
        points=arrays["positions"],
        colours=arrays["colours"],
        views=arrays["views"],
        reprojection_error=result["reprojection_error"],
        closures=result["closures"],
        region=region,
    )


def _parallax(poses: np.ndarray) -> float:
    """Largest angle in degrees between the directions from which the cameras see the point they all look at."""
    target = look_at_point(poses)
    rays = camera_centres(poses) - target
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return float(np.degrees(np.arccos(np.clip((rays @ rays.T).min(), -1, 1))))


def fill_gaps(known: dict[int, np.ndarray], count: int) -> np.ndarray:
    """Poses [count, 3, 4]: the known ones, and between (or beyond) them constant rotation and straight motion."""
    from scipy.spatial.transform import Rotation

    anchors = np.array(sorted(known))
    given = np.stack([known[i] for i in anchors])
    centres = camera_centres(given)
    poses = np.empty((count, 3, 4))
    for i in range(count):
        a = int(np.clip(np.searchsorted(anchors, i, side="right") - 1, 0, len(anchors) - 2))
        share = (i - anchors[a]) / (anchors[a + 1] - anchors[a])
        turn = Rotation.from_matrix(given[a + 1, :, :3] @ given[a, :, :3].T).as_rotvec()
        rotation = Rotation.from_rotvec(share * turn).as_matrix() @ given[a, :, :3]
        centre = centres[a] + share * (centres[a + 1] - centres[a])
        poses[i] = known.get(i, np.column_stack([rotation, -rotation @ centre]))
    return poses
