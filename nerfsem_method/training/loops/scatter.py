"""The gradient of the look-up is added to the signs of the tables' entries in compiled loops, LANES points at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nerfsem_method.compiled import FAST, fast_part, njit
from nerfsem_method.raycast.lookup import LANES, corners, line, new_scratch
from nerfsem_method.training.loops.memory import ask_for

RUN = 16
"""The values of theta are kept in runs of so many: those that no gradient comes to are left alone, those that stay are not
packed again."""


class Sums(NamedTuple):
    """Gradients of the signs, as a thread adds them up.

    Attributes:
        values: float32 [values + PADDING].
        touched: uint8 [runs], 1 where something was added to a value of a run: a step looks at no other.
    """

    values: np.ndarray
    touched: np.ndarray


@njit(cache=True)
def add_one(sums, value, gradient):
    """Add a gradient to that of one sign."""
    sums.values[np.uint64(value)] += gradient
    sums.touched[np.uint64(value) // np.uint64(RUN)] = 1


@njit(cache=True)
def _apart(i):
    """Return the lane of turn i: neighbours on a ray, which touch the same entries, do not follow each other."""
    return (i & 3) * (LANES // 4) + (i >> 2)


@njit(cache=True)
def _find_values(part, offsets, entries, values):
    """Replace the entries of corners, as `lookup.corners` finds them, by where their first values lie, upper ones of dense tables
    included, and have these fetched: they are added to in an order in which one would wait for the other."""
    own, shift = offsets[np.uint64(part.first_entry) :], np.int32(part.first_feature)
    first, stride = own[0] + shift, own[1] - own[0]
    for k in range((1 << (part.dimensions - 1)) * LANES):
        lower, upper = np.uint64(k), np.uint64(k + 4 * LANES)
        if part.hashed:  # every entry has values, so that nothing need be read
            entries[lower], entries[upper] = first + stride * entries[lower], first + stride * entries[upper]
            ask_for(values, np.int64(entries[upper]))  # pyright: ignore[reportCallIssue] (no typing context)
        else:
            entry = np.uint64(entries[lower])
            entries[lower], entries[upper] = own[entry] + shift, own[entry + np.uint64(1)] + shift
        ask_for(values, np.int64(entries[lower]))  # pyright: ignore[reportCallIssue]


def _adder(features: int):
    """Return the addition for dense tables of so many features, in LLVM's vectors: numba leaves LLVM no leave to find them."""
    single, double = (ir.VectorType(ir.FloatType(), entries * features) for entries in (1, 2))

    @intrinsic
    def add(_, target, offset, source, first, lower, upper):
        """Add lower * v and upper * v to target[offset : offset + 2 * features], v = source[first : first + features]."""

        def generate(context, builder, signature, arguments):
            def pointer(at, kind):
                array = context.make_array(signature.args[at])(context, builder, arguments[at])
                return builder.bitcast(builder.gep(array.data, [arguments[at + 1]]), ir.PointerType(kind))

            def spread(vector, order):
                lanes = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order)
                return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), lanes)

            factors = ir.Constant(ir.VectorType(ir.FloatType(), 2), ir.Undefined)
            for lane, argument in enumerate(arguments[4:]):
                factors = builder.insert_element(factors, argument, ir.Constant(ir.IntType(32), lane))
            factors = spread(factors, [0] * features + [1] * features)
            values = spread(builder.load(pointer(2, single), align=4), [*range(features)] * 2)
            product = builder.fmul(factors, values, flags=("contract",))
            where = pointer(0, double)
            builder.store(builder.fadd(builder.load(where, align=4), product, flags=("contract",)), where, align=4)
            return context.get_dummy_value()

        index = types.int64
        return types.void(target, index, source, index, types.float32, types.float32), generate

    return add


