"""The rate estimate of one table's entries and its gradient in one compiled pass; see `rate`."""

from __future__ import annotations

import numpy as np
from numba import njit

from nerfsem_method.field.lookup import FAST, LANES, line, look_up, look_up_room, scatter
from nerfsem_method.field.perceptron import layer, layer_backward, rectify_backward


@njit(cache=True, nogil=True, fastmath=FAST)
def entries_nats(picked, start, stop, table, context, theta, net, scale, partial, gradients):
    """Nats of the entries picked[start : stop] of a table whose entries are vertices.

    Args:
        table: vertices [E, d] int64, their axes (three numbers, the first d count), resolution, places [E, F] of the signs
            in theta.
        context: parts, codes and places of the previous tables, and the context's other values [E, C] in units of 1/256.
        net: weight, bias, weight, bias of the context model, padded as in `perceptron`, and the two weights turned.
        scale: what a nat counts; gradients of the scaled sum are added to `partial` [values] and to `gradients`, four
            arrays like the first four of `net`.
    """
    vertices, axes, resolution, own = table
    parts, codes, places, others = context
    weight0, bias0, weight1, bias1, turned0, turned1 = net
    d_weight0, d_bias0, d_weight1, d_bias1 = gradients
    room = look_up_room()
    one = np.zeros((1, 3 * LANES), np.float32)
    points = one[0]
    x, h = np.zeros(weight0.shape[1] * LANES, np.float32), np.zeros(bias0.size * LANES, np.float32)
    out, d_out = np.zeros(bias1.size * LANES, np.float32), np.zeros(bias1.size * LANES, np.float32)
    d_x, d_h = np.zeros((1, x.size), np.float32), np.zeros_like(h)
    none = np.zeros(max(turned0.shape[0], turned1.shape[0]), np.float32)
    features = own.shape[1]
    total = 0.0
    for first in range(start, stop, LANES):
        count = min(LANES, stop - first)
        for s in range(LANES):
            entry = picked[first + min(s, count - 1)]
            for axis in range(vertices.shape[1]):
                points[axes[axis] * LANES + s] = np.float32(vertices[entry, axis]) / np.float32(resolution)
        column = look_up(points, parts, codes, room, x)
        for c in range(others.shape[1]):
            values = line(x, column + c)
            for s in range(LANES):
                values[s] = np.float32(others[picked[first + min(s, count - 1)], c]) * np.float32(1 / 256)
        layer(weight0, bias0, x, True, h)
        layer(weight1, bias1, h, False, out)
        d_out[:] = 0
        for s in range(count):
            entry = picked[first + s]
            for f in range(features):
                logit = out[f * LANES + s]
                place = own[entry, f]
                plus = np.float32(1) if theta[place] >= 0 else np.float32(0)
                small = np.exp(-abs(logit))
                total += max(logit, np.float32(0)) + np.log1p(small) - logit * plus
                probability = (np.float32(1) if logit >= 0 else small) / (np.float32(1) + small)
                d_out[f * LANES + s] = (probability - plus) * scale
                partial[place] -= logit * np.float32(0.5) * scale
        layer_backward(h, d_out, d_weight1, d_bias1)
        layer(turned1, none, d_out, False, d_h)
        rectify_backward(h, d_h)
        layer_backward(x, d_h, d_weight0, d_bias0)
        layer(turned0, none, d_h, False, d_x[0])
        scatter(one, parts, places, d_x, room, partial)
    return total
