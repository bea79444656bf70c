"""This program measures the memory of a long clip: it trains on 300 frames of 720x1280 for some steps, and decodes as many.

    python -m benchmarks.timing.memory --source ../shared/data/vase

The clip is the vase's, looped and scaled by ffmpeg, its true masks and cameras looped likewise. Training and decoding run in
processes of their own, whose largest resident memory counts.
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

from benchmarks.record import RESULTS, Table, keep
from benchmarks.timing.stopwatch import COLUMNS
from benchmarks.timing.subjects import SIZE, quick_bundle, resized, standard_bundle
from nerfsem_method.cli.main import run
from nerfsem_method.codec import nsem
from nerfsem_method.errors import NerfsemError
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.scene.scene import Frame, Scene, Video

PROGRAM = "benchmarks.timing.memory"
LOWER, EDGE = np.array([-0.34, -0.34, 0.86]), 0.68
"""The cube around the vase has this lowest corner and edge, in metres."""


@dataclass(frozen=True)
class Memory:
    """Measure the peak memory of training (bar: 12 GB) and of decoding (bar: 2 GB)."""

    source: Path = Path("../shared/data/vase")
    """This folder holds relic.mp4, masks/ and poses_truth.json."""
    preset: str = "standard"
    """This preset is trained."""
    steps: int = 40
    """It is trained for so many steps; memory does not grow after the first ones."""
    length: int = 300
    """The clip has so many frames."""
    frames: int = 30
    """So many of them are decoded, one after the other."""
    scale: int = 1
    """The frames are so many times smaller than 720x1280."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> None:
        """Print the row and keep it. Raises NerfsemError when one of the processes fails."""
        width, height = size = (SIZE[0] // self.scale, SIZE[1] // self.scale)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            long_scene(self.source, folder / "scene", self.length, size)
            training = peak(_train, folder / "scene", self.preset, self.steps, folder)
            decoding = peak(_decode, folder, self.length, self.frames, self.scale)
        what = f"memory of training on {self.length} frames of {width}x{height}, `{self.preset}`, and of decoding them"
        row = (what, "", f"{training:.2f} GB, {decoding:.2f} GB", "", "", "", "< 12 GB, < 2 GB")
        keep(self.results, PROGRAM, Table("memory", COLUMNS, [row], "speed"))


def long_scene(source: Path, folder: Path, length: int, size: tuple[int, int]) -> None:
    """Write a scene folder of `length` frames of `size`, in unit-cube coordinates."""
    width, height = size
    for name in ("frames", "mattes"):
        (folder / name).mkdir(parents=True)
    looped = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", "-1", "-i", str(source / "relic.mp4")]
    scaled = ["-frames:v", str(length), "-vf", f"scale={width}:{height}", "-start_number", "0"]
    subprocess.run([*looped, *scaled, str(folder / "frames/%06d.png")], check=True)
    truth = json.loads((source / "poses_truth.json").read_text())
    masks = sorted((source / "masks").glob("*.png"))
    frames = []
    for index in range(length):
        name = f"mattes/{index:06d}.png"
        with Image.open(masks[index % len(masks)]) as mask:
            mask.convert("L").resize(size, Image.Resampling.BILINEAR).save(folder / name)
        pose = _pose(np.array(truth["frames"][index % len(truth["frames"])]["transform_matrix"]))
        frames.append(Frame(index, pose, "registered", f"frames/{index:06d}.png", name))
    camera = Intrinsics(*(truth[key] for key in ("w", "h", "fl_x", "fl_y", "cx", "cy"))).scaled(width, height)
    Scene(folder, Video("long.mp4", width, height, length, Fraction(30), "ab" * 32), camera, tuple(frames)).save()


def _pose(world_from_camera: np.ndarray) -> np.ndarray:
    """Return cam_from_world [3, 4] in unit-cube coordinates of a matrix [4, 4] in OpenGL axes and metres."""
    rotation = (world_from_camera[:3, :3] * (1.0, -1.0, -1.0)).T
    center = (world_from_camera[:3, 3] - LOWER) / EDGE
    return np.concatenate([rotation, -(rotation @ center)[:, None]], 1)


def peak(work: Callable[..., Any], *arguments: object, told: list[Any] | None = None) -> float:
    """Return the largest resident memory, in GB, of a process that does this and nothing else; `told` gets what the work returns.

    Raises NerfsemError when the process fails.
    """
    queue = (context := multiprocessing.get_context("spawn")).Queue()
    process = context.Process(target=_measured, args=(queue, work, *arguments))
    process.start()
    process.join()
    if process.exitcode:
        raise NerfsemError(f"{work.__name__} ended with code {process.exitcode}; its messages are above")
    memory, result = queue.get()
    if told is not None:
        told.extend(result)
    return memory


def _measured(queue: Any, work: Callable[..., Any], *arguments: object) -> None:
    result = work(*arguments)
    queue.put((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, result))


def _train(scene: Path, preset: str, steps: int, folder: Path) -> None:
    from nerfsem_method.plugin.config import trainer_config
    from nerfsem_method.plugin.training import train

    config = trainer_config(preset)
    config.data = config.pipeline.datamanager.data = scene
    config.output_dir, config.max_num_iterations = folder, steps
    config.machine.device_type = "cpu"
    train(config)


def _decode(folder: Path, length: int, frames: int, scale: int) -> None:
    from nerfsem_method.cli.decode import Decode

    made = resized(standard_bundle(quick_bundle()), scale)
    order = np.arange(length) % len(made.poses)
    video = replace(made.video, frames=length)
    long = replace(made, video=video, poses=made.poses[order], gains=made.gains[order])
    nsem.write(folder / "long.nsem", long)
    Decode(folder / "long.nsem", folder / "long.mp4", frames=f"0:{frames}").run()


if __name__ == "__main__":
    sys.exit(run(tyro.cli(Memory)))