def _scatterer(features: int):
    """Return `_scatter_any` for a dense table's part with so many features.

    It is cached with its callers: what is made here has no name of its own.
    """
    add = _adder(features)

    @njit(fastmath=FAST, forceinline=True)
    def add_pairs(part, offsets, scratch, sums):
        partial, touched = sums.values, sums.touched
        _find_values(part, offsets, scratch.entries, partial)
        turned, weights, places = scratch.gradient, scratch.weights, scratch.entries
        for pair in range(1 << (part.dimensions - 1)):
            for i in range(LANES):
                s = _apart(i)
                offset, after = places[np.uint64(pair * LANES + s)], places[np.uint64((4 + pair) * LANES + s)]
                lower, upper = weights[np.uint64(2 * pair * LANES + s)], weights[np.uint64((2 * pair + 1) * LANES + s)]
                if after == offset + features:
                    add(partial, offset, turned, features * s, lower, upper)  # pyright: ignore[reportCallIssue] (no typing context)
                    touched[np.uint64(offset) // np.uint64(RUN)] = 1
                    touched[np.uint64(offset + 2 * features - 1) // np.uint64(RUN)] = 1
                else:  # the hull reaches only one of the two entries
                    for f in range(features):
                        add_one(sums, offset + f, lower * turned[s * features + f])
                        add_one(sums, after + f, upper * turned[s * features + f])

    return add_pairs


_scatter_ones, _scatter_twos, _scatter_fours = _scatterer(1), _scatterer(2), _scatterer(4)


@fast_part
def _scatter_any(part, offsets, scratch, sums):
    """Add the scratch's gradient [LANES, features], times the corners' weights, to `sums`."""
    _find_values(part, offsets, scratch.entries, sums.values)
    features, turned, weights, places = part.features, scratch.gradient, scratch.weights, scratch.entries
    for pair in range(1 << (part.dimensions - 1)):
        for i in range(LANES):
            s = _apart(i)
            offset, after = places[np.uint64(pair * LANES + s)], places[np.uint64((4 + pair) * LANES + s)]
            for f in range(features):
                add_one(sums, offset + f, weights[2 * pair * LANES + s] * turned[s * features + f])
                add_one(sums, after + f, weights[(2 * pair + 1) * LANES + s] * turned[s * features + f])


@fast_part
def scatter(points, parts, offsets, gradients, scratch, sums):
    """Add gradients [blocks, features, LANES] at points [blocks, 3, LANES] to those of the signs, `Sums`.

    One table follows the other, so that what is added to stays in the cache. `offsets` [entries] int32 says where an entry's
    first value lies.
    """
    column = 0
    for p in range(parts.shape[0]):
        _scatter_one(points, parts[p], column, offsets, gradients, scratch, sums)
        column += parts[p].features


@fast_part
def _scatter_one(points, part, column, offsets, gradients, scratch, sums):
    """Do what `scatter` does for one part of a table, whose gradients are the features from `column` on."""
    features = part.features
    for block in range(points.shape[0]):
        corners(points[block], part, scratch)
        for f in range(features):
            given = line(gradients[block], column + f)
            for s in range(LANES):
                scratch.gradient[s * features + f] = given[s]
        if not part.hashed and features == 1:
            _scatter_ones(part, offsets, scratch, sums)
        elif not part.hashed and features == 2:
            _scatter_twos(part, offsets, scratch, sums)
        elif not part.hashed and features == 4:
            _scatter_fours(part, offsets, scratch, sums)
        else:
            _scatter_any(part, offsets, scratch, sums)


@njit(cache=True, nogil=True)
def scatter_part(points, parts, own, groups, offsets, gradients, sums):
    """Do what `scatter` does for the part `own` alone, with the blocks of each of the `groups` [groups, (start, stop)] in turn.

    Parts share no sign, so that threads which take one each may all add to the same `sums`.
    """
    scratch, column = new_scratch(), parts["features"][:own].sum()
    for start, stop in groups:
        _scatter_one(points[start:stop], parts[own], column, offsets, gradients[start:stop], scratch, sums)
