"""The background of an imported PC bundle is seen along rays as if it were far away: each frame's picture from its own camera."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nerfsem_method.background.pictures import pictures_of
from nerfsem_method.codec import nsem
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.scene.camera import distorted
from nerfsem_method.training.cameras import CameraPath

MOST_ROWS = 720
"""Pictures of more rows are kept smaller: all of a clip's are in memory."""


class Backdrop:
    """A backdrop knows the background pictures of a bundle, which are decoded when they are first looked at."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        rows = min(bundle.camera.height, MOST_ROWS)
        self._camera = bundle.camera.scaled(round(bundle.camera.width * rows / bundle.camera.height), rows)
        self._zooms = torch.from_numpy(np.ones(len(bundle.poses)) if bundle.zooms is None else bundle.zooms)

    @classmethod
    def of(cls, path: Path | None) -> Backdrop | None:
        """Return the backdrop of a bundle file, None without a bundle or a background."""
        bundle = None if path is None else nsem.read(path)
        return None if bundle is None or bundle.background is None else cls(bundle)

    @cached_property
    def _pictures(self) -> Tensor:
        size = self._camera.width, self._camera.height
        made = torch.empty((self._bundle.video.frames, size[1], size[0], 3), dtype=torch.uint8)
        for index, plate in enumerate(pictures_of(self._bundle)):
            fitted = Image.fromarray(plate) if plate.shape[1::-1] == size else Image.fromarray(plate).resize(size)
            made[index] = torch.from_numpy(np.array(fitted))
        return made

    def along(self, cameras: CameraPath, frames: Tensor | None, origins: Tensor, directions: Tensor) -> Tensor:
        """Return the colours [R, 3] in [0, 1] of rays of frames [R], or of the frames that were taken nearest to their origins;
        white where the frame's picture ends."""
        rotations, translations = cameras.poses[:, :, :3].to(origins), cameras.poses[:, :, 3].to(origins)
        if frames is None:
            centres = -torch.einsum("nji,nj->ni", rotations, translations)
            frames = torch.cdist(origins, centres).argmin(1)
        local = torch.einsum("rij,rj->ri", rotations[frames], directions)
        ahead = local[:, 2] > 1e-6
        x, y = (local[:, :2] / local[:, 2:].clamp(min=1e-6)).unbind(1)
        c = self._camera
        x, y = distorted(x, y, *c.distortion)
        zooms = self._zooms.to(x)[frames]
        u, v = zooms * c.fx * x + c.cx, zooms * c.fy * y + c.cy
        inside = ahead & (u > 0) & (u < c.width) & (v > 0) & (v < c.height)
        return torch.where(inside[:, None], self._between(frames, u - 0.5, v - 0.5), 1.0)

    def _between(self, frames: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Return colours [R, 3] between the four pixels around positions (u, v) [R] of frames [R], pixel centres at whole
        numbers."""
        kept, limits = frames.cpu(), (self._camera.width - 1, self._camera.height - 1)
        u, v = u.nan_to_num().clamp(0, limits[0]), v.nan_to_num().clamp(0, limits[1])
        left, top = u.floor(), v.floor()
        color = torch.zeros(len(u), 3, device=u.device)
        for du in (0, 1):
            for dv in (0, 1):
                column, row = (left + du).clamp(max=limits[0]).long().cpu(), (top + dv).clamp(max=limits[1]).long().cpu()
                weight = (1 - (u - left - du).abs()) * (1 - (v - top - dv).abs())
                color += weight[:, None] * self._pictures[kept, row, column].to(u.device) / 255
        return color
