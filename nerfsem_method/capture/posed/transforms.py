"""transforms.json is how nerfstudio, Polycam, Record3D and Blender's exports list pictures and cameras."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nerfsem_method.capture.posed.shots import Shot, Shots
from nerfsem_method.errors import CaptureError
from nerfsem_method.media.matte_names import in_order
from nerfsem_method.scene.camera import Intrinsics

NAMES = ("transforms.json", "transforms_train.json")
"""The second is Blender's; of its three splits, the one to train on goes around the object."""
ENDINGS = ("", ".png", ".jpg", ".jpeg")
"""Blender's files name pictures without these."""
PINHOLES = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE", "RADIAL", "SIMPLE_RADIAL")
"""These models are OPENCV's, or that with some coefficients 0."""
AGAIN = "write it again with ns-process-data"
FLIP = np.diag([1.0, -1.0, -1.0])
"""OpenGL's camera looks along -z and has y up."""


def find(folder: Path) -> Path | None:
    """Return the list of a folder, None where there is none."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def read(path: Path) -> Shots:
    """Return the shots that a list names, in the order of the pictures' names.

    Raises CaptureError when the list is damaged, a picture is missing or its camera is no pinhole with OpenCV's lens.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
        names = in_order({Path(_posix(frame["file_path"])) for frame in data["frames"]})
        place = {name: number for number, name in enumerate(names)}
        frames = sorted(data["frames"], key=lambda frame: place[Path(_posix(frame["file_path"]))])
        return Shots(path.parent, tuple(_shot(path, {**data, **frame}) for frame in frames))
    except KeyError as error:
        raise CaptureError(f"{path} does not say {error}, which a list of posed pictures has; {AGAIN}") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CaptureError(f"{path} is no list of posed pictures ({error!r}); {AGAIN}") from None


def _shot(path: Path, facts: dict[str, Any]) -> Shot:
    image = _file(path, facts["file_path"])
    matrix = np.array(facts["transform_matrix"], np.float64)
    if matrix.shape not in ((3, 4), (4, 4)):
        raise CaptureError(f"{path} has no pose for {image.name}: a matrix of 4 x 4 numbers is needed")
    _check_handedness(path, image, matrix)
    matte = facts.get("mask_path")
    return Shot(image, _camera(path, image, facts), _pose(matrix), _file(path, matte, image) if matte else None)


def _pose(matrix: np.ndarray) -> np.ndarray:
    """Return cam_from_world [3, 4] of a camera to world, OpenGL axes; NaN where that is not finite: the program found none."""
    if not np.isfinite(matrix).all():
        return np.full((3, 4), np.nan)
    rotation: np.ndarray = FLIP @ _nearest_rotation(matrix[:3, :3]).T
    return np.column_stack([rotation, -rotation @ matrix[:3, 3]])


def _nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """Return the rotation nearest to a matrix, which some programs scale or round."""
    left, _, right = np.linalg.svd(matrix)
    return left @ right


def _check_handedness(path: Path, image: Path, matrix: np.ndarray) -> None:
    if np.isfinite(matrix).all() and np.linalg.det(matrix[:3, :3]) < 0:
        raise CaptureError(
            f"{path} has a left-handed pose for {image.name}, in which the world is mirrored; let the program that wrote it give "
            "right-handed camera-to-world matrices, as OpenGL has them"
        )


def _posix(name: str) -> str:
    """Return a path as it is written here: Windows separates folders otherwise."""
    return str(name).replace("\\", "/")


def _file(path: Path, name: str, other: Path | None = None) -> Path:
    """Return the file of a name that a list gives; never the `other` one, whose matte is sought."""
    for ending in ENDINGS:
        if (found := path.parent / f"{_posix(name)}{ending}").is_file():
            return found
    for above in list(Path(_posix(name)).parents)[:-1]:  # A list that was made elsewhere names the folders of that machine.
        if (found := path.parent / Path(_posix(name)).relative_to(above)).is_file() and found != other:
            return found
    raise CaptureError(f"{path.parent / name} does not exist, though {path.name} names it")


def _camera(path: Path, image: Path, facts: dict[str, Any]) -> Intrinsics:
    """Return the camera that a frame's facts, or those of the whole list, describe."""
    model = "a fisheye" if facts.get("is_fisheye") else facts.get("camera_model", "OPENCV")
    if model not in PINHOLES or any(abs(float(facts.get(name, 0.0))) > 1e-9 for name in ("k3", "k4")):
        raise CaptureError(f"{path} has a camera of the kind {model} or a lens with k3: undistort the pictures first")
    width, height = int(facts.get("w", 0)), int(facts.get("h", 0))
    if not width or not height:
        width, height = _size(image)
    if "fl_x" not in facts and "camera_angle_x" not in facts:
        raise CaptureError(f"{path} names no focal length for {image.name}: fl_x in pixels, or camera_angle_x in radians")
    focal = float(facts["fl_x"]) if "fl_x" in facts else width / (2 * np.tan(float(facts["camera_angle_x"]) / 2))
    upright = float(facts.get("fl_y", focal))
    centre = float(facts.get("cx", width / 2)), float(facts.get("cy", height / 2))
    return Intrinsics(width, height, focal, upright, *centre, *(float(facts.get(k, 0.0)) for k in ("k1", "k2", "p1", "p2")))


def _size(image: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(image) as opened:
        return opened.size
