"""Cameras and colours are refined against the field (method, section 9), by one Gauss-Newton step a frame and call.

A small motion xi = (omega, v) of camera n moves the image of the point P seen at pixel u by delta_u = J(P) (omega x P + v), J the
derivative of the projection. Inside the object rendering C(u) and frame I are to agree, C(u) - I(u) = grad I(u) . delta_u (Lucas
and Kanade 1981; dense: Kerl et al. 2013); at its outline the rendered edge and the matte's, which are e pixels apart along the
normal n: n . delta_u = -e. No gradient of the field is needed: rendering and its depth suffice. The camera that all frames share
stays: with it as an unknown, field and cameras drift together (docs/decisions/020).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nerfsem_method.codec.tints import Tints
from nerfsem_method.training.cameras import CameraPath, tinted
from nerfsem_method.training.outline import Outline, slopes
from nerfsem_method.training.radiance import RadianceField
from nerfsem_method.training.tint import ColorEvidence, estimate
from nerfsem_method.training.windows import framed, smallest

PIXELS = 1536
"""So many pixels of a frame are looked at."""
SOLID = 0.95
"""A pixel's depth is trusted above this accumulation."""
ROBUST = 0.1
"""A pixel's weight falls beyond this colour error (Huber)."""
ROBUST_EDGE = 1.5
"""A line's weight falls beyond this distance of edges in pixels (Huber)."""
STEADIEST = 0.3
"""Outlines are not trusted to agree better than this, in pixels."""
DAMPING = 1e-3
"""Levenberg's damping is relative to the diagonal."""
FEWEST = 64
"""Fewer solid pixels than this tell nothing about a frame's pose or colour."""


@dataclass(frozen=True)
class Alignment:
    """The outcome of a call is the root mean square colour error before and after, the mean motion of the image in pixels, and
    the root mean square distance of the outlines in pixels."""

    before: float
    after: float
    motion: float
    outlines: float


@torch.no_grad()
def align(field: RadianceField, cameras: CameraPath, frames: Tensor, indices: Tensor, byte_weight: float) -> Alignment:
    """Improve poses and tints of `cameras` in place; a pose changes only where its frame's error falls.

    Args:
        frames: [n, H, W, 4] uint8, straight alpha.
        indices: [n] the camera of each frame.
        byte_weight: the mean squared error of the object's pixels that a byte may save.
    """
    device = cameras.poses.device
    evidence: list[ColorEvidence | None] = [None] * len(cameras.poses)
    rows = []
    for frame, index in zip(frames, indices.tolist(), strict=True):
        view = _View.of(frame.to(device), index, cameras)
        seen = view.look(field, cameras)
        scales = seen.scales()
        xi, moved = _step(view.equations(seen, cameras, scales))
        old = cameras.poses[index].clone()
        cameras.poses[index] = rigid_motion(xi) @ torch.cat([old, old.new_tensor([[0, 0, 0, 1]])])
        again = view.look(field, cameras)
        if not again.cost(scales) < seen.cost(scales):
            cameras.poses[index], again, moved = old, seen, 0.0
        evidence[index] = again.colors()
        if int(again.solid.sum()) >= FEWEST:
            rows.append((seen.error, again.error, moved, again.distance))
    cameras.tint(estimate(evidence, byte_weight) or Tints.none(len(evidence)))
    return Alignment(*(sum(values) / len(values) for values in zip(*rows, strict=True))) if rows else Alignment(0, 0, 0, 0)


