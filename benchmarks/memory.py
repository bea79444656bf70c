"""Memory of a long clip: 300 frames of 720x1280 are trained on for some steps, and a bundle of as many frames is decoded.

    python -m benchmarks.memory --source ../shared/data/vase

The clip is the vase's, looped and scaled by ffmpeg, its true masks and cameras looped likewise. Training and decoding run in
processes of their own, whose largest resident memory is printed.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import tyro
from PIL import Image

from benchmarks.subjects import SIZE, quick_bundle, resized, standard_bundle
from nerfsem_method.cli.main import run
from nerfsem_method.codec import nsem
from nerfsem_method.errors import NerfsemError
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.scene.scene import Frame, Scene, Video

FRAMES = 300
LOWER, EDGE = np.array([-0.34, -0.34, 0.86]), 0.68
"""The cube around the vase, in metres."""


@dataclass(frozen=True)
class Memory:
    """Print one row: peak memory of training and of decoding."""

    source: Path = Path("../shared/data/vase")
    """A folder with relic.mp4, masks/ and poses_truth.json."""
    preset: str = "standard"
    """What is trained."""
    steps: int = 40
    """So many; memory does not grow after the first ones."""
    frames: int = 30
    """Frames that are decoded, of FRAMES; one after the other."""

    def run(self) -> None:
        """Bars: 12 GB for training, 2 GB for decoding."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            long_scene(self.source, folder / "scene")
            training = _peak(_train, folder / "scene", self.preset, self.steps, folder)
            decoding = _peak(_decode, folder, self.frames)
        what = f"{FRAMES} frames of {SIZE[0]}x{SIZE[1]}, `{self.preset}`"
        print(f"| {what} | training {training:.2f} GB | decoding {decoding:.2f} GB |")


def long_scene(source: Path, folder: Path) -> None:
    """A scene folder of FRAMES frames of SIZE, in unit-cube coordinates."""
    width, height = SIZE
    for name in ("frames", "mattes"):
        (folder / name).mkdir(parents=True)
    looped = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", "-1", "-i", str(source / "relic.mp4")]
    scaled = ["-frames:v", str(FRAMES), "-vf", f"scale={width}:{height}", "-start_number", "0"]
    subprocess.run([*looped, *scaled, str(folder / "frames/%06d.png")], check=True)
    truth = json.loads((source / "poses_truth.json").read_text())
    masks = sorted((source / "masks").glob("*.png"))
    frames = []
    for index in range(FRAMES):
        name = f"mattes/{index:06d}.png"
        with Image.open(masks[index % len(masks)]) as mask:
            mask.convert("L").resize(SIZE, Image.Resampling.BILINEAR).save(folder / name)
        pose = _pose(np.array(truth["frames"][index % len(truth["frames"])]["transform_matrix"]))
        frames.append(Frame(index, pose, "registered", f"frames/{index:06d}.png", name))
    camera = Intrinsics(*(truth[key] for key in ("w", "h", "fl_x", "fl_y", "cx", "cy"))).scaled(width, height)
    Scene(folder, Video("long.mp4", width, height, FRAMES, Fraction(30), "ab" * 32), camera, tuple(frames)).save()


def _pose(world_from_camera: np.ndarray) -> np.ndarray:
    """cam_from_world [3, 4] in unit-cube coordinates of a matrix in OpenGL axes and metres."""
    rotation = (world_from_camera[:3, :3] * (1.0, -1.0, -1.0)).T
    center = (world_from_camera[:3, 3] - LOWER) / EDGE
    return np.concatenate([rotation, -(rotation @ center)[:, None]], 1)


def _peak(work: Callable[..., None], *arguments: object) -> float:
    """Largest resident memory, in GB, of a process that does this and nothing else."""
    queue = (context := multiprocessing.get_context("spawn")).Queue()
    process = context.Process(target=_measured, args=(queue, work, *arguments))
    process.start()
    process.join()
    if process.exitcode:
        raise NerfsemError(f"{work.__name__} ended with code {process.exitcode}; its messages are above")
    return queue.get()


def _measured(queue: Any, work: Callable[..., None], *arguments: object) -> None:
    work(*arguments)
    queue.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9)


def _train(scene: Path, preset: str, steps: int, folder: Path) -> None:
    from nerfsem_method.plugin.config import trainer_config
    from nerfsem_method.plugin.training import train

    config = trainer_config(preset)
    config.data = config.pipeline.datamanager.data = scene
    config.output_dir, config.max_num_iterations = folder, steps
    config.machine.device_type = "cpu"
    train(config)


def _decode(folder: Path, frames: int) -> None:
    from nerfsem_method.cli.decode import Decode

    made = resized(standard_bundle(quick_bundle()))
    order = np.arange(FRAMES) % len(made.poses)
    video = replace(made.video, frames=FRAMES)
    long = replace(made, video=video, poses=made.poses[order], gains=made.gains[order])
    nsem.write(folder / "long.nsem", long)
    Decode(folder / "long.nsem", folder / "long.mp4", frames=f"0:{frames}").run()


if __name__ == "__main__":
    sys.exit(run(tyro.cli(Memory)))
