"""The cameras of a clip lie on the training device: they turn pixels into rays, and know each frame's exposure."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from nerfsem_method.codec.tints import NUMBERS, TINT_BITS, Tints
from nerfsem_method.scene.camera import Intrinsics, undistorted
from nerfsem_method.training.derived import Derived


class CameraPath(nn.Module):
    """A camera path is one camera, N poses, N frames' exposure gains and tints, and their zooms where several lenses took them.

    Buffers:
        intrinsics: [8] float64, (fx, fy, cx, cy, k1, k2, p1, p2) in pixels.
        poses: [N, 3, 4] float64 cam_from_world in unit-cube coordinates.
        zooms: [N] float64, how many times the focal length each frame's is, or None: the scene knows them, no checkpoint does.
        gains: [N, 3] float32, rendered colour * gain; then
        tint_directions: [12, 12] and tint_weights: [N, 12] float64, integers: see `codec.tints`; unused ones are 0.
    """

    intrinsics: Tensor
    poses: Tensor
    zooms: Tensor | None
    gains: Tensor
    tint_directions: Tensor
    tint_weights: Tensor

    def __init__(
        self,
        camera: Intrinsics,
        poses: np.ndarray,
        gains: np.ndarray | None = None,
        tints: Tints | None = None,
        zooms: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.size = (camera.width, camera.height)
        self.register_buffer("intrinsics", torch.tensor(camera.params, dtype=torch.float64))
        self.register_buffer("poses", torch.from_numpy(np.asarray(poses, np.float64).copy()))
        self.register_buffer("zooms", None if zooms is None else torch.tensor(zooms, dtype=torch.float64), persistent=False)
        ones = np.ones((len(poses), 3), np.float32)
        self.register_buffer("gains", torch.from_numpy(ones if gains is None else np.asarray(gains, np.float32).copy()))
        self.register_buffer("tint_directions", torch.zeros(NUMBERS, NUMBERS, dtype=torch.float64))
        self.register_buffer("tint_weights", torch.zeros(len(poses), NUMBERS, dtype=torch.float64))
        self._maps: Derived[Tensor] = Derived()
        self._stands: Derived[tuple[Tensor, Tensor]] = Derived()
        if tints is not None:
            self.tint(tints)

    def tint(self, tints: Tints) -> None:
        """Let the frames have these tints."""
        self.tint_directions.zero_()[: tints.rank] = torch.from_numpy(tints.directions).to(self.tint_directions)
        self.tint_weights.zero_()[:, : tints.rank] = torch.from_numpy(tints.weights).to(self.tint_weights)

    @property
    def tints(self) -> Tints | None:
        """Return the frames' tints, None without any."""
        rank = int(self.tint_directions.any(1).sum())
        if not rank:
            return None
        parts = self.tint_directions[:rank], self.tint_weights[:, :rank]
        return Tints(*(part.cpu().numpy().astype(np.int64) for part in parts))

    @property
    def colors(self) -> Tensor:
        """Return the maps [N, 3, 4] float32 from rendered colours to those of each frame."""
        return self._maps.of(self._make_maps, self.gains, self.tint_directions, self.tint_weights)

    def _make_maps(self) -> Tensor:
        moved = (self.tint_weights @ self.tint_directions).view(-1, 3, 4) / 2**TINT_BITS
        maps = torch.eye(4, dtype=torch.float64, device=moved.device)[:3] + moved
        return torch.cat([maps[:, :, :3] * self.gains[:, None, :], maps[:, :, 3:]], 2).float()

    @property
    def camera(self) -> Intrinsics:
        """Return the intrinsics as a dataclass."""
        return Intrinsics(*self.size, *self.intrinsics.tolist())

    def rays(self, frames: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return origins and unit directions [R, 3] float32 through image positions [R, 2] (centres at +0.5) of frames [R]."""
        return self.rays_along(frames, self.viewing(frames, pixels))

    def focal_lengths(self, frames: Tensor) -> Tensor:
        """Return the focal lengths (fx, fy) of frames [R], in pixels: float64 [R, 2], or [2] where all have the same."""
        return self.intrinsics[:2] if self.zooms is None else self.intrinsics[:2] * self.zooms[frames, None]

    def viewing(self, frames: Tensor, pixels: Tensor) -> Tensor:
        """Return unit directions [R, 3] float64 in the camera's own axes, through image positions [R, 2] of frames [R]."""
        x, y = ((pixels.double() - self.intrinsics[2:4]) / self.focal_lengths(frames)).unbind(-1)
        if bool((self.intrinsics[4:] != 0).any()):
            x, y = undistorted(x, y, *self.intrinsics[4:].unbind())
        local = torch.stack([x, y, torch.ones_like(x)], -1)
        return local / local.norm(dim=1, keepdim=True)

    def rays_along(self, frames: Tensor, viewing: Tensor) -> tuple[Tensor, Tensor]:
        """Return origins and unit directions [R, 3] float32 of rays along `viewing` [R, 3] (camera's axes) of frames [R]."""
        origins, rotations = self._stands.of(self._make_stands, self.poses)
        return origins[frames], torch.einsum("rji,rj->ri", rotations[frames], viewing.float())

    def _make_stands(self) -> tuple[Tensor, Tensor]:
        """Return the cameras' centres [N, 3] and rotations [N, 3, 3], float32."""
        rotations, translations = self.poses[:, :, :3], self.poses[:, :, 3]
        return -torch.einsum("nji,nj->ni", rotations, translations).float(), rotations.float()

    def frame_pixels(self) -> Tensor:
        """Return the centres of all pixels of a frame, row by row: [H * W, 2] float32."""
        width, height = self.size
        device = self.poses.device
        v, u = torch.meshgrid(
            torch.arange(height, device=device) + 0.5, torch.arange(width, device=device) + 0.5, indexing="ij"
        )
        return torch.stack([u, v], -1).view(-1, 2)


def tinted(color: Tensor, alpha: Tensor, maps: Tensor) -> Tensor:
    """Return premultiplied colours [R, 3] of alpha [R], each mapped by its frame's [R, 3, 4]."""
    return (maps[..., :3] * color[:, None, :]).sum(2) + maps[..., 3] * alpha[:, None]