@dataclass(frozen=True)
class _Seen:
    """What the field shows of a view: straight colours [P, 3] without and with the frame's map, depths [P] along the rays and
    whether each tells [P], the frame's colours [P, 3]; distances [K] of outlines, whether each tells [K], depths [K] there and
    pixels [K, 2] there."""

    plain: Tensor
    color: Tensor
    depth: Tensor
    solid: Tensor
    target: Tensor
    excess: Tensor
    told: Tensor
    edge_depth: Tensor
    edge_pixels: Tensor

    @property
    def error(self) -> float:
        """Return the root mean square colour error over solid pixels."""
        if int(self.solid.sum()) < FEWEST:
            return float("inf")
        return float((self.color - self.target)[self.solid].square().mean().sqrt())

    @property
    def distance(self) -> float:
        """Return the root mean square distance of the outlines in pixels."""
        return float(self.excess[self.told].square().mean().sqrt()) if bool(self.told.any()) else 0.0

    def scales(self) -> tuple[float, float]:
        """Return what deviations of colours, and of outlines in pixels, are usual here."""
        color = self.error if self.error < 1 else 1.0
        edge = 1.4826 * float(self.excess[self.told].abs().median()) if bool(self.told.any()) else 1.0
        return max(color, 1e-3), max(edge, STEADIEST)

    def cost(self, scales: tuple[float, float]) -> float:
        """Return the mean robust squared deviation of colours and outlines in units of `scales`."""
        if int(self.solid.sum()) < FEWEST:
            return float("inf")
        color = functional.huber_loss(self.color[self.solid], self.target[self.solid], delta=ROBUST) / scales[0] ** 2
        if not bool(self.told.any()):
            return float(color)
        found = self.excess[self.told]
        edge = functional.huber_loss(found, torch.zeros_like(found), delta=ROBUST_EDGE) / scales[1] ** 2
        return float(color * self.solid.sum() * 3 + edge * self.told.sum()) / float(self.solid.sum() * 3 + self.told.sum())

    def colors(self) -> ColorEvidence | None:
        """Return what the solid pixels say of the frame's colours."""
        if int(self.solid.sum()) < FEWEST:
            return None
        return ColorEvidence.of(self.plain[self.solid], self.target[self.solid])


@dataclass(frozen=True)
class _Equations:
    """Weighted least squares for xi [6]: normal matrix, right side, image motions [Q, 2, 6] of the points."""

    normal: Tensor
    right: Tensor
    motions: Tensor


