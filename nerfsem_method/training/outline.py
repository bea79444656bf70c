"""The outline of a frame's matte is held against the outline that the field shows there, along short lines across it.

On each line the matte and the rendered alpha fall from 1 to 0; the difference of their areas is the distance between the two
edges in pixels, to fractions of one, and far beyond the reach of an image gradient (Harris 1990 tracked edges along such lines).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

LINES = 96
"""So many lines of a frame are looked at."""
SAMPLES = 17
"""A line has so many samples."""
REACH = 0.01
"""A line reaches so far to either side, in the larger side of the frame, but at least `NEAREST` pixels."""
NEAREST = 4.0
FULL, EMPTY = 0.8, 0.2
"""A line is of use if it begins in what is fuller, and ends in what is emptier, for matte and field."""


@dataclass(frozen=True)
class Outline:
    """Lines across a matte's edge: positions [K, T, 2] from inside outwards, their direction [K, 2], the area under the matte
    along each [K] in pixels, and the distance between samples in pixels."""

    positions: Tensor
    normals: Tensor
    areas: Tensor
    spacing: float

    @classmethod
    def of(cls, alpha: Tensor) -> Outline:
        """Lay lines across the edge of a matte [H, W] float32 in [0, 1]."""
        height, width = alpha.shape
        reach = max(REACH * max(height, width), NEAREST)
        offsets = torch.linspace(-reach, reach, SAMPLES, device=alpha.device)
        spacing = float(offsets[1] - offsets[0])
        inside = (alpha > 0.5).float()[None, None]
        edge = ((inside > 0) & (functional.max_pool2d(1 - inside, 3, 1, 1) > 0))[0, 0]
        border = int(reach) + 2
        edge[:border], edge[-border:], edge[:, :border], edge[:, -border:] = False, False, False, False
        rows, columns = edge.nonzero(as_tuple=True)
        stride = max(1, len(rows) // LINES)
        rows, columns = rows[stride // 2 :: stride], columns[stride // 2 :: stride]
        smooth = functional.avg_pool2d(alpha[None, None], 7, 1, 3)[0, 0]
        down = smooth[(rows + 1).clamp(max=height - 1), columns] - smooth[(rows - 1).clamp(min=0), columns]
        right = smooth[rows, (columns + 1).clamp(max=width - 1)] - smooth[rows, (columns - 1).clamp(min=0)]
        outward = -torch.stack([right, down], 1)
        length = outward.norm(dim=1)
        clear = length > 0.02
        normals = outward[clear] / length[clear, None]
        feet = torch.stack([columns, rows], 1)[clear] + 0.5
        positions = feet[:, None] + offsets[:, None] * normals[:, None]
        scale = positions.new_tensor([2 / width, 2 / height])
        matte = functional.grid_sample(alpha[None, None], (positions * scale - 1)[None], align_corners=False)[0, 0]
        useful = (matte[:, 0] > FULL) & (matte[:, -1] < EMPTY)
        return cls(positions[useful], normals[useful], matte[useful].sum(1) * spacing, spacing)

    def excess(self, accumulation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return how far the field's edge is outside the matte's [K] in pixels, whether a line tells [K], and the index [K] of
        its outermost sample on the object, given the rendered alpha [K, T]."""
        told = (accumulation[:, 0] > FULL) & (accumulation[:, -1] < EMPTY)
        last = SAMPLES - 1 - (accumulation > 0.5).int().flip(1).argmax(1)
        return accumulation.sum(1) * self.spacing - self.areas, told, last
