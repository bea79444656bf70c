"""The outline of a frame's matte is held against the outline that the field shows there, along short lines across it.

On each line the matte and the rendered alpha fall from 1 to 0; the difference of their areas is the distance between the two
edges in pixels, to fractions of one, and far beyond the reach of an image gradient (Harris 1990 tracked edges along such lines).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nerfsem_method.training.windows import framed, smallest

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
        inside = (alpha > 0.5).float()
        edge = (inside > 0) & (smallest(framed(inside, 1, 1), 3) == 0)
        border = int(reach) + 2
        edge[:border], edge[-border:], edge[:, :border], edge[:, -border:] = False, False, False, False
        rows, columns = edge.nonzero(as_tuple=True)
        stride = max(1, len(rows) // LINES)
        rows, columns = rows[stride // 2 :: stride], columns[stride // 2 :: stride]
        outward = -slopes(alpha[..., None], rows, columns, 7)[:, 0]
        length = outward.norm(dim=1)
        clear = length > 0.01
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


def slopes(picture: Tensor, rows: Tensor, columns: Tensor, side: int) -> Tensor:
    """Return the slopes [P, C, 2] along columns and rows of a picture [H, W, C] at pixels [P], a pixel, means over squares.

    The square has `side` pixels each way, an odd number; beyond the edges the nearest pixel counts. Only these squares are looked
    at: to smooth whole pictures for a thousand pixels of each would take longer than all of the alignment.
    """
    height, width, _ = picture.shape
    reach = side // 2 + 1
    offsets = torch.arange(-reach, reach + 1, device=picture.device)
    near_rows = (rows[:, None] + offsets).clamp(0, height - 1)
    near_columns = (columns[:, None] + offsets).clamp(0, width - 1)
    around = picture[near_rows[:, :, None], near_columns[:, None, :]].float()  # [P, side + 2, side + 2, C]
    middle = slice(1, side + 1)
    across = (around[:, middle, 2:] - around[:, middle, :-2]).mean((1, 2))
    down = (around[:, 2:, middle] - around[:, :-2, middle]).mean((1, 2))
    return torch.stack([across, down], -1) / 2
