"""This module makes a folder of small clips from the sample clip, each with its true cameras, so that an item takes seconds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from true_scene import true_scene

from nerfsem_method.pipeline import Options
from nerfsem_method.scene.scene import Scene

FLIP = np.diag([1.0, -1.0, -1.0])
SMALL_OPTIONS = Options(preset="smoke", max_steps=40)
"""So much training makes a picture of such a clip."""


def write_posed(folder: Path, scene: Scene, first: int = 0, crop: int = 0, turned: int = 0, mattes_beside: bool = False) -> Path:
    """Write frames of a scene, from one on, cut at the sides, in other colours, with transforms.json; return the folder."""
    mattes = folder.with_name(f"{folder.name}_mattes") if mattes_beside else folder / "masks"
    for part in (folder / "images", mattes):
        part.mkdir(parents=True)
    frames = []
    for frame in scene.frames[first:]:
        name = f"{frame.index:06d}.png"
        box = (crop, 0, scene.camera.width - crop, scene.camera.height)
        picture = np.asarray(Image.open(scene.root / frame.image).crop(box))
        Image.fromarray(np.roll(picture, turned, axis=2)).save(folder / "images" / name)
        Image.open(scene.root / frame.matte).crop(box).save(mattes / name)
        world_from_cam = np.eye(4)
        world_from_cam[:3, :3] = frame.cam_from_world[:, :3].T @ FLIP
        world_from_cam[:3, 3] = -frame.cam_from_world[:, :3].T @ frame.cam_from_world[:, 3]
        facts = {"file_path": f"images/{name}", "transform_matrix": world_from_cam.tolist()}
        frames.append(facts if mattes_beside else {**facts, "mask_path": f"masks/{name}"})
    camera = scene.camera
    size = {"w": camera.width - 2 * crop, "h": camera.height, "fl_x": camera.fx, "fl_y": camera.fy}
    data = {**size, "cx": camera.cx - crop, "cy": camera.cy, "camera_model": "OPENCV", "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(data))
    return folder


def write_clips(folder: Path, video: Path) -> Path:
    """Write twelve clips made of the vase, cuts, crops and colours, two of them broken; return their folder."""
    scene = true_scene(folder / "truth", every=7, width=68, height=120)
    clips = folder / "clips"
    for number in range(9):
        below = clips / ("sub" if number % 2 else ".") / f"vase {number}"
        write_posed(below, scene, first=number % 2, crop=2 * (number // 3), turned=number % 3)
    write_posed(clips / "vase beside", scene, mattes_beside=True)
    (clips / "cut off.mp4").write_bytes(video.read_bytes()[:100_000])
    (clips / "few").mkdir()
    for path in sorted((scene.root / "frames").iterdir())[:3]:
        shutil.copy(path, clips / "few")
    return clips
