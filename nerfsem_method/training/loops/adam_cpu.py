"""Adam's step for the tables of a field on the CPU: gradients are collected, and parameters moved, in one pass over memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nerfsem_method.compiled import FAST, njit
from nerfsem_method.training.loops.memory import ask_for
from nerfsem_method.training.loops.scatter import RUN

VANISHED = 1e-30
"""A first moment below this is 0: it would end as a denormal number, with which processors reckon a hundred times slower."""
AHEAD = 16
"""Memory is asked for so many runs before they are moved: what is touched lies too far apart for processors to foresee."""
_FLOATS, _BYTES = (ir.VectorType(kind, RUN) for kind in (ir.FloatType(), ir.IntType(8)))


class Rates(NamedTuple):
    """The numbers of one step (Kingma and Ba 2015, algorithm 1).

    Attributes:
        step: the learning rate over 1 - beta1^t.
        root: 1 / sqrt(1 - beta2^t).
        first, second: 1 - beta1 and 1 - beta2.
        epsilon: added to the root of the second moment.
    """

    step: float
    root: float
    first: float
    second: float
    epsilon: float


@njit(cache=True, nogil=True)
def adam(theta, coded, partial, touched, means, squares, rates, start, stop, turned):
    """Move the values start ... stop - 1 of theta by the gradients in partial [threads, values], and leave zeros there.

    What is moved is clipped to [-1, 1], see `grid_adam`. `means` and `squares` [values] are the moments. A run of `RUN` values to
    none of which a gradient comes stays as it is, moments and all; `start` is where one begins. Only runs are looked at that are
    marked in `touched` [threads, runs]; the marks are taken away. Runs in which a sign turns are marked in `turned` [runs].
    """
    whole = stop - (stop - start) % RUN
    marked, count = _take_marked(touched, start // RUN, whole // RUN)
    for i in range(count):
        run, later = marked[i], marked[min(i + AHEAD, count - 1)] * RUN
        for array in (theta, means, squares):
            ask_for(array, later)  # pyright: ignore[reportCallIssue] (no typing context)
        for thread in range(partial.shape[0]):
            ask_for(partial, thread * partial.shape[1] + later)  # pyright: ignore[reportCallIssue]
        if _move_run(theta, coded, partial, means, squares, run * RUN, rates):  # pyright: ignore[reportCallIssue]
            turned[np.uint64(run)] = 1
    if whole < stop:  # what is left at the end of theta is filled up
        touched[:, whole // RUN] = 0
        rest, kept = np.zeros((3, RUN), np.float32), np.zeros(RUN, np.int8)
        given, count = np.zeros((partial.shape[0], RUN), np.float32), stop - whole
        rest[0, :count], rest[1, :count], rest[2, :count] = theta[whole:stop], means[whole:stop], squares[whole:stop]
        kept[:count], given[:, :count], partial[:, whole:stop] = coded[whole:stop], partial[:, whole:stop], 0
        if _move_run(rest[0], kept, given, rest[1], rest[2], 0, rates):  # pyright: ignore[reportCallIssue]
            turned[whole // RUN] = 1
        theta[whole:stop], means[whole:stop], squares[whole:stop] = rest[0, :count], rest[1, :count], rest[2, :count]


@njit(cache=True)
def _take_marked(touched, start, stop):
    """Return the runs start ... stop - 1 that a thread has marked, ascending, and how many; take the marks away."""
    found, count = np.empty(stop - start + 1, np.int64), 0
    for run in range(start, stop):
        mark = touched[0, np.uint64(run)]
        for thread in range(1, touched.shape[0]):
            mark |= touched[thread, np.uint64(run)]
        found[np.uint64(count)] = run  # no branch: whether a run is marked cannot be foreseen
        count += np.int64(mark)
    touched[:, start:stop] = 0
    return found, count


@intrinsic
def _move_run(_, theta, coded, partial, means, squares, begin, rates):
    """Do what `adam` does for one run, and return whether a sign turns: in LLVM's vectors, as numba's loops over so few values
    take three to six times as long. The gradient of a sign passes straight through where |theta| <= 1 and the value is coded."""

    def generate(context, builder, signature, arguments):
        b, first = builder, arguments[5]
        arrays = [context.make_array(kind)(context, b, own) for kind, own in zip(signature.args[:5], arguments, strict=False)]
        threads, width = cgutils.unpack_tuple(b, arrays[2].shape)
        zero, one, least = (ir.Constant(_FLOATS, [float(np.float32(x))] * RUN) for x in (0, 1, VANISHED))
        numbers = [_spread(b, b.fptrunc(own, ir.FloatType())) for own in cgutils.unpack_tuple(b, arguments[6])]
        step, root, faster, slower, epsilon = numbers

        def at(array, offset, kind=_FLOATS):
            return b.bitcast(b.gep(array.data, [offset]), kind.as_pointer())

        def reckon(operation, *values):
            return operation(*values, flags=tuple(sorted(FAST)))

        def size(values):
            return b.select(b.fcmp_ordered(">=", values, zero), values, b.fsub(zero, values))

        def present(values):  # what is no number is present, too
            return b.fcmp_unordered("!=", values, zero)

        def any_of(flags):
            return b.icmp_unsigned("!=", b.bitcast(flags, ir.IntType(RUN)), ir.IntType(RUN)(0))

        total, given = (cgutils.alloca_once_value(b, zero) for _ in range(2))
        turns = cgutils.alloca_once_value(b, cgutils.false_bit)
        with cgutils.for_range(b, threads) as loop:
            added = b.load(at(arrays[2], b.add(b.mul(loop.index, width), first)), align=4)
            b.store(reckon(b.fadd, b.load(total), added), total)
            b.store(reckon(b.fadd, b.load(given), size(added)), given)  # what two threads have added may be nothing together
        with b.if_then(any_of(present(b.load(given)))):
            with cgutils.for_range(b, threads) as loop:
                b.store(zero, at(arrays[2], b.add(b.mul(loop.index, width), first)), align=4)
            places = [at(arrays[k], first) for k in (0, 3, 4)]
            own, mean, square = (b.load(place, align=4) for place in places)
            kept = b.icmp_unsigned("!=", b.load(at(arrays[1], first, _BYTES), align=1), ir.Constant(_BYTES, [0] * RUN))
            passes = b.and_(kept, b.fcmp_ordered("<=", size(own), one))
            gradient = b.select(passes, b.load(total), zero)
            with b.if_then(any_of(present(gradient))):
                mean = reckon(b.fadd, mean, reckon(b.fmul, reckon(b.fsub, gradient, mean), faster))
                mean = b.select(b.fcmp_unordered("<=", size(mean), least), zero, mean)
                change = reckon(b.fsub, reckon(b.fmul, gradient, gradient), square)
                square = reckon(b.fadd, square, reckon(b.fmul, change, slower))
                below = reckon(b.fadd, reckon(b.fmul, _root(b, square), root), epsilon)
                moved = reckon(b.fsub, own, reckon(b.fdiv, reckon(b.fmul, step, mean), below))
                flags = b.xor(b.fcmp_ordered(">=", moved, zero), b.fcmp_ordered(">=", own, zero))
                b.store(any_of(flags), turns)
                ends = b.select(b.fcmp_ordered(">=", moved, zero), one, b.fsub(zero, one))
                moved = b.select(b.fcmp_ordered(">", size(moved), one), ends, moved)
                for value, place in zip((moved, mean, square), places, strict=True):
                    b.store(value, place, align=4)
        return b.load(turns)

    return types.boolean(theta, coded, partial, means, squares, types.int64, rates), generate


def _spread(builder, number):
    """Return a vector of one number."""
    none = ir.Constant(_FLOATS, ir.Undefined)
    first = builder.insert_element(none, number, ir.IntType(32)(0))
    return builder.shuffle_vector(first, none, ir.Constant(ir.VectorType(ir.IntType(32), RUN), [0] * RUN))


def _root(builder, values):
    """Return the square roots of a vector."""
    kind = ir.FunctionType(_FLOATS, [_FLOATS])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{RUN}f32"), [values])
