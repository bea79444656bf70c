"""Pictures of a decoded field without torch (FORMAT.md, section 8): LANES rays at a time, each at its own next sample.

`RadianceField.render` computes the same for training and on CUDA; a test compares the two.
"""

from __future__ import annotations

import numpy as np

from nerfsem_method.compiled import njit
from nerfsem_method.compiled.threads import in_turns
from nerfsem_method.field.state import FieldState
from nerfsem_method.raycast.lookup import FAST, LANES, look_up, look_up_room, table_codes, table_parts, waves
from nerfsem_method.raycast.marching import SKIPPED, UNIT_BOX, span, voxel_distances
from nerfsem_method.raycast.perceptron import packed, run_head
from nerfsem_method.scene.camera import Intrinsics

TILE = 1 << 14
"""Pixels that a thread takes at a time."""
TRANSPARENT = 1e-4
"""A ray ends where less of its light is left."""

# what is known of the ray in a lane: integers, and numbers of which the last ones are sums of C values
PIXEL, STEP = range(2)
NEAR, FAR, LIGHT, ALPHA, DIRECTION, POSITION = 0, 1, 2, 3, 4, 7
SUMS = 10


@njit(cache=True)
def _harmonics(x, y, z, degrees, lane, out):
    """As `heads.spherical_harmonics`, of one direction, into a lane of out [degrees ** 2, LANES]."""
    out[lane] = 1
    if degrees > 1:
        out[LANES + lane], out[2 * LANES + lane], out[3 * LANES + lane] = y, z, x
    if degrees > 2:
        out[4 * LANES + lane], out[5 * LANES + lane], out[6 * LANES + lane] = x * y, y * z, 3 * z * z - 1
        out[7 * LANES + lane], out[8 * LANES + lane] = x * z, x * x - y * y
    if degrees > 3:
        out[9 * LANES + lane], out[10 * LANES + lane] = y * (3 * x * x - y * y), x * y * z
        out[11 * LANES + lane], out[12 * LANES + lane] = y * (5 * z * z - 1), z * (5 * z * z - 3)
        out[13 * LANES + lane], out[14 * LANES + lane] = x * (5 * z * z - 1), z * (x * x - y * y)
        out[15 * LANES + lane] = x * (x * x - 3 * y * y)


@njit(cache=True)
def _begin(viewing, pixel, rotation, origin, box, step, where, ray):
    """Aim the ray of a pixel at the box of occupied voxels; False if it misses."""
    for axis in range(3):
        ray[DIRECTION + axis] = np.float32(
            rotation[axis, 0] * viewing[pixel, 0]
            + rotation[axis, 1] * viewing[pixel, 1]
            + rotation[axis, 2] * viewing[pixel, 2]
        )
    direction = ray[DIRECTION : DIRECTION + 3]
    near, far = span(origin, direction, UNIT_BOX)
    first, last = span(origin, direction, box)
    if first > last or near > far:
        return False
    ray[NEAR], ray[FAR], ray[LIGHT] = near, min(far, last + step), np.float32(1)
    ray[ALPHA] = 0
    ray[SUMS:] = 0
    where[PIXEL], where[STEP] = pixel, max(np.int64((first - near) / step) - 1, 0)
    return True


@njit(cache=True)
def _advance(origin, step, empty, where, ray):
    """Go on to the next sample in an occupied voxel; False where there is none."""
    side = np.int32(empty.shape[0])
    last, scale = np.int32(side - 1), np.float32(side)
    skip = SKIPPED / (scale * step)
    zero, one = np.float32(0), np.float32(1)
    near, far = ray[NEAR], ray[FAR]
    u, v, w = ray[DIRECTION], ray[DIRECTION + 1], ray[DIRECTION + 2]
    k = where[STEP]
    while True:
        distance = near + (np.float32(k) + np.float32(0.5)) * step
        if distance >= far:
            return False
        k += 1
        px = min(max(origin[0] + distance * u, zero), one)
        py = min(max(origin[1] + distance * v, zero), one)
        pz = min(max(origin[2] + distance * w, zero), one)
        x, y, z = min(np.int32(px * scale), last), min(np.int32(py * scale), last), min(np.int32(pz * scale), last)
        away = empty[np.uint32(x), np.uint32(y), np.uint32(z)]
        if away == 0:
            break
        k += np.int64(np.float32(away - 1) * skip)
    where[STEP] = k
    ray[POSITION], ray[POSITION + 1], ray[POSITION + 2] = px, py, pz
    return True


