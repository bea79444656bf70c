"""This module lets the sample clip's true cameras stand in for COLMAP, on a shorter clip, for tests of capturing."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.scene.camera import Intrinsics

DATA = Path(__file__).resolve().parent / "data"
EVERY, FRAMES = 4, 15
"""The shorter clip is every fourth frame of the sample clip: fewer would not show how tall the vase is."""


class TrueCameras:
    """This solves the shorter clip: its true cameras, frame 7 unregistered, and one point in the vase's middle."""

    def __init__(self) -> None:
        self.truth = json.loads((DATA / "vase_cameras.json").read_text())
        self.cam_from_world = np.array(self.truth["cam_from_world"])[::EVERY]
        self.calls: list[list[Path]] = []
        self.ordered: list[bool] = []
        self.zooms: list[Mapping[int, float]] = []
        self.failure: BaseException | None = None

    def __call__(
        self,
        frames: list[Path],
        mattes: list[Path] | None,
        region: str,
        advance: object,
        ordered: bool,
        zooms: Mapping[int, float],
    ) -> SparseModel:
        self.calls.append(frames)
        self.ordered.append(ordered)
        self.zooms.append(zooms)
        if self.failure:
            raise self.failure
        camera = Intrinsics(*(self.truth[name] for name in ("width", "height", "fx", "fy", "cx", "cy")))
        cam_from_world = self.cam_from_world[: len(frames)]
        centre = np.array([self.truth["relic_center"]])
        registered = np.arange(len(frames)) != 7
        views = [[0, i, *camera.project(centre[0], pose)[0]] for i, pose in enumerate(cam_from_world)]
        colours = np.array([[200, 90, 40]], np.uint8)
        return SparseModel(camera, cam_from_world, registered, centre, colours, np.array(views), 0.5, 3)


def shorter_clip(folder: Path, frames: int = FRAMES, size: str = "270:480") -> tuple[Path, Path]:
    """Write `folder`/relic.mp4, at most FRAMES frames of a size W:H, and their true mattes; return video and mattes' folder."""
    video, mattes = folder / "relic.mp4", folder / "true"
    chosen = f"select=not(mod(n\\,{EVERY})),setpts=N/(15*TB),scale={size}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(DATA / "vase.mp4"), "-vf", chosen, "-r", "15"]
    subprocess.run([*command, "-frames:v", str(frames), str(video)], check=True, stdin=subprocess.DEVNULL)
    mattes.mkdir()
    for path in sorted((DATA / "vase_mattes").iterdir())[::EVERY][:frames]:
        shutil.copy(path, mattes)
    return video, mattes
