"""The rate estimate of dense tables and its gradient in one compiled pass; `training.rate` has the formulas."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nerfsem_method.compiled import FAST, fast_part, njit
from nerfsem_method.raycast.lookup import LANES, line, look_up, new_scratch
from nerfsem_method.raycast.perceptron import Layer, add_gradients, forward, rectify_backward
from nerfsem_method.training.loops.density_cpu import TwoLayers
from nerfsem_method.training.loops.memory import ask_for
from nerfsem_method.training.loops.scatter import add_one, scatter

TABLE = np.dtype([
    ("first", np.int64), ("stop", np.int64), ("axes", np.int64, 3), ("dimensions", np.int64), ("resolution", np.int64),
    ("features", np.int64), ("first_part", np.int64), ("stop_part", np.int64), ("others", np.int64), ("net", np.int64, 4),
    ("width", np.int64), ("inputs", np.int64), ("outputs", np.int64), ("first_entry", np.int64), ("around", np.int64),
])  # fmt: skip
"""What the loop reads of a table: its rows in Entries, its shape, the parts that its contexts look up, how many other values
these have, where its net's weights, biases, weights, biases begin in the flat array of all nets, the net's padded sizes, the
number of its first entry among all, and at how many offsets the coder looks for neighbours."""
MOST_AROUND = 16
"""The coder looks at so many offsets at the most."""


class Neighbours(NamedTuple):
    """What the coder's regressions look at beside the context models (see `codec.neighbours`).

    Attributes:
        offsets: int64 [tables, MOST_AROUND, 3].
        mixing: float32 [tables, features, 2 + MOST_AROUND + features], the weight of the logit, a constant, and the
            weights of the signs at the offsets and of the vector's earlier signs.
        coded: int8 [values], whether a value of theta is coded.
    """

    offsets: np.ndarray
    mixing: np.ndarray
    coded: np.ndarray


class Drawn(NamedTuple):
    """Entries on which the rate is estimated.

    Attributes:
        picked: int64, entries by number in their table, those of table t from bounds[t] to bounds[t + 1].
        bounds: int64 [tables + 1].
        scales: float32 [tables], what a nat of each table counts.
    """

    picked: np.ndarray
    bounds: np.ndarray
    scales: np.ndarray


class Entries(NamedTuple):
    """All coded entries of the dense tables, table after table.

    Attributes:
        vertices: [E, 3] int32.
        firsts: int64 [E], where in theta an entry's first value lies.
        others: [E, C] float32, the values of its context that no look-up gives.
    """

    vertices: np.ndarray
    firsts: np.ndarray
    others: np.ndarray


@njit(cache=True, nogil=True, fastmath=FAST)
def tables_nats(rows, drawn, entries, neighbours, tables, theta, nets, thread, threads, learning, signs, gradients):
    """Return a part, one of `threads`, of the nats of the drawn entries, times their tables' scales.

    When `learning`, the gradients of that sum are added.

    All tables go into one call: one call for each table took nearly twice as long.

    Args:
        rows: [tables] TABLE.
        drawn, entries, neighbours, tables: Drawn, Entries, Neighbours and `encode_cpu.Tables`.
        theta: [values] float32.
        nets: all context models, flat; padded as in `perceptron`.
        signs, gradients: sums for theta, `Sums`, and for `nets`.
    """
    total = 0.0
    for t in range(rows.shape[0]):
        row, count = rows[t], drawn.bounds[t + 1] - drawn.bounds[t]
        first = drawn.bounds[t]
        picked = drawn.picked[first + count * thread // threads : first + count * (thread + 1) // threads]
        own = slice(row.first, row.stop)
        mine = Entries(entries.vertices[own], entries.firsts[own], entries.others[own])
        scale = drawn.scales[t]
        net, sums = _net(nets, row), _net(gradients, row)
        around = Neighbours(neighbours.offsets[t], neighbours.mixing[t], neighbours.coded)
        total += scale * _nats(row, picked, mine, around, tables, theta, net, scale, learning, signs, sums)
    return total


@njit(cache=True)
def _net(flat, row):
    """Return views of a table's net."""
    width, inputs, outputs = row.width, row.inputs, row.outputs
    weight0, bias0, weight1, bias1 = row.net[0], row.net[1], row.net[2], row.net[3]
    return TwoLayers(
        Layer(flat[weight0 : weight0 + width * inputs].reshape(width, inputs), flat[bias0 : bias0 + width]),
        Layer(flat[weight1 : weight1 + outputs * width].reshape(outputs, width), flat[bias1 : bias1 + outputs]),
    )


@njit(cache=True)
def _turned(layer):
    """Return the layer that takes gradients of outputs to gradients of inputs."""
    return Layer(np.ascontiguousarray(layer.weights.T), np.zeros(layer.weights.shape[1], np.float32))