@dataclass(frozen=True)
class _View:
    """A view is some pixels of one frame: positions [P, 2], colours [P, 3] and colour gradients [P, 3, 2] per pixel; and lines
    across the matte's edge."""

    index: int
    pixels: Tensor
    colors: Tensor
    gradients: Tensor
    outline: Outline

    @classmethod
    def of(cls, frame: Tensor, index: int, cameras: CameraPath) -> _View:
        """Take pixels well inside the matte, spread evenly."""
        alpha = frame[..., 3].float()
        inside = smallest(framed(alpha, 2, 255), 5) > 250
        rows, columns = inside.nonzero(as_tuple=True)
        stride = max(1, len(rows) // PIXELS)
        rows, columns = rows[stride // 2 :: stride], columns[stride // 2 :: stride]
        gradients = slopes(frame[..., :3], rows, columns, 3) / 255
        pixels = torch.stack([columns, rows], -1) + 0.5
        colors = frame[rows, columns, :3].float() / 255
        return cls(index, pixels, colors, gradients, Outline.of(alpha / 255))

    def look(self, field: RadianceField, cameras: CameraPath) -> _Seen:
        """Render the view's pixels and lines."""
        lines = self.outline.positions
        pixels = torch.cat([self.pixels, lines.reshape(-1, 2)])
        frames = torch.full((len(pixels),), self.index, device=pixels.device)
        rendering = field.glance(*cameras.rays(frames, pixels))
        alpha = rendering.accumulation
        depth = rendering.depth / alpha.clamp(min=1e-6)
        inner = len(self.pixels)
        plain = rendering.color[:inner] / alpha[:inner, None].clamp(min=1e-6)
        maps = cameras.colors[self.index].expand(inner, 3, 4)
        color = tinted(plain, torch.ones_like(alpha[:inner]), maps)
        excess, told, last = self.outline.excess(alpha[inner:].view(lines.shape[:2]))
        every = torch.arange(len(lines), device=last.device)
        edge_depth = depth[inner:].view(lines.shape[:2])[every, last]
        solid = alpha[:inner] > SOLID
        return _Seen(plain, color, depth[:inner], solid, self.colors, excess, told, edge_depth, lines[every, last])

    def equations(self, seen: _Seen, cameras: CameraPath, scales: tuple[float, float]) -> _Equations:
        """Return the equations that colours and outlines give."""
        normal = torch.zeros(6, 6, dtype=torch.float64, device=self.pixels.device)
        right, motions = normal.new_zeros(6), normal.new_zeros(0, 2, 6)
        if int(seen.solid.sum()) < FEWEST:
            return _Equations(normal, right, motions)
        parts = []
        motion = self._image_motion(self.pixels[seen.solid], seen.depth[seen.solid], cameras)
        residual = (seen.color - seen.target)[seen.solid].double()
        weight = (ROBUST / residual.abs().clamp(min=ROBUST)) / scales[0] ** 2
        parts.append(((self.gradients[seen.solid].double() @ motion).flatten(0, 1), residual.flatten(), weight.flatten()))
        motions = motion
        if bool(seen.told.any()):
            edge = self._image_motion(seen.edge_pixels[seen.told], seen.edge_depth[seen.told], cameras)
            excess = seen.excess[seen.told].double()
            weight = (ROBUST_EDGE / excess.abs().clamp(min=ROBUST_EDGE)) / scales[1] ** 2
            parts.append(((self.outline.normals[seen.told].double()[:, None] @ edge)[:, 0], -excess, weight))
            motions = torch.cat([motion, edge])
        for jacobian, residual, weight in parts:
            normal += (jacobian * weight[:, None]).T @ jacobian
            right += (jacobian * weight[:, None]).T @ residual
        return _Equations(normal, right, motions)

    def _image_motion(self, pixels: Tensor, depth: Tensor, cameras: CameraPath) -> Tensor:
        """Return d(pixel) / d(omega, v) [P, 2, 6] of the points at `depth` along rays."""
        frames = torch.full((len(depth),), self.index, device=depth.device)
        origins, directions = cameras.rays(frames, pixels)
        pose = cameras.poses[self.index]
        world = (origins + directions * depth[:, None]).double()
        x, y, z = (world @ pose[:, :3].T + pose[:, 3]).unbind(-1)
        zero = torch.zeros_like(x)
        fx, fy = cameras.focal_lengths(frames).unbind(-1)
        projection = torch.stack([fx / z, zero, -fx * x / z**2, zero, fy / z, -fy * y / z**2], -1).view(-1, 2, 3)
        turn = torch.stack([zero, z, -y, -z, zero, x, y, -x, zero], -1).view(-1, 3, 3)  # The columns are omega x P.
        return projection @ torch.cat([turn, torch.eye(3, device=x.device).expand_as(turn)], -1)


def _step(equations: _Equations) -> tuple[Tensor, float]:
    """Return a frame's own motion xi [6], and the image's mean motion in pixels."""
    if not len(equations.motions):
        return equations.right, 0.0
    damping = DAMPING * equations.normal.diagonal().diag() + 1e-12 * torch.eye(6, device=equations.normal.device)
    xi = torch.linalg.solve(equations.normal + damping, equations.right)
    moved = (equations.motions @ xi).norm(dim=-1).mean()
    return xi / (moved / 2).clamp(min=1), float(moved)  # the linear model holds for a pixel or two


def rigid_motion(xi: Tensor) -> Tensor:
    """Return exp of a small twist (omega, v): [3, 4]; the rotation is exact, the translation of first order."""
    omega, v = xi[:3], xi[3:]
    x, y, z = omega
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).view(3, 3)
    return torch.cat([torch.linalg.matrix_exp(cross), v[:, None]], 1)
