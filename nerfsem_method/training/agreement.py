"""Mattes and field are brought to agree: a matte that the other views contradict teaches the field nothing but blur.

The field's alpha is what most views say of the outline. Where a matte differs from it by whole areas (a strip of wall, a lost
ear) the field is right; where a clip's outlines differ everywhere, as drawn or guessed ones do, all of them follow the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nerfsem_method.scene.camera import Window, shown_part
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.radiance import RadianceField
from nerfsem_method.training.windows import framed, largest, smallest

ROUGH = 0.001
"""Outlines farther from the field's than this (root mean square, in the larger side of the frame) are rough everywhere: drawn or
guessed ones are .0012 and .003 away, exact ones .0007 and .0008 (docs/decisions/020)."""
THICK = 0.003
"""A difference is an area if a square of this size, in the larger side of the frame, fits into it; 2 pixels at least."""
SHARPNESS = 3.0
"""The edge of a matte is so many times as steep as that of the smoothed alpha."""
SMOOTH = 5
"""The field's alpha is a mean over so many pixels each way first: its edge shows single voxels, an object's does not."""
CELLS = 0.4
"""Outlines are rough only if they are farther from the field's than this, in cells of its finest level: it can do no better."""
LEAST = 0.7
"""A matte that has less than this in common with the field (intersection over union) stays as it is: who is right is unclear."""
COARSE, EVEN = 2, 0.05
"""First every so many pixels each way are rendered, then those between them where alpha differs by more than this nearby."""
FINEST = 640
"""The field is rendered with about so many pixels along the larger side of the frame: its edge is softer than theirs."""
RAYS = 1 << 15
"""So many rays are rendered at a time."""


@dataclass(frozen=True)
class Agreement:
    """The outcome is the number of mattes changed, the mean share of the object's area that changed in them, and whether all
    outlines followed the field."""

    changed: int
    share: float
    rough: bool


def is_rough(field: RadianceField, cameras: CameraPath, outlines: float) -> bool:
    """Return whether outlines that are so many pixels from the field's (root mean square) are rough."""
    return outlines > max(ROUGH * max(cameras.size), CELLS * cell(field, cameras))


def cell(field: RadianceField, cameras: CameraPath) -> float:
    """Return the side of a cell of the field's finest level, in pixels, at the middle of the cube."""
    depths = cameras.poses[:, 2, :3] @ cameras.poses.new_full((3,), 0.5) + cameras.poses[:, 2, 3]
    depth = (depths if cameras.zooms is None else depths / cameras.zooms).median()
    finest = max(level.resolution for level in (*field.spec.volume, *field.spec.planes))
    return float(cameras.intrinsics[0] / depth) / finest


@torch.no_grad()
def agree(
    field: RadianceField, cameras: CameraPath, frames: Tensor, indices: Tensor, windows: Sequence[Window | None], rough: bool
) -> Agreement:
    """Change the alpha of frames [n, H, W, 4] uint8 in place to what they and the field agree on.

    Args:
        indices: [n] the camera of each frame.
        windows: the part of each frame that its picture fills; mattes stay as they are elsewhere.
        rough: whether all outlines follow the field.
    """
    shares = []
    least_area = cell(field, cameras)
    for frame, index, window in zip(frames, indices.tolist(), windows, strict=True):
        matte = frame[..., 3].to(cameras.poses.device).float() / 255
        new, part = matte.clone(), shown_part(window, *cameras.size)
        new[part] = agreed(matte[part], alpha_of(field, cameras, index)[part], rough, least_area)
        share = float((new - matte).abs().sum() / matte.sum().clamp(min=1))
        if share > 0:
            shares.append(share)
            frame[..., 3] = (255 * new).round().to(frame)
    return Agreement(len(shares), sum(shares) / max(len(shares), 1), rough)


def alpha_of(field: RadianceField, cameras: CameraPath, index: int) -> Tensor:
    """Return the rendered alpha [H, W] of a frame; of large frames every few pixels are rendered, the others interpolated."""
    width, height = cameras.size
    fine = max(1, round(max(width, height) / FINEST))
    coarse = fine * COARSE
    columns, rows = -(-width // coarse), -(-height // coarse)
    grid = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).flip(1).to(cameras.poses.device)
    alpha = _rendered(field, cameras, index, grid, coarse).view(1, 1, rows, columns)
    alpha = functional.interpolate(alpha, scale_factor=COARSE, mode="bilinear")
    # Only where alpha changes from ray to ray is it asked for between them.
    around = functional.pad(alpha, (COARSE, COARSE, COARSE, COARSE), mode="replicate")[0, 0]
    changes = largest(around, 2 * COARSE + 1) - smallest(around, 2 * COARSE + 1) > EVEN
    places = changes.nonzero()
    alpha[0, 0, places[:, 0], places[:, 1]] = _rendered(field, cameras, index, places.flip(1), fine)
    if fine > 1:
        alpha = functional.interpolate(alpha, scale_factor=fine, mode="bilinear")
    return alpha[0, 0, :height, :width]


def _rendered(field: RadianceField, cameras: CameraPath, index: int, places: Tensor, stride: int) -> Tensor:
    """Return the alpha [K] of a frame in the middles of squares of `stride` pixels, (column, row) [K, 2] of them."""
    parts = [places.new_zeros(0).float()]
    for pixels in ((places + 0.5) * stride).split(RAYS):
        frames = torch.full((len(pixels),), index, device=pixels.device)
        parts.append(field.glance(*cameras.rays(frames, pixels)).accumulation)
    return torch.cat(parts)


def agreed(matte: Tensor, alpha: Tensor, rough: bool, least_area: float = 0.0) -> Tensor:
    """Return what a matte and the field's alpha, both [H, W] in [0, 1], agree on.

    `least_area` is the side of the smallest square in pixels of which the field can tell.
    """
    solid, shown = matte > 0.5, alpha > 0.5
    union = (solid | shown).sum()
    if not union or float((solid & shown).sum() / union) < LEAST:
        return matte
    smooth = functional.avg_pool2d(alpha[None, None], SMOOTH, 1, SMOOTH // 2, count_include_pad=False)[0, 0]
    edge = ((smooth - 0.5) * SHARPNESS + 0.5).clamp(0, 1)
    if rough:
        return edge
    size = max(2, round(THICK * max(matte.shape)), round(least_area))
    thick = smallest(framed((solid != shown).float(), size, 0), size)
    near = largest(framed(thick, size, 0), 2 * size + 1)
    top = (near.shape[0] - matte.shape[0]) // 2
    left = (near.shape[1] - matte.shape[1]) // 2
    near = near[top : top + matte.shape[0], left : left + matte.shape[1]] > 0
    return torch.where(near, edge, matte)
