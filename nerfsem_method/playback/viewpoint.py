"""A viewpoint is a camera anywhere: a frame's own, one on an orbit, or one of a path that nerfstudio's viewer saved."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.errors import NerfsemError
from nerfsem_method.scene.camera import Intrinsics, camera_centres, ring_radius

MIDDLE = np.full(3, 0.5)
"""The object is around the middle of the unit cube."""
FARTHEST = 1000.0
"""No camera is so many sides of the unit cube away: the object is smaller than a pixel there, and float32 counts no steps."""


@dataclass(frozen=True)
class Viewpoint:
    """A viewpoint has a camera and its pose cam_from_world [3, 4] in the unit cube.

    Raises NerfsemError when it has numbers that are not finite, or is too far away.
    """

    camera: Intrinsics
    pose: np.ndarray

    def __post_init__(self) -> None:
        if not ((np.abs(self.pose) < FARTHEST).all() and 0 < self.camera.fx < math.inf and 0 < self.camera.fy < math.inf):
            raise NerfsemError(f"no camera can stand or look so; give finite numbers, and a distance below {FARTHEST:g}")


@dataclass(frozen=True)
class Tour:
    """A tour is viewpoints of one size, to be shown at `rate` a second."""

    viewpoints: tuple[Viewpoint, ...]
    rate: float


def colors_around(bundle: Bundle, pose: np.ndarray) -> np.ndarray:
    """Return the map of colours [3, 4] at a pose: a frame's own where its camera is, elsewhere a mean of all, weighted by the
    inverse of the squared distance."""
    distances = np.linalg.norm(camera_centres(bundle.poses) - camera_centres(pose[None]), axis=1)
    near = 1 / (distances**2 + 1e-9)
    return np.einsum("n,nij->ij", near / near.sum(), bundle.colors)


def of_frame(bundle: Bundle, index: int, size: tuple[int, int]) -> Viewpoint:
    """Return the camera of a frame, with a picture of another size (width, height). Raises NerfsemError where there is none."""
    if not 0 <= index < len(bundle.poses):
        raise NerfsemError(f"there is no frame {index}; the bundle has frames 0 to {len(bundle.poses) - 1}")
    return Viewpoint(bundle.camera_of(index).fitted(*size), bundle.poses[index])


def around(
    bundle: Bundle, azimuth: float, elevation: float | None, distance: float, size: tuple[int, int]
) -> Viewpoint:
    """Return a camera that looks at the object's middle.

    Args:
        azimuth: degrees around the vertical axis from the first frame's camera.
        elevation: degrees above the horizon; None for the median of the clip.
        distance: in median distances of the clip's cameras.
        size: width and height of the picture in pixels.
    """
    arms = camera_centres(bundle.poses) - MIDDLE
    lengths = np.linalg.norm(arms, axis=1)
    if elevation is None:
        elevation = float(np.degrees(np.median(np.arcsin(arms[:, 2] / lengths))))
    if not all(map(math.isfinite, (azimuth, elevation, distance))):
        raise NerfsemError("azimuth, elevation and distance must be finite numbers")
    turn = math.atan2(arms[0, 1], arms[0, 0]) + math.radians(azimuth)
    rise = math.radians(min(max(elevation, -89.9), 89.9))
    arm = np.array([math.cos(turn) * math.cos(rise), math.sin(turn) * math.cos(rise), math.sin(rise)])
    return Viewpoint(_ideal(bundle.camera.fitted(*size)), looking(MIDDLE + distance * float(np.median(lengths)) * arm, -arm))


def orbit(bundle: Bundle, count: int, rate: float, elevation: float | None, distance: float, size: tuple[int, int]) -> Tour:
    """Return a whole turn around the object in the direction of the clip, of `count` viewpoints."""
    arms = camera_centres(bundle.poses) - MIDDLE
    azimuths = np.unwrap(np.arctan2(arms[:, 1], arms[:, 0]))
    way = 360.0 if azimuths[-1] >= azimuths[0] else -360.0
    return Tour(tuple(around(bundle, way * i / count, elevation, distance, size) for i in range(count)), rate)


def looking(centre: np.ndarray, forward: np.ndarray) -> np.ndarray:
    """Return cam_from_world [3, 4] of an upright camera (z is up) at a centre that looks along a unit vector."""
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return np.column_stack([rotation, -rotation @ centre])


def from_nerfstudio(bundle: Bundle, path: Path, size: tuple[int, int] | None) -> Tour:
    """Return the path in a file that nerfstudio's viewer saved of the imported bundle, at its own size or another.

    Raises NerfsemError when the file is no such path, or of another kind of camera than perspective.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        width, height = size or (int(data["render_width"]), int(data["render_height"]))
        kind = str(data.get("camera_type", "perspective"))
        views = tuple(_viewpoint(bundle, each, width, height) for each in data["camera_path"])
        seconds = float(data.get("seconds") or 0)
        rate = len(views) / seconds if seconds > 0 else float(data.get("fps", 24))
    except (OSError, ValueError, ArithmeticError, KeyError, TypeError, AttributeError, NerfsemError) as error:
        raise NerfsemError(f"{path} is no camera path ({error!r}); save one in nerfstudio's viewer") from None
    if not 0 < rate < math.inf:
        raise NerfsemError(f"{path} is a path at {rate:g} frames a second; save one in nerfstudio's viewer")
    if kind != "perspective" or not views or min(width, height) < 1:
        raise NerfsemError(f"{path} is a path of {len(views)} {kind} cameras; save a perspective one in nerfstudio's viewer")
    return Tour(views, rate)


def _viewpoint(bundle: Bundle, facts: dict[str, Any], width: int, height: int) -> Viewpoint:
    """Return a camera of nerfstudio's world, where the farthest of the clip's cameras is at distance 1 from the origin."""
    matrix = np.array(facts["camera_to_world"], np.float64).reshape(4, 4)
    rotation = np.diag([1.0, -1.0, -1.0]) @ matrix[:3, :3].T
    centre = matrix[:3, 3] * ring_radius(bundle.poses) + MIDDLE
    focal = height / (2 * math.tan(math.radians(float(facts["fov"])) / 2))
    camera = Intrinsics(width, height, focal, focal, width / 2, height / 2)
    return Viewpoint(camera, np.column_stack([rotation, -rotation @ centre]))


def _ideal(camera: Intrinsics) -> Intrinsics:
    """Return a camera without the lens's faults, whose axis meets the middle of the picture."""
    return Intrinsics(camera.width, camera.height, camera.fx, camera.fy, camera.width / 2, camera.height / 2)
