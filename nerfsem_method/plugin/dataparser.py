"""A captured scene, or a bundle's cameras, becomes nerfstudio's DataparserOutputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.dataparsers.base_dataparser import DataParser, DataParserConfig, DataparserOutputs
from nerfstudio.data.scene_box import SceneBox
from nerfstudio.utils.rich_utils import CONSOLE

from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.capture.stages import RECORD
from nerfsem_method.codec import nsem
from nerfsem_method.errors import CaptureError, printable
from nerfsem_method.scene.camera import camera_centres, ring_radius
from nerfsem_method.scene.scene import Frame, Scene

EVALUATION_FRAMES = 10
"""The evaluation looks at so many of the training frames when none are held out."""


@dataclass
class ObjectVideoDataParserConfig(DataParserConfig):
    """The data are a video of one static object."""

    _target: type = field(default_factory=lambda: ObjectVideoDataParser)
    data: Path = Path()
    """The clip (a video, a folder of photographs, a quoted pattern), pictures with cameras (a folder with a transforms.json or a
    model of COLMAP), the scene folder of an earlier capture, or a .nsem bundle (to look at)."""
    scene_dir: Path | None = None
    """Where the capture is kept; by default beside the video, as <stem>.nerfsem/."""
    capture: CaptureOptions = field(default_factory=CaptureOptions)
    """How mattes are found and at which size the video is taken."""
    holdout_every: int = 0
    """Keep every K-th frame out of training, to evaluate new views; 0 trains on all frames, as a codec does."""
    downscale_factor: tyro.conf.Suppress[float | None] = None
    """ns-render dataset asks for frames that are smaller by this factor; a training takes them at the capture's size."""


@dataclass
class ObjectVideoDataParser(DataParser):
    """In nerfstudio's world the object is around the origin, the farthest camera at distance 1, and z points up.

    A point p of the capture, whose unit cube is the object's box, is (p - 1/2) * `world_scale(scene)` there. The outputs
    carry `metadata["scene"]`, the whole Scene, whatever the split; `cameras.metadata["frame"]` [n, 1] tells which
    frame of it each camera of the split is. The frames of a bundle have names, too, though no files: renderings are named after
    them.
    """

    config: ObjectVideoDataParserConfig
    downscale_factor: int | None = None  # nerfstudio sets it on every parser; the capture has its own scale

    def _generate_dataparser_outputs(self, split: str = "train", **kwargs: Any) -> DataparserOutputs:
        scene = self._scene()
        frames = split_frames(scene, split, self.config.holdout_every)
        cameras = cameras_of(scene, frames)
        if self.config.downscale_factor is not None:
            cameras.rescale_output_resolution(1 / self.config.downscale_factor)
        return DataparserOutputs(
            image_filenames=[scene.root / (frame.image or f"frames/{frame.index:06d}.png") for frame in frames],
            cameras=cameras,
            alpha_color=None,
            scene_box=SceneBox(aabb=torch.tensor([[-0.5] * 3, [0.5] * 3]) * world_scale(scene)),
            metadata={"scene": scene},
            dataparser_transform=torch.cat([torch.eye(3), torch.full((3, 1), -0.5)], 1),
            dataparser_scale=world_scale(scene),
        )

    def _scene(self) -> Scene:
        data = self.config.data
        if data == Path():
            raise CaptureError("no video given; add --data relic.mp4")
        if any((data / name).exists() for name in ("scene.json", RECORD)):
            return Scene.load(data)
        if data.is_file() and data.suffix == ".nsem":
            return bundle_scene(data)
        from nerfsem_method.capture.entry import capture

        told = f"Capturing {printable(str(data))} (frames, mattes, cameras); an earlier capture is used again where it fits"
        CONSOLE.print(told, markup=False)
        return capture(data, self.config.capture, self.config.scene_dir)


def bundle_scene(path: Path) -> Scene:
    """Return the scene that a bundle knows: its video and its cameras, as decoded. Raises BundleError when it is none."""
    decoded = nsem.read(path)
    zooms = np.ones(len(decoded.poses)) if decoded.zooms is None else decoded.zooms
    placed = zip(decoded.poses, zooms.tolist(), strict=True)
    frames = tuple(Frame(index, pose, "registered", zoom=zoom) for index, (pose, zoom) in enumerate(placed))
    return Scene(path.resolve().parent, decoded.video, decoded.camera, frames, bundle=path.resolve())


def split_frames(scene: Scene, split: str, holdout_every: int) -> tuple[Frame, ...]:
    """Return the frames of "train" or of an evaluation split ("val", "test"), in video order."""
    frames = scene.frames
    if holdout_every < 0 or 0 < holdout_every < 2:
        raise CaptureError(f"--holdout-every {holdout_every} leaves nothing to train on; use 2 or more, or 0")
    if holdout_every:
        held = {frame.index for frame in frames[holdout_every // 2 :: holdout_every]}
        return tuple(frame for frame in frames if (frame.index in held) == (split != "train"))
    if split == "train":
        return frames
    chosen = np.linspace(0, len(frames) - 1, min(EVALUATION_FRAMES, len(frames))).round().astype(int)
    return tuple(frames[index] for index in chosen)


def world_scale(scene: Scene) -> float:
    """Return lengths in nerfstudio's world over those of the capture: its viewer expects cameras within the unit sphere."""
    return 1 / ring_radius(scene.poses)


def cameras_of(scene: Scene, frames: tuple[Frame, ...]) -> Cameras:
    """Return nerfstudio's cameras of some frames: OpenGL axes, camera to world, its own order of distortion parameters."""
    camera, zooms = scene.camera, torch.tensor([[frame.zoom] for frame in frames])
    return Cameras(
        camera_to_worlds=camera_to_worlds(scene, np.stack([frame.cam_from_world for frame in frames])),
        fx=camera.fx * zooms,
        fy=camera.fy * zooms,
        cx=float(camera.cx),
        cy=float(camera.cy),
        width=camera.width,
        height=camera.height,
        distortion_params=torch.tensor([camera.k1, camera.k2, 0.0, 0.0, camera.p1, camera.p2]),
        camera_type=CameraType.PERSPECTIVE,
        metadata={"frame": torch.tensor([[frame.index] for frame in frames])},
    )


def camera_to_worlds(scene: Scene, poses: np.ndarray) -> torch.Tensor:
    """Return what nerfstudio knows of poses [n, 3, 4] in the capture's unit cube: float32 [n, 3, 4], OpenGL axes."""
    rotation = poses[:, :, :3].transpose(0, 2, 1)
    centre = (camera_centres(poses) - 0.5) * world_scale(scene)
    return torch.from_numpy(np.concatenate([rotation * (1.0, -1.0, -1.0), centre[..., None]], -1)).float()