@njit(cache=True)
def _find_neighbours(row, vertices, neighbours, offsets, theta, sums, near):
    """Write where in theta the first values of the neighbours of each vertex lie, and -1 for what is not there: near [S, N].

    In two passes, in each of which all memory is asked for that the next one, and then the rate, reads here and there.
    """
    side = row.resolution + 1
    for s in range(vertices.shape[0]):
        vertex = vertices[s]
        for n in range(row.around):
            apart = neighbours.offsets[n]
            x, y, z = vertex[0] + apart[0], vertex[1] + apart[1], vertex[2] + apart[2]
            near[s, n] = -1
            if min(x, y, z) >= 0 and max(x, y, z) < side:
                near[s, n] = row.first_entry + ((x * side + y) * side + z if row.dimensions == 3 else x * side + y)
                ask_for(offsets, near[s, n])  # pyright: ignore[reportCallIssue] (no typing context)
    for s in range(vertices.shape[0]):
        for n in range(row.around):
            if near[s, n] >= 0:
                value = np.int64(offsets[near[s, n]])
                near[s, n] = value if value < theta.size else -1
                if value < theta.size:
                    ask_for(neighbours.coded, value)  # pyright: ignore[reportCallIssue]
                    ask_for(theta, value)  # pyright: ignore[reportCallIssue]
                    ask_for(sums.values, value)  # pyright: ignore[reportCallIssue]


@njit(cache=True)
def _keep_coded(near, coded):
    """Write -1 for neighbours that are not coded."""
    for s in range(near.shape[0]):
        for n in range(near.shape[1]):
            if near[s, n] >= 0 and coded[near[s, n]] == 0:
                near[s, n] = -1


@fast_part
def _nats(row, picked, entries, neighbours, tables, theta, net, scale, learning, signs, gradients):
    """Return the nats of one table's drawn entries, unscaled; when `learning`, add the scaled gradients."""
    turned = TwoLayers(_turned(net.first), _turned(net.second))
    parts = tables.parts[row.first_part : row.stop_part]
    scratch = new_scratch()
    one = np.zeros((1, 3 * LANES), np.float32)
    points = one[0]
    x, hidden = np.zeros(net.first.weights.shape[1] * LANES, np.float32), np.zeros(net.first.biases.size * LANES, np.float32)
    out = np.zeros(net.second.biases.size * LANES, np.float32)
    d_x, d_hidden, d_out = np.zeros((1, x.size), np.float32), np.zeros_like(hidden), np.zeros_like(out)
    features, edge = row.features, np.float32(row.resolution)
    mixing, around, near_all = neighbours.mixing, row.around, np.full((LANES, MOST_AROUND), -1, np.int64)
    vertices, firsts = np.zeros((LANES, 3), np.int64), np.zeros(LANES, np.int64)
    own = 2 + MOST_AROUND
    total = 0.0
    for begin in range(0, picked.size, LANES):
        count = min(LANES, picked.size - begin)
        for s in range(LANES):
            entry = picked[begin + min(s, count - 1)]
            firsts[s] = entries.firsts[entry]
            for axis in range(3):
                vertices[s, axis] = entries.vertices[entry, axis]
            for axis in range(row.dimensions):
                points[row.axes[axis] * LANES + s] = np.float32(vertices[s, axis]) / edge
            ask_for(theta, firsts[s])  # pyright: ignore[reportCallIssue] (no typing context)
            ask_for(signs.values, firsts[s])  # pyright: ignore[reportCallIssue]
        _find_neighbours(row, vertices[:count], neighbours, tables.offsets, theta, signs, near_all)
        column = look_up(points, parts, tables.codes, scratch, x)
        for c in range(row.others):
            other = line(x, column + c)
            for s in range(LANES):
                other[s] = entries.others[picked[begin + min(s, count - 1)], c]
        forward(net.first, x, True, hidden)
        forward(net.second, hidden, False, out)
        d_out[:] = 0
        _keep_coded(near_all[:count, :around], neighbours.coded)
        factors = 1.0  # LANES * 8 factors of at most 2 each leave float64 enough range: one logarithm does for all
        for s in range(count):
            first, near = firsts[s], near_all[s]
            for f in range(features):
                logit = mixing[f, 0] * out[f * LANES + s] + mixing[f, 1]
                for n in range(row.around):
                    if near[n] >= 0:
                        logit += mixing[f, 2 + n] if theta[near[n] + f] >= 0 else -mixing[f, 2 + n]
                for g in range(f):
                    logit += mixing[f, own + g] if theta[first + g] >= 0 else -mixing[f, own + g]
                plus = np.float32(1) if theta[first + f] >= 0 else np.float32(0)
                small = np.exp(-abs(logit))
                factors *= 1.0 + np.float64(small)
                total += max(logit, np.float32(0)) - logit * plus
                if not learning:
                    continue
                probability = (np.float32(1) if logit >= 0 else small) / (np.float32(1) + small)
                d_logit = (probability - plus) * scale
                d_out[f * LANES + s] = d_logit * mixing[f, 0]
                for n in range(row.around):
                    if near[n] >= 0:
                        add_one(signs, near[n] + f, d_logit * mixing[f, 2 + n])
                for g in range(f):
                    add_one(signs, first + g, d_logit * mixing[f, own + g])
                add_one(signs, first + f, -logit * np.float32(0.5) * scale)
        total += np.log(factors)
        if not learning:
            continue
        add_gradients(gradients.second, hidden, d_out)
        forward(turned.second, d_out, False, d_hidden)
        rectify_backward(hidden, d_hidden)
        add_gradients(gradients.first, x, d_hidden)
        forward(turned.first, d_hidden, False, d_x[0])
        scatter(one, parts, tables.offsets, d_x, scratch, signs)
    return total
