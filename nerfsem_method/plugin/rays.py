"""Rays of a clip go through pixels of its frames; who draws the pixels need not know what is seen there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from nerfstudio.cameras.rays import RayBundle

from nerfsem_method.plugin.dataparser import world_scale
from nerfsem_method.scene.camera import camera_centres
from nerfsem_method.scene.scene import Scene
from nerfsem_method.training.cameras import CameraPath

CORNERS = np.stack(np.meshgrid([0.0, 1.0], [0.0, 1.0], [0.0, 1.0]), -1).reshape(8, 3)
"""The object is inside the unit cube, which has these corners."""


class ClipRays:
    """Clip rays are drawn through the pixels in which a camera may see the object's box; the frames themselves are not needed.

    They are drawn and made on `device`.
    """

    def __init__(self, scene: Scene, frame_indices: torch.Tensor, device: torch.device | str = "cpu") -> None:
        self._scene, self.device = scene, torch.device(device)
        self._frame_indices = frame_indices.to(self.device)
        self._viewing = torch.from_numpy(scene.camera.unit_directions()).float().to(self.device)
        self._path = CameraPath(scene.camera, scene.poses, zooms=scene.zooms).to(self.device)
        self.stand_at(scene.poses)

    def stand_at(self, poses: np.ndarray) -> None:
        """Let the rays be those of cameras at other poses [N, 3, 4]."""
        self._cameras = replace(self._scene.cameras, poses=poses)
        self._rotations = torch.from_numpy(poses[:, :, :3]).float().to(self.device)
        self._origins = torch.from_numpy((camera_centres(poses) - 0.5) * world_scale(self._scene)).float().to(self.device)

    def draw(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return `count` pixels, (frame of the dataset, row, column) int64 [R, 3], and no colours: float32 [R, 4] of zeros."""
        boxes = np.stack([self._box(index) for index in self._frame_indices.tolist()])
        frames = torch.randint(len(boxes), (count,), generator=generator)
        first, last = torch.from_numpy(boxes)[frames].unbind(1)
        pixels = first + (torch.rand(count, 2, generator=generator) * (last - first)).long()
        return torch.cat([frames[:, None], pixels], 1), torch.zeros(count, 4)

    def _box(self, index: int) -> np.ndarray:
        """Return the first (row, column) and the one behind the last of the unit cube in a frame, int64 [2, 2]."""
        size = np.array([self._cameras.camera.height, self._cameras.camera.width])
        seen, depth = self._cameras.project(CORNERS, index)
        if (depth <= 0).any():
            return np.stack([0 * size, size])
        first = np.floor(seen.min(0)[::-1]).clip(0, size - 1)
        return np.stack([first, np.ceil(seen.max(0)[::-1]).clip(first + 1, size)]).astype(np.int64)

    def bundle(self, indices: torch.Tensor) -> RayBundle:
        """Return rays through the given pixels [R, 3].

        camera_indices are frames of the scene; metadata "viewing" [R, 3] are the directions in the camera's own axes, from which
        the model makes the rays of its refined cameras.
        """
        frame = self._frame_indices[indices[:, 0]]
        area = (1 / self._path.focal_lengths(frame).prod(-1, keepdim=True)).float().expand(len(indices), 1)
        if self._path.zooms is None:
            viewing = self._viewing[indices[:, 1], indices[:, 2]]
        else:
            viewing = self._path.viewing(frame, indices[:, [2, 1]] + 0.5).float()
        return RayBundle(
            origins=self._origins[frame],
            directions=torch.einsum("rji,rj->ri", self._rotations[frame], viewing),
            pixel_area=area,
            camera_indices=frame[:, None],
            metadata={"viewing": viewing},
        )
