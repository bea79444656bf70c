"""The gradient of the look-up is added to the signs of the tables' entries in compiled loops, LANES points at a time."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nerfsem_method.compiled import FAST, fast_part, njit
from nerfsem_method.raycast.lookup import LANES, corners, line


@njit(cache=True)
def _apart(i):
    """Return the lane of turn i: neighbours on a ray, which touch the same entries, do not follow each other."""
    return (i & 3) * (LANES // 4) + (i >> 2)


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
    def scatter_part(part, offsets, scratch, partial):
        own, shift = offsets[part.first_entry :], part.first_feature
        turned, weights, entries = scratch.gradient, scratch.weights, scratch.entries
        for pair in range(1 << (part.dimensions - 1)):
            for i in range(LANES):
                s = _apart(i)
                entry = np.uint64(entries[np.uint64(pair * LANES + s)])
                offset, after = own[entry] + shift, own[entry + np.uint64(1)] + shift
                lower, upper = weights[np.uint64(2 * pair * LANES + s)], weights[np.uint64((2 * pair + 1) * LANES + s)]
                if after == offset + features:
                    add(partial, offset, turned, features * s, lower, upper)  # pyright: ignore[reportCallIssue] (no typing context)
                else:  # the hull reaches only one of the two entries
                    for f in range(features):
                        partial[np.uint64(offset + f)] += lower * turned[s * features + f]
                        partial[np.uint64(after + f)] += upper * turned[s * features + f]

    return scatter_part


_scatter_ones, _scatter_twos, _scatter_fours = _scatterer(1), _scatterer(2), _scatterer(4)


@fast_part
def _scatter_any(part, offsets, scratch, partial):
    """Add the scratch's gradient [LANES, features], times the corners' weights, to `partial`."""
    own, shift, features, hashed = offsets[part.first_entry :], part.first_feature, part.features, part.hashed != 0
    turned, weights, entries = scratch.gradient, scratch.weights, scratch.entries
    for pair in range(1 << (part.dimensions - 1)):
        for i in range(LANES):
            s = _apart(i)
            k = pair * LANES + s
            offset, after = own[entries[k]] + shift, own[entries[k + 4 * LANES] if hashed else entries[k] + 1] + shift
            for f in range(features):
                partial[np.uint64(offset + f)] += weights[2 * pair * LANES + s] * turned[s * features + f]
                partial[np.uint64(after + f)] += weights[(2 * pair + 1) * LANES + s] * turned[s * features + f]


@fast_part
def scatter(points, parts, offsets, gradients, scratch, partial):
    """Add gradients [blocks, features, LANES] at points [blocks, 3, LANES] to those of the signs, `partial` [values].

    One table follows the other, so that what is added to stays in the cache. `offsets` [entries] int32 says where an entry's
    first value lies.
    """
    column = 0
    for p in range(parts.shape[0]):
        part = parts[p]
        features = part.features
        for block in range(points.shape[0]):
            corners(points[block], part, scratch)
            for f in range(features):
                given = line(gradients[block], column + f)
                for s in range(LANES):
                    scratch.gradient[s * features + f] = given[s]
            if not part.hashed and features == 1:
                _scatter_ones(part, offsets, scratch, partial)
            elif not part.hashed and features == 2:
                _scatter_twos(part, offsets, scratch, partial)
            elif not part.hashed and features == 4:
                _scatter_fours(part, offsets, scratch, partial)
            else:
                _scatter_any(part, offsets, scratch, partial)
        column += features
