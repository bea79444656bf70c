"""The gradient of the look-up, compiled: added to the signs of the tables' entries, LANES points at a time as in `lookup`."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nerfsem_method.compiled import njit
from nerfsem_method.raycast.lookup import (
    DIMENSIONS,
    FAST,
    FEATURES,
    FIRST_ENTRY,
    FIRST_FEATURE,
    HASHED,
    LANES,
    corners,
    line,
    load_points,
    look_up_room,
)


@njit(cache=True)
def _apart(i):
    """The lanes in an order in which neighbours on a ray, which touch the same entries, do not follow each other."""
    return (i & 3) * (LANES // 4) + (i >> 2)


def _adder(features: int):
    """Vectors are asked for by name: LLVM is not left to find them by itself (numba switches that off)."""
    single, double = (ir.VectorType(ir.FloatType(), corners * features) for corners in (1, 2))

    @intrinsic
    def add(_, target, place, source, first, lower, upper):
        """target[place : place + 2 * features] += lower * v, upper * v, where v = source[first : first + features]; float32."""

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
    """`_scatter_any` of a dense table's part with so many features. Cached with its callers: what is made here has no name."""
    add = _adder(features)

    @njit(fastmath=FAST)
    def scatter_part(row, places, turned, weights, entries, partial):
        own, shift = places[row[FIRST_ENTRY] :], row[FIRST_FEATURE]
        for pair in range(1 << (row[DIMENSIONS] - 1)):
            for i in range(LANES):
                s = _apart(i)
                entry = np.uint64(entries[np.uint64(pair * LANES + s)])
                place, after = own[entry] + shift, own[entry + np.uint64(1)] + shift
                lower, upper = weights[np.uint64(2 * pair * LANES + s)], weights[np.uint64((2 * pair + 1) * LANES + s)]
                if after == place + features:
                    add(partial, place, turned, features * s, lower, upper)  # pyright: ignore[reportCallIssue] (no typing context)
                else:  # not both can be reached
                    for f in range(features):
                        partial[np.uint64(place + f)] += lower * turned[s * features + f]
                        partial[np.uint64(after + f)] += upper * turned[s * features + f]

    return scatter_part


_scatter_ones, _scatter_twos, _scatter_fours = _scatterer(1), _scatterer(2), _scatterer(4)


@njit(cache=True, fastmath=FAST)
def _scatter_any(row, places, turned, weights, entries, partial):
    """Add turned [LANES, features], times the corners' weights, to `partial`."""
    own = places[row[FIRST_ENTRY] :]
    shift, features, hashed = row[FIRST_FEATURE], row[FEATURES], row[HASHED] != 0
    for pair in range(1 << (row[DIMENSIONS] - 1)):
        for i in range(LANES):
            s = _apart(i)
            k = pair * LANES + s
            place, after = own[entries[k]] + shift, own[entries[k + 4 * LANES] if hashed else entries[k] + 1] + shift
            for f in range(features):
                partial[np.uint64(place + f)] += weights[2 * pair * LANES + s] * turned[s * features + f]
                partial[np.uint64(after + f)] += weights[(2 * pair + 1) * LANES + s] * turned[s * features + f]


@njit(cache=True, fastmath=FAST)
def scatter(points, parts, places, gradients, room, partial):
    """Add gradients [blocks, features, LANES] at points [blocks, 3, LANES] to those of the signs, `partial` [values].

    One table after the other, so that what is added to stays in the cache. `places` [entries] int32 says where an entry's
    first value lies.
    """
    base, fraction, weights, entries, _, turned = room
    column = 0
    for p in range(parts.shape[0]):
        row = parts[p]
        features = row[FEATURES]
        for block in range(points.shape[0]):
            corners(points[block], row, base, fraction, weights, entries)
            for f in range(features):
                given = line(gradients[block], column + f)
                for s in range(LANES):
                    turned[s * features + f] = given[s]
            if not row[HASHED] and features == 1:
                _scatter_ones(row, places, turned, weights, entries, partial)
            elif not row[HASHED] and features == 2:
                _scatter_twos(row, places, turned, weights, entries, partial)
            elif not row[HASHED] and features == 4:
                _scatter_fours(row, places, turned, weights, entries, partial)
            else:
                _scatter_any(row, places, turned, weights, entries, partial)
        column += features


@njit(cache=True, nogil=True)
def encode_backward(positions, start, stop, parts, places, gradient, partial):
    """Add the gradient [S, features] of `encode` to that of the signs, partial [values]."""
    features = gradient.shape[1]
    blocks = (stop - start + LANES - 1) // LANES
    points = np.empty((blocks, 3 * LANES), np.float32)
    gradients = np.empty((blocks, features * LANES), np.float32)
    for block in range(blocks):
        first = start + block * LANES
        count = min(LANES, stop - first)
        load_points(positions, first, count, points[block])
        own = gradient[first : first + count]
        for f in range(features):
            given = line(gradients[block], f)
            for s in range(count):
                given[s] = own[s, f]
            given[count:] = 0
    scatter(points, parts, places, gradients, look_up_room(), partial)
