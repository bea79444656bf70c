"""The caster makes pictures of a decoded field without torch (FORMAT.md, section 8), LANES rays at a time, each at its sample.

`RadianceField.render` computes the same for training and on CUDA; a test compares the two.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np

from nerfsem_method.compiled import FAST, fast_part, njit
from nerfsem_method.compiled.threads import in_turns
from nerfsem_method.field.activation import density_of, write_harmonics
from nerfsem_method.field.state import FieldState
from nerfsem_method.raycast.lookup import LANES, look_up, new_scratch, table_codes, table_parts, waves
from nerfsem_method.raycast.marching import SKIPPED, UNIT_BOX, span, voxel_distances
from nerfsem_method.raycast.perceptron import Head, packed, run_head
from nerfsem_method.scene.camera import Intrinsics, camera_centres

TILE = 1 << 14
"""A thread takes so many pixels at a time."""
TRANSPARENT = 1e-4
"""A ray ends where less of its light is left."""
FAINTEST = 1e-3
"""The mean features of a ray are taken over this much accumulation at least: no division by nothing."""

RAY = np.dtype([
    ("pixel", np.int64), ("step", np.int64), ("near", np.float32), ("far", np.float32), ("light", np.float32),
    ("alpha", np.float32), ("direction", np.float32, 3), ("position", np.float32, 3),
])  # fmt: skip
"""What is known of a ray: its pixel, the number of its next step, where it enters and leaves, how much light is left and how much
was stopped, its direction and its present sample."""


class View(NamedTuple):
    """A camera at one pose has unit directions of all pixels [P, 3] float64 in its own axes, a rotation to the world [3, 3] and a
    centre [3] float32."""

    directions: np.ndarray
    rotation: np.ndarray
    origin: np.ndarray


class Space(NamedTuple):
    """Where a field is: the box [3, 2] of its occupied voxels, `voxel_distances` [G, G, G], and the length of a step."""

    box: np.ndarray
    empty: np.ndarray
    step: np.float32


class Field(NamedTuple):
    """A decoded field is to the loops `table_parts` and `table_codes`, both heads, the numbers of geometry features, of bands of
    harmonics and of frequencies, and whether colour is computed once a ray."""

    parts: np.ndarray
    codes: np.ndarray
    density: Head
    color: Head
    geometry: int
    degrees: int
    frequencies: int
    per_ray: bool


class Blocks(NamedTuple):
    """Blocks of values that heads read and write."""

    encoded: np.ndarray
    inputs: np.ndarray
    one: np.ndarray
    other: np.ndarray
    more: np.ndarray


# Without `fastmath=False` numba would pass on the freedom of the loop that calls; where samples lie hangs on the last bit.
@njit(cache=True, fastmath=False)
def _begin(view, space, pixel, ray):
    """Aim the ray of a pixel at the box of occupied voxels; return False if it misses."""
    rotation, aim = view.rotation, view.directions[pixel]
    for axis in range(3):
        ray.direction[axis] = np.float32(
            rotation[axis, 0] * aim[0] + rotation[axis, 1] * aim[1] + rotation[axis, 2] * aim[2]
        )
    near, far = span(view.origin, ray.direction, UNIT_BOX)
    first, last = span(view.origin, ray.direction, space.box)
    if first > last or near > far:
        return False
    ray.near, ray.far, ray.light = near, min(far, last + space.step), np.float32(1)
    ray.alpha = 0
    ray.pixel, ray.step = pixel, max(np.int64((first - near) / space.step) - 1, 0)
    return True


@njit(cache=True, fastmath=False)
def _advance(origin, space, ray):
    """Go on to the next sample in an occupied voxel; return False where there is none."""
    empty, step = space.empty, space.step
    side = np.int32(empty.shape[0])
    last, scale = np.int32(side - 1), np.float32(side)
    skip = SKIPPED / (scale * step)
    zero, one = np.float32(0), np.float32(1)
    near, far = ray.near, ray.far
    u, v, w = ray.direction[0], ray.direction[1], ray.direction[2]
    k = ray.step
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
    ray.step = k
    ray.position[0], ray.position[1], ray.position[2] = px, py, pz
    return True


@njit(cache=True, nogil=True, fastmath=FAST)
def _cast(view, space, field, start, stop, pictures):
    """Fill pictures [P, 4], premultiplied RGBA without gain, for the pixels start ... stop - 1."""
    sums = field.geometry if field.per_ray else 3
    rays, summed = np.zeros(LANES, RAY), np.zeros((LANES, sums), np.float32)
    ended, totals = np.zeros(LANES, RAY), np.zeros((LANES, sums), np.float32)
    scratch, points = new_scratch(), np.zeros(3 * LANES, np.float32)
    widest = max(field.density.sizes[:, 0].max(), field.color.sizes[:, 0].max()) * LANES
    blocks = Blocks(
        np.zeros(field.density.sizes[0, 1] * LANES, np.float32), np.zeros(field.color.sizes[0, 1] * LANES, np.float32),
        np.zeros(widest, np.float32), np.zeros(widest, np.float32), np.zeros(widest, np.float32),
    )  # fmt: skip
    pictures[start:stop] = 0
    pixel, active, finished = start, 0, 0
    while True:
        while active < LANES and pixel < stop:
            if _begin(view, space, pixel, rays[active]):
                summed[active] = 0
                active += _advance(view.origin, space, rays[active])
            pixel += 1
        if active == 0:
            break
        for lane in range(active):
            for axis in range(3):
                points[axis * LANES + lane] = rays[lane].position[axis]
        column = look_up(points, field.parts, field.codes, scratch, blocks.encoded)
        waves(points, field.frequencies, column, blocks.encoded)
        out = run_head(field.density, blocks.encoded, blocks.one, blocks.other)
        _add_samples(field, space.step, rays, active, out, blocks, summed)
        lane = 0
        while lane < active:
            ray = rays[lane]
            if ray.light > np.float32(TRANSPARENT) and _advance(view.origin, space, ray):
                lane += 1
                continue
            ended[finished], totals[finished] = ray, summed[lane]
            finished += 1
            active -= 1
            rays[lane], summed[lane] = rays[active], summed[active]
            if finished == LANES:
                _finish(field, ended, totals, finished, blocks, pictures)
                finished = 0
    _finish(field, ended, totals, finished, blocks, pictures)


@fast_part
def _add_samples(field, step, rays, active, out, blocks, summed):
    """Add the sample of each active ray to its sums; `out` are the density head's outputs."""
    inputs, rgb = blocks.inputs, out
    if not field.per_ray:
        inputs[: field.geometry * LANES] = out[LANES : (1 + field.geometry) * LANES]
        for lane in range(active):
            _write_direction(field, rays[lane], lane, inputs)
        # the density's outputs are in one of two blocks, the colour's go to the other and the third
        free = blocks.other if field.density.sizes.shape[0] % 2 else blocks.one
        rgb = run_head(field.color, inputs, free, blocks.more)
    for lane in range(active):
        ray = rays[lane]
        left = np.exp(-density_of(out[lane]) * step)
        weight = ray.light * (np.float32(1) - left)
        ray.light *= left
        ray.alpha += weight
        if field.per_ray:
            for g in range(field.geometry):
                summed[lane, g] += weight * out[(1 + g) * LANES + lane]
        else:
            for c in range(3):
                summed[lane, c] += weight / (np.float32(1) + np.exp(-rgb[c * LANES + lane]))


