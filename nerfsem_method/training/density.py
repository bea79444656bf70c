"""Density and geometry of points of a trainable field: look-up and density head, fused on the CPU.

Elsewhere the same is `BinaryGrids.encode` and `Heads.density`; a test compares.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nerfsem_method.compiled import njit
from nerfsem_method.compiled.threads import THREADS, in_parts
from nerfsem_method.raycast.lookup import FAST, LANES, load_points, look_up, look_up_room, waves
from nerfsem_method.raycast.perceptron import layer, layer_backward, padded_layer, rectify_backward
from nerfsem_method.training.backend import compiled
from nerfsem_method.training.encoding import BinaryGrids
from nerfsem_method.training.heads import Heads
from nerfsem_method.training.loops.scatter import scatter


def density(grids: BinaryGrids, heads: Heads, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Density [S] per unit length and geometry feature [S, geometry] at positions [S, 3] float32 in [0, 1]."""
    if not compiled(positions):
        return heads.density(grids.encode(positions, range(len(grids.spec.tables))), positions)
    return _DensityCPU.apply(grids.theta, *heads.density_layers(), positions.contiguous(), grids)


_rooms: list[np.ndarray] = []


def _take_room(size: int) -> np.ndarray:
    """Memory that the step before has given back, with `size` float32 at least: fresh memory costs more than what it is for."""
    room = _rooms.pop() if _rooms else np.empty(0, np.float32)
    return room if room.size >= size else np.empty(size + size // 4, np.float32)


class _DensityCPU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, theta, weight0, bias0, weight1, bias1, positions, grids):
        spec, count = grids.spec, len(positions)
        arrays = [tensor.detach().numpy() for tensor in (weight0, bias0, weight1, bias1)]
        layers = padded_layer(*arrays[:2]), padded_layer(*arrays[2:])
        blocks = -(-count // LANES)
        # a training step keeps what it needs again, a rendering needs room for one block a thread
        kept = blocks if any(ctx.needs_input_grad) else THREADS
        inputs = layers[0][0].shape[1]
        room = _take_room(kept * inputs * LANES)
        encoded = room[: kept * inputs * LANES].reshape(kept, inputs * LANES)
        values, geometry = torch.empty(count), torch.empty(count, spec.geometry)
        points, codes = positions.numpy(), grids.codes()

        def work(thread: int, start: int, stop: int) -> None:
            own = slice(None) if kept == blocks else slice(thread, thread + 1)
            out = encoded[own], values.numpy(), geometry.numpy()
            _forward(points, start, stop, grids.parts, codes, spec.frequencies, *layers, *out)

        in_parts(blocks, work)
        ctx.save_for_backward(theta, positions, values)
        if not any(ctx.needs_input_grad):
            _rooms.append(room)
        ctx.kept = grids, layers, room, encoded, weight0.shape, weight1.shape
        return values, geometry

    @staticmethod
    def backward(ctx, d_values, d_geometry):
        theta, positions, values = ctx.saved_tensors
        grids, layers, room, encoded, shape0, shape1 = ctx.kept
        del ctx.kept  # used up: backward runs once
        (weight0, bias0), (weight1, bias1) = layers
        turned = np.ascontiguousarray(weight0.T), np.ascontiguousarray(weight1.T)
        gradients = [
            tuple(np.zeros_like(array) for array in (weight0, bias0, weight1, bias1)) for _ in range(THREADS)
        ]
        partial = grids.partial
        given = (d_values * values).numpy(), d_geometry.contiguous().numpy()

        def work(thread: int, start: int, stop: int) -> None:
            tables = grids.parts, grids.slots.places, partial[thread]
            _backward(positions.numpy(), start, stop, encoded, layers[0], *turned, *given, *tables, gradients[thread])

        in_parts(len(encoded), work)
        _rooms.append(room)
        sums = [torch.from_numpy(np.sum(arrays, 0)) for arrays in zip(*gradients, strict=True)]
        weights = (
            sums[0][: shape0[0], : shape0[1]], sums[1][: shape0[0]], sums[2][: shape1[0], : shape1[1]], sums[3][: shape1[0]],
        )  # fmt: skip
        return grids.gradient(theta), *weights, None, None


@njit(cache=True, nogil=True, fastmath=FAST)
def _forward(
    positions, start, stop, parts, codes, frequencies, first_layer, second_layer, encoded, values, geometry
):
    """Blocks start ... stop - 1 of positions [S, 3]; keeps the head's inputs, a row a block."""
    room = look_up_room()
    points = np.zeros(3 * LANES, np.float32)
    h, out = np.zeros(first_layer[1].size * LANES, np.float32), np.zeros(second_layer[1].size * LANES, np.float32)
    inputs = first_layer[0].shape[1]
    for block in range(start, stop):
        first = block * LANES
        count = min(LANES, positions.shape[0] - first)
        x = encoded[block % encoded.shape[0]]
        load_points(positions, first, count, points)
        column = waves(points, frequencies, look_up(points, parts, codes, room, x), x)
        x[column * LANES : inputs * LANES] = 0
        layer(first_layer[0], first_layer[1], x, True, h)
        layer(second_layer[0], second_layer[1], h, False, out)
        for s in range(count):
            values[first + s] = np.exp(min(out[s] + np.float32(3), np.float32(15)))
            for g in range(geometry.shape[1]):
                geometry[first + s, g] = out[(1 + g) * LANES + s]


@njit(cache=True, nogil=True, fastmath=FAST)
def _backward(
    positions, start, stop, encoded, first_layer, weight0, weight1, d_logs, d_geometry, parts, places, partial, gradients
):
    """Add the gradients of the signs to `partial`, of the layers to `gradients`; weights are [inputs, outputs] here.

    `encoded` becomes its own gradient.
    """
    d_weight0, d_bias0, d_weight1, d_bias1 = gradients
    points = np.empty((stop - start, 3 * LANES), np.float32)
    d_out = np.zeros(d_bias1.size * LANES, np.float32)
    hidden, d_hidden = np.zeros(d_bias0.size * LANES, np.float32), np.zeros(d_bias0.size * LANES, np.float32)
    none = np.zeros(max(weight0.shape[0], weight1.shape[0]), np.float32)
    for block in range(start, stop):
        first = block * LANES
        count = min(LANES, positions.shape[0] - first)
        load_points(positions, first, count, points[block - start])
        if count < LANES:
            d_out[:] = 0
        for s in range(count):
            d_out[s] = d_logs[first + s]
            for g in range(d_geometry.shape[1]):
                d_out[(1 + g) * LANES + s] = d_geometry[first + s, g]
        layer(first_layer[0], first_layer[1], encoded[block], True, hidden)  # faster than to keep them all
        layer_backward(hidden, d_out, d_weight1, d_bias1)
        layer(weight1, none, d_out, False, d_hidden)
        rectify_backward(hidden, d_hidden)
        layer_backward(encoded[block], d_hidden, d_weight0, d_bias0)
        layer(weight0, none, d_hidden, False, encoded[block])
    scatter(points, parts, places, encoded[start:stop], look_up_room(), partial)
