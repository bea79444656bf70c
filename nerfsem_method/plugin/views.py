"""A view is what nerfstudio's viewer, its renderings and its exports get to see of a field, ray by ray."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.model_components import renderers
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from nerfsem_method.plugin.backdrop import Backdrop
from nerfsem_method.training.cameras import CameraPath, tinted
from nerfsem_method.training.objective import Prediction
from nerfsem_method.training.radiance import RadianceField
from nerfsem_method.training.render import Rendering

SURFACE = 0.5
"""A ray that loses less of its light than this meets no surface: its depth is `FAR` away."""
FAR = 1.5
"""What is empty is so much farther from a camera than the world's origin: behind all that nerfstudio shows, whose cameras are
within the unit sphere."""
FAINT = 0.05
"""A pixel with less alpha than this has no colour of its own in a picture: that of a few samples in the air says little."""
NORMAL_STEPS = 1.5
"""The density changes over so many steps of a ray to either side of a surface: nearer points would tell of single entries."""


@torch.no_grad()
def look(
    field: RadianceField, cameras: CameraPath, world_scale: float, rays: RayBundle, backdrop: Backdrop | None = None
) -> dict[str, Any]:
    """Render rays without jitter, between their near and far distances where they have such.

    Rays of the data manager are those of the refined cameras. A frame's own rays have its exposure, others that of the frames
    around them.

    Returns:
        rgb: [R, 3] over white, or over the ground that nerfstudio asks for.
        accumulation: [R, 1] alpha.
        depth: [R, 1] distance of the surface in nerfstudio's world, see `middle_of_light`; beyond everything where there is none.
        normals: [R, 3] outward, from [-1, 1] to [0, 1]; towards the camera where there is no surface.
        prediction: the Prediction that losses and metrics need.
        pc: [R, 3] over the background, only with a backdrop.
    """
    origins, directions = whole(rays.origins / world_scale + 0.5, rays.directions)
    frames = None
    if "viewing" in rays.metadata:
        assert rays.camera_indices is not None
        frames = rays.camera_indices[:, 0]
        origins, directions = cameras.rays_along(frames, rays.metadata["viewing"])
    elif "frame" in rays.metadata:
        frames = rays.metadata["frame"][:, 0]
    maps = colors_around(cameras, origins) if frames is None else cameras.colors[frames]
    limits = None
    if rays.nears is not None and rays.fars is not None:
        limits = rays.nears[:, 0] / world_scale, rays.fars[:, 0] / world_scale
    rendering = field.render(origins, directions, limits)
    seen = prediction(rendering, maps, None)
    distance = middle_of_light(rendering)
    surface = rendering.accumulation >= SURFACE
    far = (origins - 0.5).norm(dim=1) * world_scale + FAR
    normals = -directions.clone()
    normals[surface] = outward(field, origins[surface] + directions[surface] * distance[surface, None], normals[surface])
    ground = renderers.BACKGROUND_COLOR_OVERRIDE
    behind = {} if backdrop is None else {"pc": seen.over(backdrop.along(cameras, frames, origins, directions))}
    return {
        "rgb": seen.over(1.0 if ground is None else ground.to(seen.color)),
        "accumulation": seen.accumulation,
        "depth": torch.where(surface, distance * world_scale, far)[:, None],
        "normals": (normals + 1) / 2,
        "prediction": seen,
        **behind,
    }


def middle_of_light(rendering: Rendering) -> Tensor:
    """Return the distance [R] at which each ray has lost half of the light that it loses; 0 where it loses none.

    The mean distance would lie behind a surface: the light that passes it is lost anywhere behind.
    """
    samples, weights = rendering.samples, rendering.weights.double()
    after = torch.nn.functional.pad(weights.cumsum(0), (1, 0))
    half = after[samples.starts[:-1]] + rendering.accumulation.double() / 2
    lost = after[1:] - half[samples.rays]
    first = (lost >= 0) & (lost - weights < 0)
    distances = torch.zeros_like(half)
    behind = (lost / weights.clamp(min=1e-12))[first].clamp(0, 1)  # this share of the step lies behind the middle
    distances[samples.rays[first]] = samples.distances[first] + samples.step * (0.5 - behind)
    return distances.to(rendering.color.dtype)


def whole(origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Return rays [R, 3] with directions of length 1; a ray that is none, as textures have outside of their triangles, misses."""
    length = directions.norm(dim=1, keepdim=True)
    sound = (origins.isfinite().all(1, keepdim=True) & length.isfinite()) & (length > 0)
    missing = torch.tensor([3.0, 0.0, 0.0], device=origins.device), torch.tensor([1.0, 0.0, 0.0], device=origins.device)
    return torch.where(sound, origins, missing[0]), torch.where(sound, directions / length, missing[1])


def prediction(rendering: Rendering, maps: Tensor, bits: Tensor | None) -> Prediction:
    """Return what a rendering says of rays whose frames map colours by [R, 3, 4]."""
    color = tinted(rendering.color, rendering.accumulation, maps)
    return Prediction(color, rendering.accumulation[:, None], rendering.distortion, bits)


def straight(rgb: Tensor, accumulation: Tensor) -> Tensor:
    """Return straight RGBA [..., 4] in [0, 1] of colours over white.

    In pictures [H, W, ...], faint pixels have the colour of the nearest pixel that is not. Textures and depth fusion use colours
    without their alpha, and would be black wherever a ray finds nothing.
    """
    color = (rgb - (1 - accumulation)) / accumulation.clamp(min=1e-4)
    faint = accumulation[..., 0] < FAINT
    if color.ndim == 3 and not faint.all():
        nearest = distance_transform_edt(faint.cpu().numpy(), return_distances=False, return_indices=True)
        row, column = torch.from_numpy(np.asarray(nearest)).long().to(color.device)
        color = color[row, column]
    return torch.cat([color, accumulation], -1).clamp(0, 1)


def colors_around(cameras: CameraPath, positions: Tensor) -> Tensor:
    """Return maps of colours [R, 3, 4] at positions [R, 3]: each frame's own where its camera is, between cameras a mean of all,
    weighted by the inverse of the squared distance."""
    rotations, translations = cameras.poses[:, :, :3], cameras.poses[:, :, 3]
    centres = -torch.einsum("nji,nj->ni", rotations, translations).to(positions)
    near = 1 / (torch.cdist(positions, centres).square() + 1e-9)
    return torch.einsum("rn,nij->rij", near / near.sum(1, keepdim=True), cameras.colors)


def outward(field: RadianceField, points: Tensor, otherwise: Tensor) -> Tensor:
    """Return unit vectors [R, 3] against the gradient of the density at points [R, 3], `otherwise` where there is none."""
    reach = NORMAL_STEPS / field.spec.steps
    offsets = reach * torch.eye(3, device=points.device)
    sides = [solidity(field, points + sign * offset) for sign in (-1, 1) for offset in offsets]
    gradient = torch.stack(sides[3:], 1) - torch.stack(sides[:3], 1)
    length = gradient.norm(dim=1, keepdim=True)
    return torch.where(length > 1e-6, -gradient / length.clamp(min=1e-6), otherwise)


def solidity(field: RadianceField, points: Tensor) -> Tensor:
    """Return how much light one step of a ray loses at points [S, 3]: [S] in [0, 1), 0 in voxels that are not occupied."""
    side = field.occupancy.side
    x, y, z = (points * side).long().clamp(0, side - 1).unbind(1)
    occupied = field.occupancy.occupied[x, y, z]
    return (1 - torch.exp(-field.densities(points.clamp(0, 1)) / field.spec.steps)) * occupied
