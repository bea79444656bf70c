"""Cameras are refined against the field (method, section 9) by direct image alignment, one Gauss-Newton step a frame and call.

A small motion xi = (omega, v) of camera n moves the image of the point P seen at pixel u by
delta_u = J(P) (omega x P + v), J the derivative of the projection; so that rendering C(u) and frame I agree, solve
min_xi sum_u |C(u) - I(u) - grad I(u) . delta_u|^2 (Lucas and Kanade 1981; dense: Kerl et al. 2013). No gradient of the field
is needed: rendering and its depth suffice. Exposure gains are the least-squares factors between rendering and frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.radiance import RadianceField

PIXELS = 2048
"""So many pixels of a frame are looked at."""
SOLID = 0.95
"""A pixel's depth is trusted above this accumulation."""
ROBUST = 0.1
"""A pixel's weight falls beyond this colour error (Huber)."""
DAMPING = 1e-3
"""Levenberg's damping is relative to the diagonal."""
GAIN_DEADBAND = 0.08
"""Exposure that varies less than this over the clip is taken as constant."""
GAIN_PRIOR = 0.02
"""The gains are pulled towards 1 by so much mean squared colour: dark channels tell little about exposure."""
FEWEST = 64
"""Fewer solid pixels than this tell nothing about a frame's pose or exposure."""


@dataclass(frozen=True)
class Alignment:
    """The outcome of a call is the root mean square colour error before and after, and the mean motion of the image in pixels."""

    before: float
    after: float
    motion: float


@torch.no_grad()
def align(field: RadianceField, cameras: CameraPath, frames: Tensor, indices: Tensor) -> Alignment:
    """Improve poses and gains of `cameras` in place; a pose changes only where its frame's error falls.

    Args:
        frames: [n, H, W, 4] uint8, straight alpha.
        indices: [n] the camera of each frame.
    """
    before, after, motions, gains = [], [], [], []
    for frame, index in zip(frames, indices.tolist(), strict=True):
        view = _View.of(frame.to(cameras.poses.device), index, cameras)
        color, depth, solid = view.rendered(field, cameras)
        error = view.error(color, solid)
        step, moved = view.solve(color, depth, solid, cameras)
        old = cameras.poses[index].clone()
        cameras.poses[index] = step @ torch.cat([old, old.new_tensor([[0, 0, 0, 1]])])
        again, _, solid_again = view.rendered(field, cameras)
        error_again = view.error(again, solid_again)
        if not error_again < error:
            cameras.poses[index], error_again, moved, again, solid_again = old, error, 0.0, color, solid
        gains.append(view.gain(again, solid_again, cameras.gains[index]))
        before.append(error)
        after.append(error_again)
        motions.append(moved)
    _set_gains(cameras, torch.stack(gains), indices)
    return Alignment(*(sum(values) / len(values) for values in (before, after, motions)))


def _set_gains(cameras: CameraPath, gains: Tensor, indices: Tensor) -> None:
    """Set gains relative to the clip's mean exposure, unless the exposure is constant."""
    gains = gains / gains.log().mean(0).exp()
    if (gains - 1).abs().max() > GAIN_DEADBAND:
        cameras.gains[indices.to(gains.device)] = gains


