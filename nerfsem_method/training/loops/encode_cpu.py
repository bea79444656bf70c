"""Binary grids on the CPU: signs are packed into codes, looked up and interpolated, and gradients of the signs are collected."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nerfsem_method.compiled import FAST, njit
from nerfsem_method.raycast.lookup import CODED, LANES, line, load_points, look_up, new_scratch
from nerfsem_method.training.loops.scatter import RUN, scatter


class Tables(NamedTuple):
    """Trainable tables as the loops read them.

    Attributes:
        parts: [parts] PART, see `lookup.table_parts`.
        codes: uint8, the present symbols, see `lookup`.
        offsets: int32 [entries], where in theta the first value of each entry of all tables lies.
    """

    parts: np.ndarray
    codes: np.ndarray
    offsets: np.ndarray


class Slots(NamedTuple):
    """Where the slots of each part of a table are found.

    Attributes:
        begin, count: int64 [parts], the part's slots are entries[begin : begin + count].
        first, stride: int64 [parts], the part's first value in theta, and the way from one slot's to the next one's.
        entries: int32, the entry of each slot, table after table.
    """

    begin: np.ndarray
    count: np.ndarray
    first: np.ndarray
    stride: np.ndarray
    entries: np.ndarray


@njit(cache=True, nogil=True)
def encode(positions, start, stop, tables, out):
    """Write the features [S, features] at positions [S, 3] in [0, 1], for the points start ... stop - 1."""
    scratch, points = new_scratch(), np.zeros(3 * LANES, np.float32)
    features = out.shape[1]
    block = np.zeros(features * LANES, np.float32)
    for first in range(start, stop, LANES):
        count = min(LANES, stop - first)
        load_points(positions, first, count, points)
        look_up(points, tables.parts, tables.codes, scratch, block)
        own = out[first : first + count]
        for f in range(features):
            found = line(block, f)
            for s in range(count):
                own[s, f] = found[s]


@njit(cache=True, nogil=True)
def encode_backward(positions, start, stop, tables, gradient, sums):
    """Add the gradient [S, features] of `encode` to those of the signs, `Sums`."""
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
    scatter(points, tables.parts, tables.offsets, gradients, new_scratch(), sums)


@njit(cache=True, nogil=True)
def pack(theta, coded, parts, slots, turned, thread, threads, codes):
    """Write the codes of one of `threads` parts of each table's slots, from the real parameters theta [values]; see `lookup`.

    Only slots are written that lie in runs marked in `turned` [runs]. The threads' number is an argument: a constant would be
    compiled in, and stay in the cache for processes of another number.
    """
    for p in range(parts.shape[0]):
        begin, count, first, stride = slots.begin[p], slots.count[p], slots.first[p], slots.stride[p]
        own, features = codes[parts[p].first_code :], parts[p].features
        slot, stop = count * thread // threads, count * (thread + 1) // threads
        if slot == stop:
            continue
        last = first + (stop - 1) * stride + features - 1
        for run in range((first + slot * stride) // RUN, last // RUN + 1):
            if turned[np.uint64(run)] != 0:
                start = max(slot, -((first + features - 1 - run * RUN) // stride))  # whose vector reaches into the run
                after = min(stop, ((run + 1) * RUN - first + stride - 1) // stride)
                entries = slots.entries[begin + start : begin + after]
                _pack_slots(theta, coded, entries, first + start * stride, stride, features, own)


@njit(cache=True)
def _pack_slots(theta, coded, entries, first, stride, features, own):
    """Write the codes of these entries of a table's part; the values of the first one begin at `first`."""
    for k in range(entries.size):
        value, code = np.uint64(first + k * stride), CODED
        for f in range(features):
            code |= np.int64(theta[value + np.uint64(f)] >= 0) << f
        own[np.uint64(entries[k])] = code if coded[value] != 0 else 0


@njit(cache=True, nogil=True, fastmath=FAST)
def collect(theta, coded, partial, start, stop, out):
    """Sum partial [threads, values] over threads into out[: stop - start], for the values start ... stop - 1; leave zeros behind.

    The gradient of a sign passes straight through where |theta| <= 1 and the value is coded.
    """
    count = stop - start
    for thread in range(partial.shape[0]):
        given = partial[thread, start:stop]
        for i in range(count):
            out[i] = given[i] if thread == 0 else out[i] + given[i]
        given[:] = 0
    own, kept = theta[start:stop], coded[start:stop]
    for i in range(count):
        out[i] = out[i] if kept[i] != 0 and abs(own[i]) <= 1 else np.float32(0)
