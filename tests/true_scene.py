"""This module makes a small scene folder from the sample clip's exact cameras, for tests that need no structure from motion."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from PIL import Image

from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.scene.scene import Frame, Scene, Video

DATA = Path(__file__).resolve().parent / "data"
LOWER, SIZE = np.array([-0.34, -0.34, 0.86]), 0.68
"""A cube of this size in metres stands around the vase, with this corner."""


def true_scene(folder: Path, every: int = 4, width: int = 68, height: int = 120) -> Scene:
    """Write every `every`-th frame of the sample clip, scaled, as a scene folder in unit-cube coordinates; return the scene."""
    truth = json.loads((DATA / "vase_cameras.json").read_text())
    clip = DATA / "vase.mp4"
    reader = imageio_ffmpeg.read_frames(str(clip), pix_fmt="rgb24")
    clip_width, clip_height = next(reader)["size"]
    for name in ("frames", "mattes"):
        (folder / name).mkdir(parents=True)
    frames = []
    for index, data in enumerate(reader):
        if index % every:
            continue
        number = f"{len(frames):06d}.png"
        picture = Image.frombytes("RGB", (clip_width, clip_height), data)
        picture.resize((width, height), Image.Resampling.BOX).save(folder / "frames" / number)
        matte = Image.open(DATA / "vase_mattes" / f"{index:06d}.png").convert("L")
        matte.resize((width, height), Image.Resampling.BOX).save(folder / "mattes" / number)
        pose = np.array(truth["cam_from_world"][index])
        pose[:, 3] = (pose[:, :3] @ LOWER + pose[:, 3]) / SIZE
        frames.append(Frame(len(frames), pose, "registered", f"frames/{number}", f"mattes/{number}"))
    intrinsics = Intrinsics(*(truth[k] for k in ("width", "height", "fx", "fy", "cx", "cy"))).scaled(width, height)
    sha256 = hashlib.sha256(clip.read_bytes()).hexdigest()
    scene = Scene(folder, Video("vase.mp4", width, height, len(frames), Fraction(15), sha256), intrinsics, tuple(frames))
    scene.save()
    return scene
