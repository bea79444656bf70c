"""Pictures of a decoded field without torch: one compiled loop a ray, from the pixel to its colour (FORMAT.md, section 8).

`RadianceField.render` computes the same for training and on CUDA; a test compares the two.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from nerfsem_method.field.kernels import DIMENSIONS, FEATURES, UNIT_BOX, corners_of, span, table_row, voxel_distances
from nerfsem_method.field.slots import PADDING, Slots
from nerfsem_method.field.state import FieldState
from nerfsem_method.scene import Intrinsics

BLOCK = 256
"""Pixels that a thread takes at a time."""
TRANSPARENT = 1e-4
"""A ray ends where less of its light is left."""
_FAST = {"contract", "reassoc", "nsz", "arcp"}
"""For the heads only: where samples lie must not depend on the order of operations."""


@njit(cache=True, fastmath=_FAST)
def _layer(x, size, weights, bias, rectified, out):
    """out[:n] = bias + weights [n, m] x[:m], negative values set to 0 if `rectified`; size = (m, n)."""
    inputs, outputs = size
    for j in range(outputs):
        out[j] = bias[j]
    for i in range(inputs):
        value = x[i]
        for j in range(outputs):
            out[j] += value * weights[i, j]
    if rectified:
        for j in range(outputs):
            out[j] = max(out[j], np.float32(0))


@njit(cache=True)
def _features(point, tables, slots, signs, frequencies, firsts, corner_weights, out):
    """Features of all tables at point [1, 3], then the positional encoding."""
    column = 0
    for t in range(tables.shape[0]):
        table = table_row(tables, t)
        corners_of(point, 0, table, slots, firsts, corner_weights)
        corners = 1 << table[DIMENSIONS]
        for f in range(table[FEATURES]):
            total = np.float32(0)
            for corner in range(corners):
                total += corner_weights[corner] * np.float32(signs[firsts[corner] + f])
            out[column + f] = total
        column += table[FEATURES]
    if frequencies > 0:  # as `heads.positional_encoding`
        for axis in range(3):
            for k in range(frequencies):
                angle = point[0, axis] * np.float32(np.pi * 2.0**k)
                out[column + 2 * axis * frequencies + k] = np.sin(angle)
                out[column + (2 * axis + 1) * frequencies + k] = np.cos(angle)


@njit(cache=True)
def _harmonics(direction, degrees, out):
    """As `heads.spherical_harmonics`, of one direction."""
    x, y, z = direction
    out[0] = 1
    if degrees > 1:
        out[1], out[2], out[3] = y, z, x
    if degrees > 2:
        out[4], out[5], out[6], out[7], out[8] = x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y
    if degrees > 3:
        out[9], out[10], out[11] = y * (3 * x * x - y * y), x * y * z, y * (5 * z * z - 1)
        out[12], out[13] = z * (5 * z * z - 3), x * (5 * z * z - 1)
        out[14], out[15] = z * (x * x - y * y), x * (x * x - 3 * y * y)


@njit(cache=True)
def _head(inputs, head, hidden, other):
    """All layers of a head; the result lies in the array returned, one of `hidden` and `other`."""
    weights, biases, sizes = head
    source = inputs
    for layer in range(sizes.shape[0]):
        target = hidden if layer % 2 == 0 else other
        size = (sizes[layer, 0], sizes[layer, 1])
        _layer(source, size, weights[layer], biases[layer], layer < sizes.shape[0] - 1, target)
        source = target
    return source


@njit(cache=True)
def _color(inputs, head, hidden, other, rgb):
    """RGB [3] of geometry features and harmonics."""
    out = _head(inputs, head, hidden, other)
    for c in range(3):
        rgb[c] = np.float32(1) / (np.float32(1) + np.exp(-out[c]))


@njit(parallel=True, cache=True)
def _cast(viewing, rotation, origin, box, empty, steps, tables, slots, signs, density, color, shapes, pictures):
    """Fill pictures [P, 4], premultiplied RGBA without gain, along viewing [P, 3] turned by rotation [3, 3]."""
    features, geometry, degrees, frequencies, per_ray = shapes
    widest = max(density[1].shape[1], color[1].shape[1])
    side = empty.shape[0]
    step = np.float32(1.0 / steps)
    skip = np.float32(0.999) / (np.float32(side) * step)
    pixels = viewing.shape[0]
    for block in prange((pixels + BLOCK - 1) // BLOCK):
        encoded = np.empty(features, np.float32)
        hidden, other = np.empty(widest, np.float32), np.empty(widest, np.float32)
        inputs = np.empty(geometry + degrees * degrees, np.float32)
        rgb, summed = np.empty(3, np.float32), np.empty(max(geometry, 3), np.float32)
        firsts, corner_weights = np.empty(8, np.int64), np.empty(8, np.float32)
        point, direction = np.empty((1, 3), np.float32), np.empty(3, np.float32)
        for pixel in range(block * BLOCK, min((block + 1) * BLOCK, pixels)):
            for axis in range(3):
                direction[axis] = np.float32(
                    rotation[axis, 0] * viewing[pixel, 0]
                    + rotation[axis, 1] * viewing[pixel, 1]
                    + rotation[axis, 2] * viewing[pixel, 2]
                )
            near, far = span(origin, direction, UNIT_BOX)
            first, last = span(origin, direction, box)
            for c in range(4):
                pictures[pixel, c] = 0
            if first > last or near > far:
                continue
            summed[:] = 0
            _harmonics(direction, degrees, inputs[geometry:])
            light = np.float32(1)
            k = max(np.int64((first - near) / step) - 1, 0)
            while light > TRANSPARENT:
                distance = near + (np.float32(k) + np.float32(0.5)) * step
                if distance >= far or distance > last + step:
                    break
                k += 1
                for axis in range(3):
                    point[0, axis] = min(max(origin[axis] + distance * direction[axis], np.float32(0)), np.float32(1))
                x = min(np.int64(point[0, 0] * np.float32(side)), side - 1)
                y = min(np.int64(point[0, 1] * np.float32(side)), side - 1)
                z = min(np.int64(point[0, 2] * np.float32(side)), side - 1)
                away = empty[x, y, z]
                if away > 0:
                    k += np.int64(np.float32(away - 1) * skip)
                    continue
                _features(point, tables, slots, signs, frequencies, firsts, corner_weights, encoded)
                out = _head(encoded, density, hidden, other)
                left = np.exp(-np.exp(min(out[0] + np.float32(3), np.float32(15))) * step)
                weight = light * (np.float32(1) - left)
                light *= left
                if per_ray:
                    for g in range(geometry):
                        summed[g] += weight * out[1 + g]
                else:
                    for g in range(geometry):
                        inputs[g] = out[1 + g]
                    _color(inputs, color, hidden, other, rgb)
                    for c in range(3):
                        summed[c] += weight * rgb[c]
                pictures[pixel, 3] += weight
            alpha = pictures[pixel, 3]
            if per_ray and alpha > 0:
                for g in range(geometry):
                    inputs[g] = summed[g] / max(alpha, np.float32(1e-3))
                _color(inputs, color, hidden, other, rgb)
                for c in range(3):
                    pictures[pixel, c] = rgb[c] * alpha
            elif not per_ray:
                for c in range(3):
                    pictures[pixel, c] = summed[c]


class Raycaster:
    """Renders a decoded field on the CPU's cores."""

    def __init__(self, state: FieldState, camera: Intrinsics) -> None:
        spec = state.spec
        slots = Slots(spec, state.occupancy)
        self._size = (camera.height, camera.width)
        rows, columns = np.indices(self._size)
        viewing = camera.pixel_directions(np.stack([columns, rows], -1).reshape(-1, 2) + 0.5)
        self._viewing = viewing / np.linalg.norm(viewing, axis=1, keepdims=True)
        self._empty = voxel_distances(state.occupancy)
        self._box = _bounds(state.occupancy)
        self._grids = (slots.rows, slots.map, np.pad(slots.flat(state.tables), (0, PADDING)))
        layers = {"density": 2, "color": spec.color_layers + 1}
        self._heads = [_packed(state, head, count) for head, count in layers.items()]
        features = spec.features + 6 * spec.frequencies
        per_ray = spec.shading == "ray"
        self._shapes = (features, spec.geometry, spec.directions, spec.frequencies, per_ray)
        self._steps = spec.steps

    def picture(self, pose: np.ndarray) -> np.ndarray:
        """The field seen from cam_from_world [3, 4]: float32 [H, W, 4], premultiplied RGBA without gain."""
        rotation = np.ascontiguousarray(pose[:, :3].T)
        origin = (-rotation @ pose[:, 3]).astype(np.float32)
        pictures = np.empty((len(self._viewing), 4), np.float32)
        view = (self._viewing, rotation, origin, self._box, self._empty)
        _cast(*view, self._steps, *self._grids, *self._heads, self._shapes, pictures)
        return pictures.reshape(*self._size, 4)


