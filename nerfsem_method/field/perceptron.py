"""Small dense layers over blocks of LANES points, compiled: forward, and the gradients of inputs and weights.

Blocks are flat float32 [values, LANES] as in `lookup`. A layer is (weights [outputs, inputs] flat, biases [outputs]), both
sizes padded with zeros to multiples of STRIPS (`padded`), so that the loops need no remainders.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from nerfsem_method.field.lookup import FAST, LANES, line

STRIPS = 4
"""Inputs and outputs that are worked on together."""


def padded(size: int) -> int:
    """The next multiple of STRIPS."""
    return -(-size // STRIPS) * STRIPS


def padded_layer(weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A layer for the kernels from weight [outputs, inputs] and bias [outputs]."""
    outputs, inputs = weight.shape
    full, biases = np.zeros((padded(outputs), padded(inputs)), np.float32), np.zeros(padded(outputs), np.float32)
    full[:outputs, :inputs], biases[:outputs] = weight, bias
    return full, biases


def packed(layers: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A whole head from its layers' weight [outputs, inputs] and bias: weights and biases, one after the other, padded, and
    the padded sizes [layers, 2] (outputs, inputs). Arrays of the same kind whatever the number of layers."""
    full = [padded_layer(*each) for each in layers]
    sizes = np.array([weight.shape for weight, _ in full], np.int64)
    return np.concatenate([weight.ravel() for weight, _ in full]), np.concatenate([bias for _, bias in full]), sizes


@njit(cache=True)
def strip(block, first):
    """The values first ... first + STRIPS - 1 of all lanes."""
    return block[first * LANES : (first + STRIPS) * LANES]


@njit(cache=True, fastmath=FAST)
def _accumulate(weights, j, i, x, y):
    """y [STRIPS, LANES] += weights[j : j + STRIPS, i : i + STRIPS] x [STRIPS, LANES]."""
    a, b, c, d = weights[j, i], weights[j, i + 1], weights[j, i + 2], weights[j, i + 3]
    e, f, g, h = weights[j + 1, i], weights[j + 1, i + 1], weights[j + 1, i + 2], weights[j + 1, i + 3]
    k, m, n, o = weights[j + 2, i], weights[j + 2, i + 1], weights[j + 2, i + 2], weights[j + 2, i + 3]
    p, q, r, t = weights[j + 3, i], weights[j + 3, i + 1], weights[j + 3, i + 2], weights[j + 3, i + 3]
    for s in range(LANES):
        u, v, w, z = x[s], x[LANES + s], x[2 * LANES + s], x[3 * LANES + s]
        y[s] += a * u + b * v + c * w + d * z
        y[LANES + s] += e * u + f * v + g * w + h * z
        y[2 * LANES + s] += k * u + m * v + n * w + o * z
        y[3 * LANES + s] += p * u + q * v + r * w + t * z


@njit(cache=True, fastmath=FAST)
def multiply(weights, x, y):
    """y [outputs, LANES] += weights [outputs, inputs] x [inputs, LANES]."""
    for j in range(0, weights.shape[0], STRIPS):
        out = strip(y, j)
        for i in range(0, weights.shape[1], STRIPS):
            _accumulate(weights, j, i, strip(x, i), out)


@njit(cache=True, fastmath=FAST)
def layer(weights, bias, x, rectified, y):
    """y [outputs, LANES] = weights x + bias, negative values set to 0 if `rectified`."""
    for j in range(bias.size):
        out, value = line(y, j), bias[j]
        for s in range(LANES):
            out[s] = value
    multiply(weights, x, y)
    if rectified:
        for k in range(bias.size * LANES):
            y[k] = max(y[k], np.float32(0))


@njit(cache=True, fastmath=FAST)
def layer_backward(x, dy, dweights, dbias):
    """Add the gradients of a layer's weights and biases: dy x^T and the sums of dy, over all lanes."""
    for j in range(0, dweights.shape[0], 2):
        d = dy[j * LANES : (j + 2) * LANES]
        zero = np.float32(0)
        total, other = zero, zero
        for s in range(LANES):
            total += d[s]
            other += d[LANES + s]
        dbias[j] += total
        dbias[j + 1] += other
        for i in range(0, dweights.shape[1], STRIPS):
            values = strip(x, i)
            a, b, c, e, f, g, h, k = zero, zero, zero, zero, zero, zero, zero, zero
            for s in range(LANES):
                u, v = d[s], d[LANES + s]
                w, y, z, t = values[s], values[LANES + s], values[2 * LANES + s], values[3 * LANES + s]
                a += u * w
                b += u * y
                c += u * z
                e += u * t
                f += v * w
                g += v * y
                h += v * z
                k += v * t
            dweights[j, i] += a
            dweights[j, i + 1] += b
            dweights[j, i + 2] += c
            dweights[j, i + 3] += e
            dweights[j + 1, i] += f
            dweights[j + 1, i + 1] += g
            dweights[j + 1, i + 2] += h
            dweights[j + 1, i + 3] += k


@njit(cache=True)
def rectify_backward(y, dy):
    """Gradients of rectified values: none where the value is 0."""
    for k in range(y.size):
        dy[k] = dy[k] if y[k] > 0 else np.float32(0)


@njit(cache=True)
def run_head(head, x, one, other):
    """All layers of a `packed` head on inputs x; the outputs lie in the block returned, `one` or `other`."""
    weights, biases, sizes = head
    source = x
    weight = bias = 0
    for at in range(sizes.shape[0]):
        outputs, inputs = sizes[at, 0], sizes[at, 1]
        target = one if at % 2 == 0 else other
        matrix = weights[weight : weight + outputs * inputs].reshape(outputs, inputs)
        layer(matrix, biases[bias : bias + outputs], source, at < sizes.shape[0] - 1, target)
        source = target
        weight += outputs * inputs
        bias += outputs
    return source
