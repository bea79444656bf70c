"""A folder with a model of COLMAP has its cameras and points; the pictures lie in a folder `images`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from nerfsem_method.capture.posed.shots import Shot, Shots
from nerfsem_method.errors import CaptureError
from nerfsem_method.media.matte_names import in_order
from nerfsem_method.scene.camera import Intrinsics

MODELS = ("colmap/sparse/0", "sparse/0", "sparse", "colmap", ".")
"""A model may be in any of these folders; the first two are nerfstudio's and COLMAP's own."""


def find(folder: Path) -> Path | None:
    """Return the folder of the model below a folder, None where there is none."""
    for name in MODELS:
        if any((folder / name / f"images.{ending}").is_file() for ending in ("bin", "txt")):
            return folder / name
    return None


def read(folder: Path, model: Path) -> Shots:
    """Return the shots of a model. Raises CaptureError when it is damaged, or a picture is not there."""
    with tempfile.TemporaryDirectory(prefix="nerfsem-model-") as name:
        target = Path(name)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "nerfsem_method.capture.colmap.reading", str(model), name]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise CaptureError(f"{model} cannot be read as a model of COLMAP ({last})")
        pictures = json.loads((target / "model.json").read_text())
        with np.load(target / "points.npz") as arrays:
            points, colours, views = (arrays[key] for key in ("positions", "colours", "views"))
    number_of = {Path(each["name"]): number for number, each in enumerate(pictures)}
    order = [number_of[name] for name in in_order(number_of)]
    shots = (
        Shot(_picture(folder, model, each["name"]), Intrinsics.from_colmap(*each["camera"]), np.array(each["pose"]))
        for each in (pictures[number] for number in order)
    )
    views[:, 1] = np.argsort(order)[views[:, 1].astype(int)]
    return Shots(folder, tuple(shots), points, colours, views)


def _picture(folder: Path, model: Path, name: str) -> Path:
    """Return a picture, which lies in `images` beside the model or above it."""
    for above in (folder, *model.resolve().parents):
        if (found := above / "images" / name).is_file():
            return found
        if above == folder.resolve().parent:
            break
    raise CaptureError(f"{folder / 'images' / name} does not exist, though the model names it; put the pictures there")
