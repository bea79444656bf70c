"""The rate estimate of dense tables and its gradient in one compiled pass; see `rate`."""

from __future__ import annotations

import numpy as np

from nerfsem_method.compiled import njit
from nerfsem_method.compiled.threads import THREADS
from nerfsem_method.raycast.lookup import FAST, LANES, line, look_up, look_up_room
from nerfsem_method.raycast.perceptron import layer, layer_backward, rectify_backward
from nerfsem_method.training.loops.scatter import scatter

# columns of the description of the tables; the last ones are where its net's weight, bias, weight, bias begin, and their sizes
ENTRY, STOP, AXIS, DIMENSIONS, RESOLUTION, FEATURES, PART, PART_STOP, OTHERS, NET = 0, 1, 2, 5, 6, 7, 8, 9, 10, 11
COLUMNS = NET + 7


@njit(cache=True, nogil=True, fastmath=FAST)
def tables_nats(tables, picked, bounds, scales, thread, own, context, theta, nets, partial, gradients):
    """A thread's share of the nats of drawn entries, times their tables' scales; adds the gradients of that sum.

    All tables in one call: one call for each table took nearly twice as long.

    Args:
        tables: int64 [tables, COLUMNS], one row a table; its entries lie one after the other in `own` and `others`.
        picked: drawn entries [P] int64 by number in their table, those of table t from bounds[t] to bounds[t + 1].
        scales: [tables] float32, what a nat counts.
        own: vertices [E, 3] int32, and the place of each entry's first sign in theta, int64 [E].
        context: parts, codes and places of all tables (`BinaryGrids`), and the contexts' other values [E, C] float32.
        nets: all context models, flat; padded as in `perceptron`.
        partial, gradients: sums for theta [values] and for `nets`.
    """
    vertices, firsts = own
    parts, codes, places, others = context
    total = 0.0
    for t in range(tables.shape[0]):
        row, count = tables[t], bounds[t + 1] - bounds[t]
        drawn = picked[bounds[t] + count * thread // THREADS : bounds[t] + count * (thread + 1) // THREADS]
        entries = slice(row[ENTRY], row[STOP])
        table = row, vertices[entries], firsts[entries]
        previous = parts[row[PART] : row[PART_STOP]], codes, places, others[entries]
        total += scales[t] * _nats(drawn, table, previous, theta, _net(nets, row), scales[t], partial, _net(gradients, row))
    return total


@njit(cache=True)
def _net(flat, row):
    """Views of a table's weight, bias, weight, bias."""
    first, bias, second, last = row[NET], row[NET + 1], row[NET + 2], row[NET + 3]
    width, inputs, outputs = row[NET + 4], row[NET + 5], row[NET + 6]
    weight0, weight1 = flat[first : first + width * inputs], flat[second : second + outputs * width]
    return (
        weight0.reshape(width, inputs), flat[bias : bias + width], weight1.reshape(outputs, width), flat[last : last + outputs]
    )  # fmt: skip


@njit(cache=True, fastmath=FAST)
def _nats(drawn, table, context, theta, net, scale, partial, gradients):
    """Those of one table, unscaled."""
    row, vertices, firsts = table
    parts, codes, places, others = context
    weight0, bias0, weight1, bias1 = net
    d_weight0, d_bias0, d_weight1, d_bias1 = gradients
    turned0, turned1 = np.ascontiguousarray(weight0.T), np.ascontiguousarray(weight1.T)
    room = look_up_room()
    one = np.zeros((1, 3 * LANES), np.float32)
    points = one[0]
    x, h = np.zeros(weight0.shape[1] * LANES, np.float32), np.zeros(bias0.size * LANES, np.float32)
    out, d_out = np.zeros(bias1.size * LANES, np.float32), np.zeros(bias1.size * LANES, np.float32)
    d_x, d_h = np.zeros((1, x.size), np.float32), np.zeros_like(h)
    none = np.zeros(max(turned0.shape[0], turned1.shape[0]), np.float32)
    features, edge = row[FEATURES], np.float32(row[RESOLUTION])
    total = 0.0
    for begin in range(0, drawn.size, LANES):
        count = min(LANES, drawn.size - begin)
        for s in range(LANES):
            entry = drawn[begin + min(s, count - 1)]
            for axis in range(row[DIMENSIONS]):
                points[row[AXIS + axis] * LANES + s] = np.float32(vertices[entry, axis]) / edge
        column = look_up(points, parts, codes, room, x)
        for c in range(row[OTHERS]):
            other = line(x, column + c)
            for s in range(LANES):
                other[s] = others[drawn[begin + min(s, count - 1)], c]
        layer(weight0, bias0, x, True, h)
        layer(weight1, bias1, h, False, out)
        d_out[:] = 0
        factors = 1.0  # of at most 2 each, LANES * 8 of them: one logarithm for all
        for s in range(count):
            first = firsts[drawn[begin + s]]
            for f in range(features):
                logit = out[f * LANES + s]
                plus = np.float32(1) if theta[first + f] >= 0 else np.float32(0)
                small = np.exp(-abs(logit))
                factors *= 1.0 + np.float64(small)
                total += max(logit, np.float32(0)) - logit * plus
                probability = (np.float32(1) if logit >= 0 else small) / (np.float32(1) + small)
                d_out[f * LANES + s] = (probability - plus) * scale
                partial[first + f] -= logit * np.float32(0.5) * scale
        total += np.log(factors)
        layer_backward(h, d_out, d_weight1, d_bias1)
        layer(turned1, none, d_out, False, d_h)
        rectify_backward(h, d_h)
        layer_backward(x, d_h, d_weight0, d_bias0)
        layer(turned0, none, d_h, False, d_x[0])
        scatter(one, parts, places, d_x, room, partial)
    return total
