"""The scene: one camera, one pose a frame, and where a frame's picture and matte lie.

Everything here is a frozen dataclass or a pure NumPy function; no torch, no nerfstudio. Conventions: OpenCV axes (x right,
y down, z forward), pixel centres at +0.5, P_c = R P_w + t, world units in which the artefact's box is the unit cube.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from nerfsem_method.errors import CaptureError

UNDISTORTION_STEPS = 8
"""Fixed-point steps from a distorted to an ideal pixel; part of the format, hence fixed."""
STEEPEST = 1e3
"""Ideal coordinates stay within +- this from step to step: absurd coefficients must not give rays that are not numbers."""

# COLMAP's parameter order of each camera model, as positions in (fx, fy, cx, cy, k1, k2, p1, p2)
_COLMAP_MODELS = {
    "SIMPLE_PINHOLE": ((0, 1), 2, 3),
    "PINHOLE": (0, 1, 2, 3),
    "SIMPLE_RADIAL": ((0, 1), 2, 3, 4),
    "RADIAL": ((0, 1), 2, 3, 4, 5),
    "OPENCV": (0, 1, 2, 3, 4, 5, 6, 7),
}


@dataclass(frozen=True)
class Intrinsics:
    """One camera for the whole clip, in COLMAP's OPENCV model; lengths in pixels of a `width` x `height` frame."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0

    @classmethod
    def from_colmap(cls, model: str, width: int, height: int, params: list[float]) -> Intrinsics:
        """Read COLMAP's name and parameters. Raises CaptureError for a model without an OPENCV equivalent."""
        if model not in _COLMAP_MODELS or len(params) != len(_COLMAP_MODELS[model]):
            known = ", ".join(_COLMAP_MODELS)
            raise CaptureError(f"camera model {model} with {len(params)} parameters is not supported; use one of {known}")
        values = [0.0] * 8
        for slot, value in zip(_COLMAP_MODELS[model], params, strict=True):
            for position in slot if isinstance(slot, tuple) else (slot,):
                values[position] = float(value)
        return cls(width, height, *values)

    @property
    def params(self) -> tuple[float, ...]:
        """(fx, fy, cx, cy, k1, k2, p1, p2): COLMAP's OPENCV order."""
        return (self.fx, self.fy, self.cx, self.cy, self.k1, self.k2, self.p1, self.p2)

    def scaled(self, width: int, height: int) -> Intrinsics:
        """The same camera seen through a frame of another size."""
        sx, sy = width / self.width, height / self.height
        fx, fy, cx, cy, *distortion = self.params
        return Intrinsics(width, height, fx * sx, fy * sy, cx * sx, cy * sy, *distortion)

    def distort(self, ideal: np.ndarray) -> np.ndarray:
        """Normalised ideal coordinates [..., 2] to normalised distorted ones (OpenCV's radial-tangential model)."""
        x, y = ideal[..., 0], ideal[..., 1]
        r2 = x * x + y * y
        radial = 1 + r2 * (self.k1 + r2 * self.k2)
        dx = 2 * self.p1 * x * y + self.p2 * (r2 + 2 * x * x)
        dy = self.p1 * (r2 + 2 * y * y) + 2 * self.p2 * x * y
        return np.stack([x * radial + dx, y * radial + dy], -1)

    def undistort(self, distorted: np.ndarray) -> np.ndarray:
        """Inverse of `distort` by UNDISTORTION_STEPS fixed-point steps; [..., 2] to [..., 2]."""
        ideal = distorted
        for _ in range(UNDISTORTION_STEPS):
            ideal = np.clip(ideal + distorted - self.distort(ideal), -STEEPEST, STEEPEST)
        return ideal

    def pixel_directions(self, pixels: np.ndarray) -> np.ndarray:
        """Camera-space viewing directions (x, y, 1) [..., 3] of image positions (u, v) [..., 2], undistorted."""
        normalised = (pixels - (self.cx, self.cy)) / (self.fx, self.fy)
        ideal = self.undistort(normalised)
        return np.concatenate([ideal, np.ones_like(ideal[..., :1])], -1)

    def project(self, points: np.ndarray, cam_from_world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Image positions [..., 2] and depths [...] of world points [..., 3]; depth <= 0 lies behind the camera."""
        local = points @ cam_from_world[:, :3].T + cam_from_world[:, 3]
        depth = local[..., 2]
        ideal = local[..., :2] / np.where(np.abs(depth) < 1e-9, 1e-9, depth)[..., None]
        return self.distort(ideal) * (self.fx, self.fy) + (self.cx, self.cy), depth


@dataclass(frozen=True)
class Frame:
    """One frame of the video: its picture, its soft matte, its pose [3, 4] and how the pose was found."""

    index: int
    image: str
    matte: str
    cam_from_world: np.ndarray
    source: str  # "registered" | "interpolated"


@dataclass(frozen=True)
class Video:
    """Facts of the source video; `rate` is in frames a second."""

    name: str
    width: int
    height: int
    frames: int
    rate: Fraction
    sha256: str


@dataclass(frozen=True)
class Scene:
    """A captured scene folder: the video's facts, its camera and its frames in video order."""

    root: Path
    video: Video
    camera: Intrinsics
    frames: tuple[Frame, ...]

    @property
    def poses(self) -> np.ndarray:
        """All cam_from_world matrices [N, 3, 4], float64."""
        return np.stack([frame.cam_from_world for frame in self.frames])

    def save(self) -> None:
        """Write `scene.json` into the folder; the last step of a capture, atomic."""
        data: dict[str, Any] = {
            "video": {**vars(self.video), "rate": str(self.video.rate)},
            "axes": "opencv",
            "camera": {
                "model": "OPENCV",
                "width": self.camera.width,
                "height": self.camera.height,
                "params": list(self.camera.params),
            },
            "frames": [{**vars(f), "cam_from_world": f.cam_from_world.tolist()} for f in self.frames],
        }
        partial = self.root / "scene.json.partial"
        partial.write_text(json.dumps(data, indent=1))
        partial.replace(self.root / "scene.json")

    @classmethod
    def load(cls, root: Path) -> Scene:
        """Read a scene folder. Raises CaptureError when `scene.json` is missing or not one of ours."""
        path = root / "scene.json"
        try:
            data = json.loads(path.read_text())
            video = Video(**{**data["video"], "rate": Fraction(data["video"]["rate"])})
            camera = Intrinsics.from_colmap(**data["camera"])
            frames = tuple(
                Frame(**{**f, "cam_from_world": np.asarray(f["cam_from_world"], np.float64).reshape(3, 4)})
                for f in data["frames"]
            )
        except FileNotFoundError:
            raise CaptureError(f"{root} is no scene folder: scene.json is missing; run nerfsem capture first") from None
        except (KeyError, TypeError, ValueError) as error:
            raise CaptureError(f"{path} cannot be read ({error}); delete the folder and capture again") from None
        return cls(root, video, camera, frames)
