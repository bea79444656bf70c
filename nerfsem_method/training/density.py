"""A trainable field gives density and geometry features of points; look-up and density head are one pass on the CPU.

Elsewhere they are `BinaryGrids.encode` and `Heads.density`; a test compares.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nerfsem_method.compiled.threads import THREADS, in_parts, in_turns
from nerfsem_method.raycast.lookup import LANES
from nerfsem_method.raycast.perceptron import padded_layer
from nerfsem_method.training.backend import compiled
from nerfsem_method.training.encoding import BinaryGrids
from nerfsem_method.training.heads import Heads
from nerfsem_method.training.loops.density_cpu import Given, TwoLayers, density_backward, density_forward
from nerfsem_method.training.loops.scatter import scatter_part

LEAST = 1e-3
"""A sample's gradient counts above this share of the root mean square: two in five have a ten thousandth of all gradients."""


def density(grids: BinaryGrids, heads: Heads, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Return density [S] per unit length and geometry features [S, geometry] at positions [S, 3] float32 in [0, 1]."""
    if not compiled(positions):
        return heads.density(grids.encode(positions, range(len(grids.spec.tables))), positions)
    return _DensityCPU.apply(grids.theta, *heads.density_layers(), positions.contiguous(), grids)


_buffers: list[np.ndarray] = []


def _take_buffer(size: int) -> np.ndarray:
    """Return memory that an earlier step has given back, `size` float32 at least: fresh memory costs more than what it is for."""
    buffer = _buffers.pop() if _buffers else np.empty(0, np.float32)
    return buffer if buffer.size >= size else np.empty(size + size // 4, np.float32)


class _DensityCPU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, theta, weight0, bias0, weight1, bias1, positions, grids):
        spec, count = grids.spec, len(positions)
        arrays = [tensor.detach().numpy() for tensor in (weight0, bias0, weight1, bias1)]
        layers = TwoLayers(padded_layer(*arrays[:2]), padded_layer(*arrays[2:]))
        blocks = -(-count // LANES)
        # a training step keeps what it needs again, a rendering needs one block a thread
        kept = blocks if any(ctx.needs_input_grad) else THREADS
        inputs = layers.first.weights.shape[1]
        buffer = _take_buffer(kept * inputs * LANES)
        encoded = buffer[: kept * inputs * LANES].reshape(kept, inputs * LANES)
        values, geometry = torch.empty(count), torch.empty(count, spec.geometry)
        points, tables = positions.numpy(), grids.packed_tables()

        def work(thread: int, start: int, stop: int) -> None:
            own = encoded if kept == blocks else encoded[thread : thread + 1]
            density_forward(points, start, stop, tables, spec.frequencies, layers, own, values.numpy(), geometry.numpy())

        in_parts(blocks, work)
        ctx.save_for_backward(theta, positions, values)
        if not any(ctx.needs_input_grad):
            _buffers.append(buffer)
        ctx.kept = grids, tables, layers, buffer, encoded, weight0.shape, weight1.shape
        return values, geometry

    @staticmethod
    def backward(ctx, d_values, d_geometry):
        theta, positions, values = ctx.saved_tensors
        grids, tables, layers, buffer, encoded, shape0, shape1 = ctx.kept
        del ctx.kept  # backward runs once, and what is kept is used up
        turned, gradients = layers.turned(), [layers.zeros() for _ in range(THREADS)]
        points, groups = np.empty((len(encoded), 3 * LANES), np.float32), np.zeros((THREADS, 2), np.int64)
        kinds = (d_values * values).numpy(), d_geometry.contiguous().numpy()
        least = np.array([LEAST * float(np.linalg.norm(kind)) / max(len(positions), 1) ** 0.5 for kind in kinds], np.float32)
        given = Given(*kinds, np.where(np.isfinite(least), least, 0))  # what is no number must show

        def work(thread: int, start: int, stop: int) -> None:
            own = positions.numpy(), start, stop, layers, turned, encoded, given, points, gradients[thread]
            groups[thread] = start, start + density_backward(*own)

        def add(part: int) -> None:
            scatter_part(points, tables.parts, part, groups, tables.offsets, encoded, grids.sums(0))

        in_parts(len(encoded), work)
        in_turns(len(tables.parts), add)
        _buffers.append(buffer)
        cut = []
        for at, shape in enumerate((shape0, shape1)):
            cut.append(torch.from_numpy(np.sum([own[at].weights for own in gradients], 0))[: shape[0], : shape[1]])
            cut.append(torch.from_numpy(np.sum([own[at].biases for own in gradients], 0))[: shape[0]])
        return grids.gradient(theta), *cut, None, None
