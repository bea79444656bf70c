"""The cameras of a clip on the training device: pixels to rays, and the per-frame exposure."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from nerfsem_method.scene.camera import STEEPEST, UNDISTORTION_STEPS, Intrinsics


class CameraPath(nn.Module):
    """One camera, N poses, N exposure gains.

    Buffers:
        intrinsics: [8] float64, (fx, fy, cx, cy, k1, k2, p1, p2) in pixels.
        poses: [N, 3, 4] float64 cam_from_world in unit-cube coordinates.
        gains: [N, 3] float32, rendered colour * gain = frame colour.
    """

    intrinsics: Tensor
    poses: Tensor
    gains: Tensor

    def __init__(self, camera: Intrinsics, poses: np.ndarray, gains: np.ndarray | None = None) -> None:
        super().__init__()
        self.size = (camera.width, camera.height)
        self.register_buffer("intrinsics", torch.tensor(camera.params, dtype=torch.float64))
        self.register_buffer("poses", torch.from_numpy(np.asarray(poses, np.float64).copy()))
        ones = np.ones((len(poses), 3), np.float32)
        self.register_buffer("gains", torch.from_numpy(ones if gains is None else np.asarray(gains, np.float32).copy()))

    @property
    def camera(self) -> Intrinsics:
        """The intrinsics as a dataclass."""
        return Intrinsics(*self.size, *self.intrinsics.tolist())

    def rays(self, frames: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Origins and unit directions [R, 3] float32 through image positions [R, 2] (centres at +0.5) of frames [R]."""
        return self.rays_along(frames, self.viewing(pixels))

    def viewing(self, pixels: Tensor) -> Tensor:
        """Unit directions [R, 3] float64 in the camera's own axes, through image positions [R, 2]."""
        fx, fy, cx, cy, k1, k2, p1, p2 = self.intrinsics.unbind()
        distorted = (pixels.double() - torch.stack([cx, cy])) / torch.stack([fx, fy])
        ideal = distorted
        if bool((self.intrinsics[4:] != 0).any()):
            for _ in range(UNDISTORTION_STEPS):
                x, y = ideal.unbind(-1)
                r2 = x * x + y * y
                radial = 1 + r2 * (k1 + r2 * k2)
                dx = 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
                dy = p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
                ideal = ideal + distorted - torch.stack([x * radial + dx, y * radial + dy], -1)
                ideal = ideal.clamp(-STEEPEST, STEEPEST)
        local = torch.cat([ideal, torch.ones_like(ideal[:, :1])], 1)
        return local / local.norm(dim=1, keepdim=True)

    def rays_along(self, frames: Tensor, viewing: Tensor) -> tuple[Tensor, Tensor]:
        """Origins and unit directions [R, 3] float32 of rays along `viewing` [R, 3], in the camera's own axes, of frames [R]."""
        rotations, translations = self.poses[:, :, :3], self.poses[:, :, 3]
        origins = -torch.einsum("nji,nj->ni", rotations, translations).float()
        directions = torch.einsum("rji,rj->ri", rotations.float()[frames], viewing.float())
        return origins[frames], directions

    def frame_pixels(self) -> Tensor:
        """Centres of all pixels of a frame, row by row: [H * W, 2] float32."""
        width, height = self.size
        device = self.poses.device
        v, u = torch.meshgrid(
            torch.arange(height, device=device) + 0.5, torch.arange(width, device=device) + 0.5, indexing="ij"
        )
        return torch.stack([u, v], -1).view(-1, 2)