def _bounds(occupancy: np.ndarray) -> np.ndarray:
    """Lower and upper bound of the occupied voxels along each axis: [3, 2] float32, empty where there is none."""
    bounds = np.zeros((3, 2), np.float32)
    for axis in range(3):
        used = np.flatnonzero(occupancy.any(tuple({0, 1, 2} - {axis})))
        if used.size:
            bounds[axis] = used[0] / occupancy.shape[0], (used[-1] + 1) / occupancy.shape[0]
    return bounds


def _packed(state: FieldState, head: str, layers: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A head in arrays of the same kind whatever its number of layers.

    Returns weights [layers, most inputs, most outputs] and biases [layers, most outputs], float32, and sizes [layers, 2].
    """
    weights = [state.heads[f"{head}.{layer}.weight"].values for layer in range(layers)]
    biases = [state.heads[f"{head}.{layer}.bias"].values for layer in range(layers)]
    sizes = np.array([weight.shape[::-1] for weight in weights], np.int64)
    widest = sizes.max(0)
    stacked = np.zeros((len(weights), *widest), np.float32)
    padded = np.zeros((len(weights), widest[1]), np.float32)
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        stacked[layer, : weight.shape[1], : weight.shape[0]] = weight.T
        padded[layer, : len(bias)] = bias
    return stacked, padded, sizes