@dataclass(frozen=True)
class _View:
    """A view is some pixels of one frame: positions [P, 2], colours [P, 3] and colour gradients [P, 3, 2] per pixel."""

    index: int
    pixels: Tensor
    colors: Tensor
    gradients: Tensor

    @classmethod
    def of(cls, frame: Tensor, index: int, cameras: CameraPath) -> _View:
        """Take pixels well inside the matte, spread evenly."""
        picture = frame[..., :3].permute(2, 0, 1).float() / 255  # [3, H, W]
        alpha = frame[None, ..., 3].float()
        inside = -functional.max_pool2d(-alpha, 5, 1, 2)[0] > 250
        rows, columns = inside.nonzero(as_tuple=True)
        stride = max(1, len(rows) // PIXELS)
        rows, columns = rows[stride // 2 :: stride], columns[stride // 2 :: stride]
        smooth = functional.avg_pool2d(picture, 3, 1, 1, count_include_pad=False)
        left, right = smooth[:, rows, (columns - 1).clamp(min=0)], smooth[:, rows, (columns + 1) % smooth.shape[2]]
        up, down = smooth[:, (rows - 1).clamp(min=0), columns], smooth[:, (rows + 1) % smooth.shape[1], columns]
        gradients = torch.stack([right - left, down - up], -1).permute(1, 0, 2) / 2
        pixels = torch.stack([columns, rows], -1) + 0.5
        return cls(index, pixels, picture[:, rows, columns].T, gradients)

    def rendered(self, field: RadianceField, cameras: CameraPath) -> tuple[Tensor, Tensor, Tensor]:
        """Return colour [P, 3] with gain, depth along the ray [P] and whether the pixel is solid [P]."""
        frames = torch.full((len(self.pixels),), self.index, device=self.pixels.device)
        rendering = field.render(*cameras.rays(frames, self.pixels))
        solid = rendering.accumulation > SOLID
        depth = rendering.depth / rendering.accumulation.clamp(min=1e-6)
        return rendering.color * cameras.gains[self.index], depth, solid

    def error(self, color: Tensor, solid: Tensor) -> float:
        """Return the root mean square colour error over solid pixels; it is infinite when there is hardly any."""
        if int(solid.sum()) < FEWEST:
            return float("inf")
        return float((color - self.colors)[solid].square().mean().sqrt())

    def solve(self, color: Tensor, depth: Tensor, solid: Tensor, cameras: CameraPath) -> tuple[Tensor, float]:
        """Return the rigid motion [3, 4] to apply after cam_from_world, and the image's mean motion in pixels."""
        identity = torch.eye(4, dtype=torch.float64, device=color.device)[:3]
        if int(solid.sum()) < FEWEST:
            return identity, 0.0
        motion = self._image_motion(depth[solid], solid, cameras)  # [P, 2, 6]
        jacobian = self.gradients[solid].double() @ motion  # [P, 3, 6]
        residual = (color - self.colors)[solid].double()
        weight = (ROBUST / residual.abs().clamp(min=ROBUST)).unsqueeze(-1)
        normal = ((jacobian * weight).transpose(1, 2) @ jacobian).sum(0)
        right = ((jacobian * weight).transpose(1, 2) @ residual[..., None]).sum(0)
        normal += DAMPING * normal.diagonal().diag() + 1e-12 * torch.eye(6, device=color.device)
        xi = torch.linalg.solve(normal, right)[:, 0]
        moved = (motion @ xi).norm(dim=-1).mean()
        xi = xi / (moved / 2).clamp(min=1)  # the linear model holds for a pixel or two
        return rigid_motion(xi), float(moved)

    def _image_motion(self, depth: Tensor, solid: Tensor, cameras: CameraPath) -> Tensor:
        """Return d(pixel) / d(omega, v) [P, 2, 6] of the points seen."""
        frames = torch.full((len(depth),), self.index, device=depth.device)
        origins, directions = cameras.rays(frames, self.pixels[solid])
        pose = cameras.poses[self.index]
        world = (origins + directions * depth[:, None]).double()
        x, y, z = (world @ pose[:, :3].T + pose[:, 3]).unbind(-1)
        zero = torch.zeros_like(x)
        fx, fy = cameras.intrinsics[:2]
        projection = torch.stack([fx / z, zero, -fx * x / z**2, zero, fy / z, -fy * y / z**2], -1).view(-1, 2, 3)
        turn = torch.stack([zero, z, -y, -z, zero, x, y, -x, zero], -1).view(-1, 3, 3)  # The columns are omega x P.
        return projection @ torch.cat([turn, torch.eye(3, device=x.device).expand_as(turn)], -1)

    def gain(self, color: Tensor, solid: Tensor, present: Tensor) -> Tensor:
        """Return the least-squares exposure gain [3] between the ungained rendering and the frame."""
        plain, target = color[solid] / present, self.colors[solid]
        if len(plain) < FEWEST:
            return present
        return ((plain * target).mean(0) + GAIN_PRIOR) / (plain.square().mean(0) + GAIN_PRIOR)


def rigid_motion(xi: Tensor) -> Tensor:
    """Return exp of a small twist (omega, v): [3, 4]; the rotation is exact, the translation of first order."""
    omega, v = xi[:3], xi[3:]
    x, y, z = omega
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).view(3, 3)
    return torch.cat([torch.linalg.matrix_exp(cross), v[:, None]], 1)
