"""Small dense layers work on blocks of LANES points in compiled loops: forward, and the gradients of inputs and weights.

Blocks are flat float32 [values, LANES] as in `lookup`. All sizes are padded with zeros to multiples of STRIPS (`padded`), so that
the loops need no remainders.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from nerfsem_method.compiled import fast_part, njit
from nerfsem_method.raycast.lookup import LANES

STRIPS = 4
"""So many inputs and outputs are worked on together."""


class Layer(NamedTuple):
    """A padded layer has weights [outputs, inputs] and biases [outputs], float32; its gradient has the same shapes."""

    weights: np.ndarray
    biases: np.ndarray


class Head(NamedTuple):
    """A whole head is arrays of the same kind whatever the number of its layers: weights and biases, one layer after the other,
    and the padded sizes [layers, 2] (outputs, inputs)."""

    weights: np.ndarray
    biases: np.ndarray
    sizes: np.ndarray


def padded(size: int) -> int:
    """Return the next multiple of STRIPS."""
    return -(-size // STRIPS) * STRIPS


def padded_layer(weight: np.ndarray, bias: np.ndarray) -> Layer:
    """Return the layer of weight [outputs, inputs] and bias [outputs]."""
    outputs, inputs = weight.shape
    layer = Layer(np.zeros((padded(outputs), padded(inputs)), np.float32), np.zeros(padded(outputs), np.float32))
    layer.weights[:outputs, :inputs], layer.biases[:outputs] = weight, bias
    return layer


def packed(layers: list[tuple[np.ndarray, np.ndarray]]) -> Head:
    """Return the head of layers that are given by weight [outputs, inputs] and bias [outputs]."""
    full = [padded_layer(*each) for each in layers]
    weights, biases = np.concatenate([each.weights.ravel() for each in full]), np.concatenate([each.biases for each in full])
    return Head(weights, biases, np.array([each.weights.shape for each in full], np.int64))


def _width() -> int:
    """Return the float32 lanes of numba's vectors: this processor's, or those that NUMBA_CPU_FEATURES names."""
    codegen = cpu_target.target_context.codegen()  # pyright: ignore[reportAttributeAccessIssue] (numba's own cached property)
    _, _, features = codegen.magic_tuple()  # numba's cache tells processors apart by the same
    return next((width for width, feature in ((16, "+avx512f"), (8, "+avx2")) if feature in features.split(",")), 4)


WIDTH = _width()
"""A vector has so many lanes."""
_VECTORS = 2 if WIDTH == 8 else 4
"""So many vectors of lanes are worked on together: with STRIPS outputs each, as many as the registers hold."""
_VECTOR = ir.VectorType(ir.FloatType(), WIDTH)
_INDEX = ir.IntType(64)


def _splat(builder, value):
    """Return a vector of one value."""
    unknown = ir.Constant(_VECTOR, ir.Undefined)
    single = builder.insert_element(unknown, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(single, unknown, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH))


@intrinsic
def _multiply_add(_, weights, bias, x, y, least):
    """Compute y [outputs, LANES] = max(weights [outputs, inputs] x [inputs, LANES] + bias [outputs], least).

    This is written in LLVM's terms, for sums that stay in registers over all inputs, which loops over arrays do not bring about.
    """

    def generate(context, builder, signature, arguments):
        def pointer(at, index, to):
            data = context.make_array(signature.args[at])(context, builder, arguments[at]).data
            return builder.bitcast(builder.gep(data, [index]), ir.PointerType(to))

        def load(at, index, to):
            return builder.load(pointer(at, index, to), align=4)

        shape = context.make_array(signature.args[0])(context, builder, arguments[0]).shape
        outputs, inputs = (builder.extract_value(shape, axis) for axis in range(2))
        zero, lanes = _INDEX(0), _INDEX(LANES)
        floor = _splat(builder, arguments[4])
        sums = [[cgutils.alloca_once(builder, _VECTOR) for _ in range(_VECTORS)] for _ in range(STRIPS)]
        with (
            cgutils.for_range_slice(builder, zero, outputs, _INDEX(STRIPS)) as (j, _1),
            cgutils.for_range_slice(builder, zero, lanes, _INDEX(WIDTH * _VECTORS)) as (s, _2),
        ):
            rows = [builder.add(j, _INDEX(row)) for row in range(STRIPS)]
            firsts = [builder.add(s, _INDEX(vector * WIDTH)) for vector in range(_VECTORS)]
            for row, own in zip(rows, sums, strict=True):
                value = _splat(builder, load(1, row, ir.FloatType()))
                for total in own:
                    builder.store(value, total)
            with cgutils.for_range_slice(builder, zero, inputs, _INDEX(1)) as (i, _3):
                given = [load(2, builder.add(builder.mul(i, lanes), first), _VECTOR) for first in firsts]
                for row, own in zip(rows, sums, strict=True):
                    weight = _splat(builder, load(0, builder.add(builder.mul(row, inputs), i), ir.FloatType()))
                    for total, vector in zip(own, given, strict=True):
                        product = builder.fmul(weight, vector, flags=("contract",))
                        builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
            for row, own in zip(rows, sums, strict=True):
                for total, first in zip(own, firsts, strict=True):
                    value = builder.load(total)
                    value = builder.select(builder.fcmp_ordered(">", value, floor), value, floor)
                    builder.store(value, pointer(3, builder.add(builder.mul(row, lanes), first), _VECTOR), align=4)
        return context.get_dummy_value()

    return types.void(weights, bias, x, y, types.float32), generate


@njit(cache=True)
def forward(layer, x, rectified, y):
    """Compute y [outputs, LANES] = weights x + biases of a Layer, negative values set to 0 if `rectified`."""
    least = np.float32(0) if rectified else np.float32(-np.inf)
    _multiply_add(layer.weights, layer.biases, x, y, least)  # pyright: ignore[reportCallIssue] (no typing context)


@fast_part
def add_gradients(gradient, x, dy):
    """Add the gradients of a layer's weights and biases to the Layer `gradient`: dy x^T and the sums of dy, over all lanes."""
    dweights, dbias = gradient.weights, gradient.biases
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
            values = x[i * LANES : (i + STRIPS) * LANES]
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
    """Turn gradients of rectified values into those of what was rectified: none where the value is 0."""
    for k in range(y.size):
        dy[k] = dy[k] if y[k] > 0 else np.float32(0)


@njit(cache=True)
def run_head(head, x, one, other):
    """Run all layers of a Head on inputs x; the outputs lie in the block returned, `one` or `other`."""
    weights, biases, sizes = head.weights, head.biases, head.sizes
    source = x
    weight = bias = 0
    for at in range(sizes.shape[0]):
        outputs, inputs = sizes[at, 0], sizes[at, 1]
        target = one if at % 2 == 0 else other
        matrix = weights[weight : weight + outputs * inputs].reshape(outputs, inputs)
        forward(Layer(matrix, biases[bias : bias + outputs]), source, at < sizes.shape[0] - 1, target)
        source = target
        weight += outputs * inputs
        bias += outputs
    return source