@njit(cache=True, nogil=True, fastmath=FAST)
def _cast(viewing, start, stop, rotation, origin, box, empty, steps, parts, codes, density, color, shapes, pictures):
    """Fill pictures [P, 4], premultiplied RGBA without gain, for the pixels start ... stop - 1 of viewing [P, 3]."""
    geometry, degrees, frequencies, per_ray = shapes
    step = np.float32(1.0 / steps)
    sums = geometry if per_ray else 3
    where, rays = np.zeros((LANES, 2), np.int64), np.zeros((LANES, SUMS + sums), np.float32)
    done, ended = np.zeros(LANES, np.int64), np.zeros((LANES, SUMS + sums), np.float32)
    room = look_up_room()
    points = np.zeros(3 * LANES, np.float32)
    encoded = np.zeros(density[2][0, 1] * LANES, np.float32)
    inputs = np.zeros(color[2][0, 1] * LANES, np.float32)
    widest = max(density[2][:, 0].max(), color[2][:, 0].max()) * LANES
    one, other, more = np.zeros(widest, np.float32), np.zeros(widest, np.float32), np.zeros(widest, np.float32)
    harmonics = inputs[geometry * LANES :]
    pictures[start:stop] = 0
    pixel, active, finished = start, 0, 0
    while True:
        while active < LANES and pixel < stop:
            if _begin(viewing, pixel, rotation, origin, box, step, where[active], rays[active]):
                active += _advance(origin, step, empty, where[active], rays[active])
            pixel += 1
        if active == 0:
            break
        for lane in range(active):
            for axis in range(3):
                points[axis * LANES + lane] = rays[lane, POSITION + axis]
        waves(points, frequencies, look_up(points, parts, codes, room, encoded), encoded)
        out = run_head(density, encoded, one, other)
        if not per_ray:
            inputs[: geometry * LANES] = out[LANES : (1 + geometry) * LANES]
            for lane in range(active):
                ray = rays[lane]
                _harmonics(ray[DIRECTION], ray[DIRECTION + 1], ray[DIRECTION + 2], degrees, lane, harmonics)
            # the density's outputs are in one of two blocks, the colour's go to the other and the third
            free = other if density[2].shape[0] % 2 else one
            rgb = run_head(color, inputs, free, more)
        for lane in range(active):
            ray = rays[lane]
            left = np.exp(-np.exp(min(out[lane] + np.float32(3), np.float32(15))) * step)
            weight = ray[LIGHT] * (np.float32(1) - left)
            ray[LIGHT] *= left
            ray[ALPHA] += weight
            if per_ray:
                for g in range(geometry):
                    ray[SUMS + g] += weight * out[(1 + g) * LANES + lane]
            else:
                for c in range(3):
                    ray[SUMS + c] += weight / (np.float32(1) + np.exp(-rgb[c * LANES + lane]))
        lane = 0
        while lane < active:
            ray = rays[lane]
            if ray[LIGHT] > np.float32(TRANSPARENT) and _advance(origin, step, empty, where[lane], ray):
                lane += 1
                continue
            done[finished] = where[lane, PIXEL]
            ended[finished] = ray
            finished += 1
            active -= 1
            where[lane], rays[lane] = where[active], rays[active]
            if finished == LANES:
                _finish(done, ended, finished, color, geometry, degrees, per_ray, inputs, one, other, pictures)
                finished = 0
    _finish(done, ended, finished, color, geometry, degrees, per_ray, inputs, one, other, pictures)


@njit(cache=True, fastmath=FAST)
def _finish(done, ended, count, color, geometry, degrees, per_ray, inputs, one, other, pictures):
    """Write the pixels of rays that have ended; here their colour is computed where it is computed once a ray."""
    for lane in range(count):
        ray, pixel = ended[lane], done[lane]
        pictures[pixel, 3] = ray[ALPHA]
        if not per_ray:
            for c in range(3):
                pictures[pixel, c] = ray[SUMS + c]
    if not per_ray or count == 0:
        return
    for lane in range(count):
        ray = ended[lane]
        for g in range(geometry):
            inputs[g * LANES + lane] = ray[SUMS + g] / max(ray[ALPHA], np.float32(1e-3))
        harmonics = inputs[geometry * LANES :]
        _harmonics(ray[DIRECTION], ray[DIRECTION + 1], ray[DIRECTION + 2], degrees, lane, harmonics)
    rgb = run_head(color, inputs, one, other)
    for lane in range(count):
        for c in range(3):
            pictures[done[lane], c] = ended[lane, ALPHA] / (np.float32(1) + np.exp(-rgb[c * LANES + lane]))


class Raycaster:
    """Renders a decoded field on the CPU's cores."""

    def __init__(self, state: FieldState, camera: Intrinsics) -> None:
        spec = state.spec
        self._size = (camera.height, camera.width)
        rows, columns = np.indices(self._size)
        viewing = camera.pixel_directions(np.stack([columns, rows], -1).reshape(-1, 2) + 0.5)
        self._viewing = viewing / np.linalg.norm(viewing, axis=1, keepdims=True)
        space = _bounds(state.occupancy), voxel_distances(state.occupancy), spec.steps
        tables = table_parts(spec)[0], table_codes(spec, state.tables)
        heads = packed(_layers(state, "density", 2)), packed(_layers(state, "color", spec.color_layers + 1))
        shapes = spec.geometry, spec.directions, spec.frequencies, spec.shading == "ray"
        self._field = (*space, *tables, *heads, shapes)

    def picture(self, pose: np.ndarray) -> np.ndarray:
        """The field seen from cam_from_world [3, 4]: float32 [H, W, 4], premultiplied RGBA without gain."""
        rotation = np.ascontiguousarray(pose[:, :3].T)
        origin = (-rotation @ pose[:, 3]).astype(np.float32)
        view = rotation, origin
        pixels = len(self._viewing)
        pictures = np.empty((pixels, 4), np.float32)

        def tile(index: int) -> None:
            stop = min((index + 1) * TILE, pixels)
            _cast(self._viewing, index * TILE, stop, *view, *self._field, pictures)

        in_turns(-(-pixels // TILE), tile)
        return pictures.reshape(*self._size, 4)


def _bounds(occupancy: np.ndarray) -> np.ndarray:
    """Lower and upper bound of the occupied voxels along each axis: [3, 2] float32, empty where there is none."""
    bounds = np.zeros((3, 2), np.float32)
    for axis in range(3):
        used = np.flatnonzero(occupancy.any(tuple({0, 1, 2} - {axis})))
        if used.size:
            bounds[axis] = used[0] / occupancy.shape[0], (used[-1] + 1) / occupancy.shape[0]
    return bounds


def _layers(state: FieldState, head: str, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    names = [f"{head}.{layer}" for layer in range(count)]
    return [(state.heads[f"{name}.weight"].values, state.heads[f"{name}.bias"].values) for name in names]