@njit(cache=True)
def _write_direction(field, ray, lane, inputs):
    """Write the harmonics of a ray's direction behind the geometry features of its lane."""
    x, y, z = ray.direction[0], ray.direction[1], ray.direction[2]
    write_harmonics(x, y, z, field.degrees, lane, LANES, inputs[field.geometry * LANES :])


@fast_part
def _finish(field, ended, totals, count, blocks, pictures):
    """Write the pixels of rays that have ended; here their colour is computed where it is computed once a ray."""
    for lane in range(count):
        ray = ended[lane]
        pictures[ray.pixel, 3] = ray.alpha
        if not field.per_ray:
            for c in range(3):
                pictures[ray.pixel, c] = totals[lane, c]
    if not field.per_ray or count == 0:
        return
    inputs = blocks.inputs
    for lane in range(count):
        ray = ended[lane]
        for g in range(field.geometry):
            inputs[g * LANES + lane] = totals[lane, g] / max(ray.alpha, np.float32(FAINTEST))
        _write_direction(field, ray, lane, inputs)
    rgb = run_head(field.color, inputs, blocks.one, blocks.other)
    for lane in range(count):
        ray = ended[lane]
        for c in range(3):
            pictures[ray.pixel, c] = ray.alpha / (np.float32(1) + np.exp(-rgb[c * LANES + lane]))


class Raycaster:
    """A raycaster renders a decoded field on the CPU's cores."""

    def __init__(self, state: FieldState, camera: Intrinsics) -> None:
        spec = state.spec
        self._camera = camera
        self._directions = camera.unit_directions().reshape(-1, 3)
        self._space = Space(_bounds(state.occupancy), voxel_distances(state.occupancy), np.float32(1.0 / spec.steps))
        self._field = Field(
            table_parts(spec)[0], table_codes(spec, state.tables), _head(state, "density", 2),
            _head(state, "color", spec.color_layers + 1), spec.geometry, spec.directions, spec.frequencies, spec.shading == "ray",
        )  # fmt: skip

    def through(self, camera: Intrinsics) -> Raycaster:
        """Return a raycaster of the same field that sees it through another camera: itself, if it is the same one."""
        if camera == self._camera:
            return self
        other = copy.copy(self)
        other._camera, other._directions = camera, camera.unit_directions().reshape(-1, 3)
        return other

    def picture(self, pose: np.ndarray) -> np.ndarray:
        """Return the field seen from cam_from_world [3, 4]: float32 [H, W, 4], premultiplied RGBA without gain."""
        origin = camera_centres(pose[None])[0].astype(np.float32)
        view = View(self._directions, np.ascontiguousarray(pose[:, :3].T), origin)
        pixels = len(self._directions)
        pictures = np.empty((pixels, 4), np.float32)

        def tile(index: int) -> None:
            _cast(view, self._space, self._field, index * TILE, min((index + 1) * TILE, pixels), pictures)

        in_turns(-(-pixels // TILE), tile)
        return pictures.reshape(self._camera.height, self._camera.width, 4)


def _bounds(occupancy: np.ndarray) -> np.ndarray:
    """Return the lower and upper bound of the occupied voxels along each axis: [3, 2] float32, empty where there is none."""
    bounds = np.zeros((3, 2), np.float32)
    for axis in range(3):
        used = np.flatnonzero(occupancy.any(tuple({0, 1, 2} - {axis})))
        if used.size:
            bounds[axis] = used[0] / occupancy.shape[0], (used[-1] + 1) / occupancy.shape[0]
    return bounds


def _head(state: FieldState, head: str, layers: int) -> Head:
    names = [f"{head}.{layer}" for layer in range(layers)]
    return packed([(state.heads[f"{name}.weight"].values, state.heads[f"{name}.bias"].values) for name in names])
