"""The coder's regressions on signs decoded before (`codec.neighbours`) have a part in the rate, with the weights they have had.

The coder learns as it goes; the rate takes the mean of its weights over each table, until the tables are coded again. So a
training knows that a sign like its neighbours is cheap, and that it makes them cheap. Hashed tables have no such part: there the
weights stay as the coder begins. `loops.rate_cpu` computes the same as `mixed`; a test compares.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nerfsem_method.codec.context import Contexts
from nerfsem_method.codec.fixed_point import UNIT
from nerfsem_method.codec.neighbours import CONSTANT, OFFSETS, mean_weights
from nerfsem_method.field.layout import TableLayout
from nerfsem_method.field.spec import FieldSpec
from nerfsem_method.training.encoding import BinaryGrids
from nerfsem_method.training.loops.rate_cpu import MOST_AROUND


def unlearnt(spec: FieldSpec) -> Tensor:
    """Return the weights with which coding begins, which believe the context models: [tables, F, 2 + MOST_AROUND + F] float32.

    With F the most features of a table, they are that of the logit, a constant, and those of the signs at the offsets and of the
    vector's earlier signs.
    """
    most = max(table.features for table in spec.tables)
    mixing = torch.zeros(len(spec.tables), most, 2 + MOST_AROUND + most)
    mixing[..., 0] = 1
    return mixing


def learn(
    contexts: Contexts, spec: FieldSpec, layouts: Sequence[TableLayout], tables: list[np.ndarray], mixing: Tensor
) -> None:
    """Write into `mixing` what coding `tables` [entries, features] int8 teaches, table by table."""
    last = len(spec.volume) - 1
    contexts.remember_volume(layouts[last], tables[last])
    for index, (table, layout) in enumerate(zip(spec.tables, layouts, strict=True)):
        if table.hashed or not len(layout.entries):
            continue
        logits, own = contexts.logits(index, layout, tables), 2 + len(OFFSETS[len(table.axes)])
        found = torch.from_numpy(mean_weights(table, layout, tables[index][layout.entries], logits))
        found[:, 1] *= CONSTANT / UNIT
        mixing[index, : table.features, :own] = found[:, :own]
        mixing[index, : table.features, 2 + MOST_AROUND :][:, : table.features] = found[:, own:]


def mixed(grids: BinaryGrids, index: int, mixing: Tensor, positions: Tensor, phi: Tensor, logits: Tensor) -> Tensor:
    """Return the coder's logits [n, F] at vertices of a dense table.

    Args:
        mixing: the table's weights, see `unlearnt`.
        positions: [n, 3] float32, where the vertices lie in the unit cube.
        phi, logits: [n, F], the signs there and the context model's logits.
    """
    table, device = grids.spec.tables[index], positions.device
    axes, features, mixing = list(table.axes), table.features, mixing.to(device)
    offsets = torch.from_numpy(OFFSETS[len(axes)][:, : len(axes)]).to(device)
    vertices = (positions[:, axes] * table.resolution).round().long()[:, None] + offsets
    there = ((vertices >= 0) & (vertices <= table.resolution)).all(-1)
    strides = [(table.resolution + 1) ** power for power in reversed(range(len(axes)))]
    entries = (vertices.clamp(0, table.resolution) * torch.tensor(strides, device=device)).sum(-1)
    firsts = grids.offsets[int(grids.parts["first_entry"][grids.first_part(index)]) + entries].long()
    there &= firsts < len(grids.coded)
    firsts = firsts.where(there, 0)
    there &= grids.coded[firsts] != 0
    near = grids.signs_at(firsts[..., None] + torch.arange(features, device=device)) * there[..., None]
    around, earlier = mixing[:features, 2 : 2 + len(offsets)], mixing[:features, 2 + MOST_AROUND :][:, :features]
    own = mixing[:features, 0] * logits + mixing[:features, 1]
    return own + torch.einsum("naf,fa->nf", near, around) + phi @ earlier.tril(-1).T
