"""A scene is a captured clip: the video's facts, one camera, one pose a frame, and where each frame's picture and matte lie.

World units are those in which the object's box is the unit cube; z points up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from nerfsem_method.errors import CaptureError
from nerfsem_method.files import replacing
from nerfsem_method.scene.camera import FrameCameras, Intrinsics, Window, windows_of

AGREED = "agreed"
"""Below this name in a scene's folder lie the mattes that trainings and the field agreed on."""


@dataclass(frozen=True)
class Frame:
    """A frame is one picture of the video.

    Attributes:
        index: Frames are numbered from 0.
        cam_from_world: The pose is a matrix [3, 4] from world to camera coordinates.
        source: The pose was "registered" by COLMAP, or "interpolated".
        image, matte: The picture and the soft matte lie at these paths below the scene's folder; they are "" in a scene made of
            a bundle.
        zoom: The frame's focal length is so many times the scene's camera's: another lens took it.
        window: The picture fills this part of the frame, and nothing is known of what lies outside; None where it fills all.
    """

    index: int
    cam_from_world: np.ndarray
    source: str
    image: str = ""
    matte: str = ""
    zoom: float = 1.0
    window: Window | None = None


@dataclass(frozen=True)
class Video:
    """These are the facts of the source video: width and height are in pixels, `rate` is in frames a second.

    `frames` are kept; the clip has more, of these numbers, that were `left_out` because they are damaged or have no pose.
    """

    name: str
    width: int
    height: int
    frames: int
    rate: Fraction
    sha256: str
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True)
class Scene:
    """A scene is a captured folder, or what a bundle knows of one.

    Attributes:
        root: In this folder lies `scene.json`, or the bundle.
        video, camera: These are the facts of the video, and the camera of all its frames but for their zooms.
        frames: All frames are listed in video order.
        bundle: The scene was made of this bundle, and its frames have no pictures; None for a captured scene.
    """

    root: Path
    video: Video
    camera: Intrinsics
    frames: tuple[Frame, ...]
    bundle: Path | None = None

    @property
    def poses(self) -> np.ndarray:
        """Return all cam_from_world matrices [N, 3, 4], float64."""
        return np.stack([frame.cam_from_world for frame in self.frames])

    @property
    def zooms(self) -> np.ndarray | None:
        """Return how many times the camera's focal length each frame's is [N] float64, None where one lens took all."""
        zooms = np.array([frame.zoom for frame in self.frames], np.float64)
        return None if (zooms == 1).all() else zooms

    @property
    def cameras(self) -> FrameCameras:
        """Return the cameras of all frames."""
        return FrameCameras(self.camera, self.poses, self.zooms, windows_of([frame.window for frame in self.frames]))

    def agreed_folder(self, count: int) -> Path:
        """Return where the mattes of a training's `count`-th agreement between mattes and field are kept (1 is the first)."""
        return self.root / AGREED / f"{count}"

    def matte_path(self, index: int) -> Path:
        """Return the matte of a frame that pictures are measured by: the last one that was agreed on, or the captured one."""
        agreed = [path for path in self.root.glob(f"{AGREED}/*/{index:06d}.png") if path.parent.name.isdigit()]
        newest = max(agreed, key=lambda path: int(path.parent.name), default=None)
        return newest or self.root / self.frames[index].matte

    def save(self) -> None:
        """Write `scene.json` into the folder in one move, as the last step of a capture. Raises OutputError."""
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
        with replacing(self.root / "scene.json") as partial:
            partial.write_text(json.dumps(data, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, root: Path) -> Scene:
        """Read a scene folder. Raises CaptureError when `scene.json` is missing or is not one of ours."""
        path = root / "scene.json"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            left_out = tuple(map(int, data["video"].pop("left_out", ())))
            video = Video(**{**data["video"], "rate": Fraction(data["video"]["rate"]), "left_out": left_out})
            camera = Intrinsics.from_colmap(**data["camera"])
            frames = tuple(
                Frame(**{**f, "cam_from_world": np.asarray(f["cam_from_world"], np.float64).reshape(3, 4)})
                for f in map(_with_window, data["frames"])
            )
        except FileNotFoundError:
            raise CaptureError(f"{root} is no scene folder: scene.json is missing; run nerfsem capture first") from None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CaptureError(f"{path} cannot be read ({error}); delete the folder and capture again") from None
        return cls(root, video, camera, frames)


def _with_window(frame: dict[str, Any]) -> dict[str, Any]:
    """Return what a file says of a frame with its window, if it has one, as it is here."""
    return {**frame, "window": tuple(map(float, frame["window"]))} if frame.get("window") else frame

