"""A folder with a model of COLMAP has its cameras and points; the pictures lie in a folder `images`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from nerfsem_method.capture.posed.shots import Shot, Shots
from nerfsem_method.errors import CaptureError
from nerfsem_method.files import scratch
from nerfsem_method.media.clip.listing import list_folder
from nerfsem_method.media.matte_names import in_order
from nerfsem_method.media.naming import files_text
from nerfsem_method.scene.camera import Intrinsics

MODELS = ("colmap/sparse", "sparse", "colmap", ".")
"""A model may be in any of these folders, or in one below the first two: COLMAP's mapper numbers the parts that it finds."""


def find(folder: Path) -> Path | None:
    """Return the folder of the model below a folder that has most pictures, the first of equals; None where there is none."""
    return max(_models(folder), key=_pictures_of, default=None)


def _models(folder: Path) -> list[Path]:
    """Return the folders of all models in the first of MODELS that has any."""
    for name in MODELS:
        below = in_order(entry for entry in (folder / name).glob("*") if entry.is_dir()) if "sparse" in name else []
        found = [place for place in (*below, folder / name) if _file_of(place) is not None]
        if found:
            return found
    return []


def _file_of(model: Path) -> Path | None:
    return next((model / f"images.{ending}" for ending in ("bin", "txt") if (model / f"images.{ending}").is_file()), None)


def _pictures_of(model: Path) -> int:
    """Return how many pictures a model has: a binary file begins with that number, a text has two lines for each."""
    path = _file_of(model)
    assert path is not None, model
    if path.suffix == ".bin":
        with path.open("rb") as stream:
            return int.from_bytes(stream.read(8), "little")
    lines = [line for line in path.read_text(errors="replace").splitlines() if not line.startswith("#")]
    return -(-len(lines) // 2)


def _notes(folder: Path, model: Path, images: list[Path]) -> list[str]:
    """Return what is to be said of other models, and of pictures that have no camera."""
    notes, others = [], [other for other in _models(folder) if other != model]
    if others:
        notes.append(f"of {1 + len(others)} models the largest is taken: {model.relative_to(folder)}, of {len(images)} pictures")
    known = {(path.parent.resolve(), path.stem) for path in images}
    beside: list[Path] = []
    for place in {image.parent for image in images}:
        with suppress(CaptureError):  # The model's own pictures may be of a kind that no folder of photographs holds.
            beside += list_folder(place).photographs
    lost = in_order(path for path in beside if (path.parent.resolve(), path.stem) not in known)
    if lost:
        names = files_text([path.name for path in lost])
        notes.append(f"{len(lost)} pictures have no camera in the model and are left out: {names}")
    return notes


def read(folder: Path, model: Path) -> Shots:
    """Return the shots of a model. Raises CaptureError when it is damaged, or a picture is not there."""
    with scratch("model") as target:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "nerfsem_method.capture.colmap.reading", str(model), str(target)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise CaptureError(f"{model} cannot be read as a model of COLMAP ({last})")
        pictures = json.loads((target / "model.json").read_text())
        with np.load(target / "points.npz") as arrays:
            points, colours, views = (arrays[key] for key in ("positions", "colours", "views"))
    number_of = {Path(each["name"]): number for number, each in enumerate(pictures)}
    order = [number_of[name] for name in in_order(number_of)]
    shots = [
        Shot(_picture(folder, model, each["name"]), Intrinsics.from_colmap(*each["camera"]), np.array(each["pose"]))
        for each in (pictures[number] for number in order)
    ]
    views[:, 1] = np.argsort(order)[views[:, 1].astype(int)]
    notes = _notes(folder, model, [shot.image for shot in shots])
    return Shots(folder, tuple(shots), points, colours, views, tuple(notes))


def _picture(folder: Path, model: Path, name: str) -> Path:
    """Return a picture, which lies in `images` beside the model or above it."""
    for above in (folder, *model.resolve().parents):
        if (found := above / "images" / name).is_file():
            return found
        if above == folder.resolve().parent:
            break
    raise CaptureError(f"{folder / 'images' / name} does not exist, though the model names it; put the pictures there")
