"""Torch makes the pictures of a decoded field on any device; on a CPU `raycast` makes the same ones without it."""

from __future__ import annotations

import copy

import numpy as np
import torch

from nerfsem_method.field.state import FieldState
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.radiance import RadianceField

RAYS, RAYS_CUDA = 1 << 14, 1 << 18
"""So many rays are rendered at a time: as many as the caches, or a small GPU's memory, can hold."""


class TorchRenderer:
    """This class renders a decoded field with torch, on any device."""

    def __init__(self, state: FieldState, camera: Intrinsics, device: str) -> None:
        self._field = RadianceField.from_state(state).to(device).eval()
        self._camera, self._device = camera, device

    def through(self, camera: Intrinsics) -> TorchRenderer:
        """Return a renderer of the same field that sees it through another camera."""
        other = copy.copy(self)
        other._camera = camera
        return other

    @torch.no_grad()
    def picture(self, pose: np.ndarray) -> np.ndarray:
        """Return the field seen from cam_from_world [3, 4]: float32 [H, W, 4], premultiplied RGBA without gain."""
        cameras = CameraPath(self._camera, pose[None]).to(self._device)
        parts = []
        for pixels in cameras.frame_pixels().split(RAYS_CUDA if torch.device(self._device).type == "cuda" else RAYS):
            frames = torch.zeros(len(pixels), dtype=torch.int64, device=pixels.device)
            rendering = self._field.render(*cameras.rays(frames, pixels))
            parts.append(torch.cat([rendering.color, rendering.accumulation[:, None]], 1))
        return torch.cat(parts).view(self._camera.height, self._camera.width, 4).cpu().numpy()
