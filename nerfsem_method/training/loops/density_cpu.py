"""Look-up and density head in one pass on the CPU, block by block, and their gradients."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nerfsem_method.compiled import FAST, njit
from nerfsem_method.field.activation import density_of
from nerfsem_method.raycast.lookup import LANES, load_points, look_up, new_scratch, waves
from nerfsem_method.raycast.perceptron import Layer, add_gradients, forward, rectify_backward


class TwoLayers(NamedTuple):
    """A head of two layers, or the gradients of one."""

    first: Layer
    second: Layer

    def turned(self) -> TwoLayers:
        """Return the layers that take gradients of outputs to gradients of inputs: transposed, without biases."""
        return TwoLayers(*(Layer(np.ascontiguousarray(w.T), np.zeros(w.shape[1], np.float32)) for w, _ in self))

    def zeros(self) -> TwoLayers:
        """Return layers of the same shapes, all zero."""
        return TwoLayers(*(Layer(np.zeros_like(weights), np.zeros_like(biases)) for weights, biases in self))


@njit(cache=True, nogil=True, fastmath=FAST)
def density_forward(positions, start, stop, tables, frequencies, layers, encoded, values, geometry):
    """Write density [S] and geometry features [S, geometry] of the blocks start ... stop - 1 of positions [S, 3].

    The head's inputs stay in `encoded`, a row a block; where there are fewer rows, these are used in turn.
    """
    scratch, points = new_scratch(), np.zeros(3 * LANES, np.float32)
    hidden = np.zeros(layers.first.biases.size * LANES, np.float32)
    out = np.zeros(layers.second.biases.size * LANES, np.float32)
    inputs = layers.first.weights.shape[1]
    for block in range(start, stop):
        first = block * LANES
        count = min(LANES, positions.shape[0] - first)
        x = encoded[block % encoded.shape[0]]
        load_points(positions, first, count, points)
        column = waves(points, frequencies, look_up(points, tables.parts, tables.codes, scratch, x), x)
        x[column * LANES : inputs * LANES] = 0
        forward(layers.first, x, True, hidden)
        forward(layers.second, hidden, False, out)
        for s in range(count):
            values[first + s] = density_of(out[s])
            for g in range(geometry.shape[1]):
                geometry[first + s, g] = out[(1 + g) * LANES + s]


class Given(NamedTuple):
    """The gradients of what `density_forward` has written.

    Attributes:
        logs: [S], of the density's logarithm.
        geometry: [S, geometry].
        least: float32 [2], a sample counts unless its gradients of both kinds are no larger than these.
    """

    logs: np.ndarray
    geometry: np.ndarray
    least: np.ndarray


@njit(cache=True)
def _that_count(given, first, last, chosen):
    """Write the numbers of the samples first ... last - 1 that count to `chosen`; return how many there are."""
    count = 0
    for sample in range(first, last):
        small = abs(given.logs[sample]) <= given.least[0]
        for g in range(given.geometry.shape[1]):
            small &= abs(given.geometry[sample, g]) <= given.least[1]
        if not small:  # nor is what is no number
            chosen[count] = sample
            count += 1
    return count


@njit(cache=True, nogil=True, fastmath=FAST)
def density_backward(positions, start, stop, layers, turned, encoded, given, points, gradients):
    """Add the gradients of the layers to `gradients`, write those of their inputs into `encoded`, and return how many blocks.

    The samples that count move together into the first blocks, their positions into those of `points` [blocks, 3 * LANES].
    `turned` are the layers as `TwoLayers.turned` gives them.
    """
    chosen = np.empty((stop - start) * LANES, np.int64)
    samples = _that_count(given, start * LANES, min(stop * LANES, positions.shape[0]), chosen)
    blocks = (samples + LANES - 1) // LANES
    inputs = layers.first.weights.shape[1]
    x = np.empty(inputs * LANES, np.float32)
    sources, read = np.empty(LANES, np.int64), encoded.ravel()
    d_out = np.zeros(gradients.second.biases.size * LANES, np.float32)
    hidden = np.zeros(gradients.first.biases.size * LANES, np.float32)
    d_hidden = np.zeros_like(hidden)
    for block in range(blocks):
        own = chosen[block * LANES : min((block + 1) * LANES, samples)]
        if own.size < LANES:
            d_out[:] = 0
        for s in range(LANES):
            sample = own[min(s, own.size - 1)]
            for axis in range(3):
                points[start + block, axis * LANES + s] = positions[sample, axis]
            sources[s] = sample // LANES * (inputs * LANES) + sample % LANES
        for i in range(inputs):
            for s in range(LANES):
                x[i * LANES + s] = read[np.uint64(sources[s] + i * LANES)]
        for s in range(own.size):
            d_out[s] = given.logs[own[s]]
            for g in range(given.geometry.shape[1]):
                d_out[(1 + g) * LANES + s] = given.geometry[own[s], g]
        forward(layers.first, x, True, hidden)  # to compute it anew is faster than to keep it of all blocks
        add_gradients(gradients.second, hidden, d_out)
        forward(turned.second, d_out, False, d_hidden)
        rectify_backward(hidden, d_hidden)
        add_gradients(gradients.first, x, d_hidden)
        forward(turned.first, d_hidden, False, encoded[start + block])  # its own samples have been read
    return blocks
