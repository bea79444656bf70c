"""This is a second decoder of `.nsem` bundles: one file, NumPy and the standard library, in the order of FORMAT.md's sections.

It has no code in common with the package, to show that the page (nerfsem_method/codec/FORMAT.md) is enough, and to be read
beside it. It is slow, renders one frame at a time and plays no video: a background's stream of H.264, H.265 or AV1, and a
residual's, it only extracts, so that its frames are the field's alone; a network it lets paint the frame.

    python docs/reference_decoder.py relic.nsem --frame 0 --output frame.png
    python docs/reference_decoder.py relic.nsem --background plate.h264 --residual residual.obu
"""

from __future__ import annotations

import argparse
import hashlib
import math
import struct
import sys
import zlib
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

import numpy as np


class Refused(Exception):
    """The file is no bundle that this decoder may decode."""


def require(condition: bool, what: str) -> None:
    """Refuse the file, saying `what` is wrong with it, unless `condition` holds."""
    if not condition:
        raise Refused(what)


# 1. Container ---------------------------------------------------------------------------------------------------------

FIELD_SECTIONS = ("SPEC", "CAMS", "HEAD", "CTXT", "GRID", "HASH")
OCCUPANCIES = ("OCCU", "VOXL")
BACKGROUNDS = ("BACK", "HEVC", "OBUS", "HNRV")


def read_sections(data: bytes) -> dict[str, bytes]:
    """Return the payloads by tag."""
    require(data[:8] == b"\x89NSEM\r\n\x1a" and len(data) >= 12, "not a .nsem bundle")
    version, flags = struct.unpack_from("<HH", data, 8)
    require(version == 1 and flags == 0, f"version {version}, flags {flags:#x} are unknown")
    sections: dict[str, bytes] = {}
    start, tag = 12, ""
    while tag != "ENDS":
        require(start + 12 <= len(data), "the file ends early")
        raw, length = struct.unpack_from("<4sI", data, start)
        end = start + 8 + length
        require(end + 4 <= len(data), "the file ends early")
        require(struct.unpack_from("<I", data, end)[0] == zlib.crc32(data[start:end]), f"section {raw} is damaged")
        require(raw.isalpha(), f"{raw} is no tag")
        tag = raw.decode("ascii")
        require(tag not in sections, f"section {tag} occurs twice")
        known = (*FIELD_SECTIONS, *OCCUPANCIES, "ZOOM", "TINT", "FILT", *BACKGROUNDS, "ENDS")
        require(tag in known or tag[0].islower(), f"section {tag} is unknown")
        sections[tag] = data[start + 8 : end]
        start = end + 4
    require(start == len(data) and not sections.pop("ENDS"), "bytes follow the end")
    for name in FIELD_SECTIONS:
        require(name in sections, f"section {name} is missing")
    require(len(set(OCCUPANCIES) & sections.keys()) == 1, "there is not one occupancy grid")
    require(len(set(BACKGROUNDS) & sections.keys()) <= 1, "there are two backgrounds")
    return sections


# 2. The arithmetic coder ----------------------------------------------------------------------------------------------

TOP, HALF, QUARTER = (1 << 32) - 1, 1 << 31, 1 << 30
ONE = 1 << 16


def new_models(count: int) -> list[list[int]]:
    """Return adaptive models, each [ones, count]."""
    return [[ONE // 2, 0] for _ in range(count)]


def learn(model: list[int], bit: int) -> None:
    """Let an adaptive model learn a bit."""
    model[1] = min(model[1] + 1, 255)
    model[0] += ((ONE if bit else 0) - model[0]) // (model[1] + 1)
    model[0] = min(max(model[0], 32), ONE - 32)


class Decoder:
    """A decoder reads one stream bit by bit."""

    def __init__(self, payload: bytes) -> None:
        """Start at the payload's first bit; one word of zeros follows it, whose end is the end of the stream."""
        self.length = len(payload)
        self._bits = iter([*np.unpackbits(np.frombuffer(payload, np.uint8)).tolist(), *[0] * 32])
        self._low, self._high, self._value = 0, TOP, 0
        for _ in range(32):
            self._value = 2 * self._value + self._next()

    def _next(self) -> int:
        bit = next(self._bits, None)
        if bit is None:
            raise Refused("a coded section ends early")
        return bit

    def bit(self, ones: int) -> int:
        """Return a bit with P(1) = ones / 65536."""
        low, high, value = self._low, self._high, self._value
        split = ((high - low + 1) * (ONE - ones)) >> 16
        bit = int(value >= low + split)
        if bit:
            low += split
        else:
            high = low + split - 1
        while True:
            if high < HALF:
                offset = 0
            elif low >= HALF:
                offset = HALF
            elif low >= QUARTER and high < 3 * QUARTER:
                offset = QUARTER
            else:
                break
            low, high, value = 2 * (low - offset), 2 * (high - offset) + 1, 2 * (value - offset) + self._next()
        self._low, self._high, self._value = low, high, value
        return bit

    def adaptive(self, model: list[int]) -> int:
        """Return a bit with the running estimate of its model."""
        bit = self.bit(model[0])
        learn(model, bit)
        return bit

    def integers(self, count: int) -> list[int]:
        """Return `count` signed integers with fresh models."""
        groups = [new_models(84) for _ in range(3)]
        values: list[int] = []
        previous = 0
        for _ in range(count):
            models = groups[0 if previous == 0 else 1 if abs(previous) < 4 else 2]
            previous = 0
            if self.adaptive(models[0]):
                negative = self.adaptive(models[1])
                magnitude = self._magnitude(models)
                previous = -magnitude if negative else magnitude
            values.append(previous)
        return values

    def _magnitude(self, models: list[list[int]]) -> int:
        """Return |x| >= 1, coded as the length of its binary form in unary, then its bits below the first."""
        length = 0
        while length < 40 and self.adaptive(models[2 + length]):
            length += 1
        magnitude = 1
        for position in range(length):
            bit = self.adaptive(models[43 + length]) if position == 0 else self.bit(ONE // 2)
            magnitude = 2 * magnitude + bit
        return magnitude


# 3. SPEC --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """A table holds binary feature vectors: those of a 3D level or of one level of one plane."""

    axes: tuple[int, ...]
    resolution: int
    features: int
    limit: int

    @property
    def entries(self) -> int:
        """Return the number of vectors."""
        return min((self.resolution + 1) ** len(self.axes), self.limit)

    @property
    def hashed(self) -> bool:
        """Return whether several vertices may have one entry."""
        return self.entries < (self.resolution + 1) ** len(self.axes)

    def entry(self, vertices: np.ndarray) -> np.ndarray:
        """Return the entries [...] of vertices [..., dimensions] int64."""
        if self.hashed:
            products = vertices * np.array([1, 2654435761, 805459861])[: len(self.axes)]
            return np.bitwise_xor.reduce(products, -1) % self.limit
        side = self.resolution + 1
        return vertices @ np.array([side**power for power in reversed(range(len(self.axes)))])


@dataclass(frozen=True)
class Spec:
    """A specification is the facts of the video and the shapes of the field."""

    name: str
    frames: int
    rate: tuple[int, int]
    tables: list[Table]
    levels: int  # The 3D grid has so many, and that many tables come first.
    plane_levels: int
    occupancy: int
    steps: int
    width: int
    color_layers: int
    geometry: int
    directions: int
    frequencies: int
    shading: int
    context_width: int

    def previous(self, index: int) -> list[int]:
        """Return the indices of the at most three levels before a table in its own grid."""
        first = 0 if index < self.levels else index - (index - self.levels) % self.plane_levels
        return list(range(max(first, index - 3), index))


class Bytes:
    """This reader takes numbers and bytes one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        require(count <= len(self.data), "SPEC ends early")
        part, self.data = self.data[:count], self.data[count:]
        return part

    def number(self, low: int, high: int) -> int:
        """Return the next LEB128 number, which must be in low ... high."""
        value = 0
        for position in range(9):
            byte = self.take(1)[0]
            value |= (byte & 127) << 7 * position
            if byte < 128:
                require(low <= value <= high, f"SPEC: {value} is outside {low} ... {high}")
                return value
        raise Refused("SPEC: a number is too long")


def read_spec(data: bytes) -> Spec:
    """Read section SPEC."""
    read = Bytes(data)
    frames = read.number(1, 1 << 16)
    rate = read.number(1, 1 << 31), read.number(1, 1 << 31)
    name = read.take(read.number(0, 255)).decode("utf-8", "replace")
    read.take(32)  # The source's SHA-256 is not needed.
    volume = [(read.number(2, 1024), read.number(1, 8)) for _ in range(read.number(1, 16))]
    planes = [(read.number(2, 4096), read.number(1, 8)) for _ in range(read.number(1, 16))]
    volume_limit, plane_limit = 1 << read.number(8, 24), 1 << read.number(8, 24)
    ranges = ((8, 256), (8, 4096), (1, 256), (0, 4), (1, 128), (1, 4), (0, 16), (0, 1), (1, 64))
    shapes = [read.number(low, high) for low, high in ranges]
    require(not read.data, "SPEC has bytes left over")
    tables = [Table((0, 1, 2), *level, volume_limit) for level in volume]
    tables += [Table(axes, *level, plane_limit) for axes in ((0, 1), (0, 2), (1, 2)) for level in planes]
    vertices = sum((table.resolution + 1) ** len(table.axes) for table in tables)
    values = sum(table.entries * table.features for table in tables)
    require(values <= 1 << 26 and vertices <= 1 << 28, "the tables are too large")
    return Spec(name, frames, rate, tables, len(volume), len(planes), *shapes)


# 4. CAMS, ZOOM, TINT --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cameras:
    """The cameras have one size (width, height), focal length and centre (x, y) in pixels and distortion (k1, k2, p1, p2).

    Each frame has a zoom, a rotation [3, 3], a translation [3] and a map of colours [3, 4]; these are stacked.
    """

    size: tuple[int, int]
    focal: np.ndarray
    centre: np.ndarray
    distortion: np.ndarray
    zooms: np.ndarray
    rotations: np.ndarray
    translations: np.ndarray
    maps: np.ndarray


def read_cameras(decoder: Decoder, frames: int, zooms: np.ndarray, tints: np.ndarray) -> Cameras:
    """Read section CAMS; `zooms` [frames] and `tints` [frames, 3, 4] are what ZOOM and TINT say."""
    width, height, fx, dy, cx, cy, *distortion = decoder.integers(10)
    require(0 < width < 1 << 16 and 0 < height < 1 << 16 and fx > 0 and fx + dy > 0, "the camera is impossible")
    require(width * height <= 1 << 26 and max(map(abs, distortion)) <= 4096 << 20, "the camera is beyond the limits")
    a, b, c = decoder.integers(3)
    require(all(0 <= bits <= 28 for bits in (a, b, c)), "the cameras' steps are out of range")
    first = np.array([decoder.integers(3)])
    turns = np.concatenate([first, np.stack([read_sequence(decoder, frames - 1) for _ in range(3)], -1)])
    places = np.stack([read_sequence(decoder, frames) for _ in range(3)], -1)
    inside = np.abs(places) <= 4096 << np.array([b, b, c])
    require(np.abs(turns).max() <= 1 << a and bool(inside.all()), "a pose is out of range")
    octaves = np.zeros((frames, 3), np.int64)
    if decoder.integers(1)[0]:
        green, red, blue = (read_sequence(decoder, frames) for _ in range(3))
        octaves = np.stack([red + green, green, blue + green], -1)
    require(np.abs(octaves).max() <= 1024, "a gain is out of range")

    rotations = np.zeros((frames, 3, 3))
    held = np.array([1.0, 0.0, 0.0, 0.0])
    for frame, turn in enumerate(turns / 2.0**a):
        held = hamilton_product(unit_quaternion(turn), held)
        held /= np.sqrt(held @ held)
        rotations[frame] = rotation_matrix(held)
    translations = places / 2.0 ** np.array([b, b, c]) - rotations @ np.full(3, 0.5)
    focal, centre = np.array([fx, fx + dy]) / 256, np.array([cx, cy]) / 256 + np.array([width, height]) / 2
    maps = tints.copy()
    maps[:, :, :3] *= (2.0 ** (octaves / 128)).astype(np.float32)[:, None]
    return Cameras((width, height), focal, centre, np.array(distortion) / 2.0**20, zooms, rotations, translations, maps)


def read_zooms(payload: bytes | None, frames: int) -> np.ndarray:
    """Read section ZOOM, where there is one: how many times the camera's focal length each frame has, [frames]."""
    if payload is None:
        return np.ones(frames)
    zooms = read_sequence(Decoder(payload), frames)
    require(zooms.min() >= 128 and zooms.max() <= 64 * 8192, "a zoom is out of range")
    return zooms / 8192


def read_tints(payload: bytes | None, frames: int) -> np.ndarray:
    """Read section TINT, where there is one: maps of colours [frames, 3, 4]."""
    moved = np.zeros((frames, 12), np.int64)
    if payload is not None:
        decoder = Decoder(payload)
        rank = decoder.integers(1)[0]
        require(1 <= rank <= 12, "the number of tints is out of range")
        directions = np.array(decoder.integers(12 * rank), np.int64).reshape(rank, 12)
        weights = np.stack([read_sequence(decoder, frames) for _ in range(rank)], -1)
        require(max(np.abs(directions).max(), np.abs(weights).max()) <= 32768, "a tint is out of range")
        moved = weights @ directions
    return np.eye(3, 4) + moved.reshape(frames, 3, 4) / 4096


def read_sequence(decoder: Decoder, count: int) -> np.ndarray:
    """Read `count` integers, coded as differences."""
    if count == 0:
        return np.zeros(0, np.int64)
    first, order = decoder.integers(2)
    require(abs(first) <= 1 << 40 and 0 <= order <= 3, "a camera's path is out of range")
    sequence = np.array(decoder.integers(count - 1), np.int64)
    for _ in range(order):
        require(np.abs(sequence).max(initial=0) <= (1 << 40) // count, "a camera's path is out of range")
        sequence = sequence.cumsum()
    return np.concatenate([[0], sequence]) + first


def unit_quaternion(m: np.ndarray) -> np.ndarray:
    """Return the quaternion (w, x, y, z) of modified Rodrigues parameters [3]."""
    return np.array([1 - m @ m, *(2 * m)]) / (1 + m @ m)


def hamilton_product(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return p q, the rotation q followed by p."""
    return np.array([p[0] * q[0] - p[1:] @ q[1:], *(p[0] * q[1:] + q[0] * p[1:] + np.cross(p[1:], q[1:]))])


def rotation_matrix(quaternion: np.ndarray) -> np.ndarray:
    """Return the matrix [3, 3] of a unit quaternion."""
    w, x, y, z = quaternion
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def rays(cameras: Cameras, frame: int, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return origin [3] and unit directions [R, 3], float32, of the rays through image positions (u, v) [R, 2]."""
    distorted = (pixels - cameras.centre) / (cameras.zooms[frame] * cameras.focal)
    ideal = distorted
    for _ in range(8):
        ideal = ideal + distorted - distort(ideal, cameras.distortion)
    local = np.concatenate([ideal, np.ones_like(ideal[:, :1])], 1)
    local /= np.linalg.norm(local, axis=1, keepdims=True)
    rotation = cameras.rotations[frame]
    origin = -rotation.T @ cameras.translations[frame]
    return origin.astype(np.float32), (local @ rotation).astype(np.float32)


def distort(points: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """Return the distorted points [R, 2] of ideal ones."""
    k1, k2, p1, p2 = distortion
    x, y = points.T
    r = x * x + y * y
    radial = 1 + r * (k1 + r * k2)
    dx, dy = 2 * p1 * x * y + p2 * (r + 2 * x * x), p1 * (r + 2 * y * y) + 2 * p2 * x * y
    return np.stack([x * radial + dx, y * radial + dy], -1)


# 5. OCCU, VOXL --------------------------------------------------------------------------------------------------------

VOXELS_BEFORE = (
    (0, 0, -1), (0, -1, 0), (-1, 0, 0), (0, -1, -1), (-1, 0, -1), (-1, -1, 0), (0, -1, 1), (-1, 0, 1), (-1, 1, 0),
    (0, 0, -2), (0, -2, 0), (-2, 0, 0),
)  # fmt: skip


BALL = np.array([step for step in np.ndindex(7, 7, 7) if step < (3, 3, 3)]) - 3
BALL = BALL[(BALL**2).sum(1) <= 9]


def read_occupancy(decoder: Decoder, side: int, mixed: bool) -> np.ndarray:
    """Read section OCCU, or VOXL if `mixed`: bool [side, side, side]. The grid is held flat, with a border of three zeros."""
    wide = side + 6
    steps = [(dx * wide + dy) * wide + dz for dx, dy, dz in VOXELS_BEFORE]
    ball = BALL @ (wide * wide, wide, 1)
    voxels, rows = bytearray(wide**3), bytearray(wide**2)
    near = np.frombuffer(voxels, np.uint8)
    models, inputs, weights = new_models(16 + 4096), np.zeros(2 + len(ball), np.int64), np.zeros(2 + len(ball), np.int64)
    inputs[1], weights[0] = 64, 1 << 20
    for x in range(3, side + 3):
        for y in range(3, side + 3):
            row = x * wide + y
            around = rows[row - 1] + 2 * rows[row - wide] + 4 * rows[row - wide + 1] + 8 * rows[row - wide - 1]
            rows[row] = decoder.adaptive(models[around])
            if not rows[row]:
                continue
            for voxel in range(row * wide + 3, row * wide + 3 + side):
                model = models[16 + sum(voxels[voxel + step] << n for n, step in enumerate(steps))]
                if mixed:
                    inputs[0] = bisect_right(ONES, model[0]) - 1 - LIMIT
                    inputs[2:] = 512 * near[voxel + ball].astype(np.int64) - 256
                    voxels[voxel] = read_mixed(decoder, weights, inputs)
                    learn(model, voxels[voxel])
                else:
                    voxels[voxel] = decoder.adaptive(model)
    return near.reshape(wide, wide, wide)[3:-3, 3:-3, 3:-3] > 0


# 6. HEAD, CTXT, FILT --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """A layer has integers weight [out, in] and bias [out], and an exponent for each of the two."""

    weight: np.ndarray
    bias: np.ndarray
    exponents: tuple[int, int]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return W x + b in real numbers: float32 [..., in] to [..., out]."""
        weight, bias = (
            np.ldexp(part.astype(np.float32), exponent)
            for part, exponent in zip((self.weight, self.bias), self.exponents, strict=True)
        )
        return x @ weight.T + bias


def read_layers(decoder: Decoder, shapes: list[tuple[int, int]]) -> list[Layer]:
    """Read layers of (in, out) features."""
    exponents = decoder.integers(2 * len(shapes))
    require(all(-24 <= exponent <= 8 for exponent in exponents), "a weight's exponent is out of range")
    layers = []
    for (inputs, outputs), *pair in zip(shapes, exponents[::2], exponents[1::2], strict=True):
        weight = np.array(decoder.integers(outputs * inputs)).reshape(outputs, inputs)
        bias = np.array(decoder.integers(outputs))
        require(max(np.abs(weight).max(), np.abs(bias).max()) < 1 << 15, "a weight is out of range")
        layers.append(Layer(weight, bias, tuple(pair)))
    return layers


def read_filter(payload: bytes | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Read section FILT, where there is one: weights [n, 4, 3, 3] and [4, n, 3, 3] of two convolutions."""
    if payload is None:
        return None
    decoder = Decoder(payload)
    width = decoder.integers(1)[0]
    require(1 <= width <= 64, "the filter's width is out of range")
    exponents = decoder.integers(2)
    require(all(-24 <= exponent <= 8 for exponent in exponents), "a weight's exponent is out of range")
    integers = [np.array(decoder.integers(36 * width)) for _ in exponents]
    require(max(np.abs(values).max() for values in integers) < 1 << 15, "a weight is out of range")
    first, second = (np.ldexp(v.astype(np.float32), e) for v, e in zip(integers, exponents, strict=True))
    return first.reshape(width, 4, 3, 3), second.reshape(4, width, 3, 3)


def head_shapes(spec: Spec) -> list[tuple[int, int]]:
    """Return (in, out) of density.0, density.1, color.0, ..."""
    inputs = sum(table.features for table in spec.tables) + 6 * spec.frequencies
    color = [spec.geometry + spec.directions**2, *[spec.width] * spec.color_layers, 3]
    return [(inputs, spec.width), (spec.width, 1 + spec.geometry), *zip(color, color[1:], strict=False)]


def context_shapes(spec: Spec) -> list[tuple[int, int]]:
    """Return (in, out) of two layers for each 3D level, then for each plane level."""
    shapes = []
    for index, table in enumerate(spec.tables[: spec.levels + spec.plane_levels]):
        inputs = sum(spec.tables[p].features for p in spec.previous(index))
        inputs += 4 if index < spec.levels else spec.tables[spec.levels - 1].features
        shapes += [(inputs, spec.context_width), (spec.context_width, table.features)]
    return shapes


# 7. GRID --------------------------------------------------------------------------------------------------------------

VERTICES_BEFORE = {
    3: (
        (0, 0, -1), (0, -1, 0), (-1, 0, 0), (0, -1, -1), (-1, 0, -1), (-1, -1, 0), (0, -1, 1), (-1, 0, 1), (-1, 1, 0),
        (-1, -1, -1), (-1, 1, 1), (-1, -1, 1), (-1, 1, -1), (0, 0, -2), (0, -2, 0), (-2, 0, 0),
    ),
    2: (
        (0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0), (-1, 2), (-1, -2), (-2, -1), (-2, 1), (0, -3), (-3, 0),
    ),
}  # fmt: skip
LIMIT = 2816
POSITIVE = [min(round(65536 / (1 + math.exp(-z / 256))), 65535) for z in range(LIMIT + 1)]
ONES = [65536 - ones for ones in POSITIVE[:0:-1]] + POSITIVE
"""Logits -LIMIT ... LIMIT have these 65536 P(1)."""


@dataclass(frozen=True)
class Vertices:
    """A table's valid vertices, x slowest, have indices [V, d], weights [V] and moments [V, 4] (planes: [V, 0])."""

    indices: np.ndarray
    weights: np.ndarray
    moments: np.ndarray


def read_tables(decoder: Decoder, spec: Spec, occupied: np.ndarray, layers: list[Layer]) -> list[np.ndarray]:
    """Read section GRID: per table int8 [entries, features], -1 or +1, 0 where not coded."""
    tables: list[np.ndarray] = []
    projections: dict[tuple[int, ...], np.ndarray] = {}
    finest = spec.tables[spec.levels - 1]
    described = 0
    for index, table in enumerate(spec.tables):
        vertices = valid_vertices(table, occupied)
        described += len(vertices.indices) * table.features
        require(len(vertices.indices) <= 1 << 24 and described <= (1 << 19) + 2048 * decoder.length, "the tables are too large")
        contexts = [
            interpolated(tables[p], spec.tables[p], vertices.indices, table.resolution, 256) for p in spec.previous(index)
        ]
        if index < spec.levels:
            contexts.append(vertices.moments)
        else:
            plane = Table(table.axes, finest.resolution, finest.features, 1 << 62)
            contexts.append(interpolated(projections[table.axes], plane, vertices.indices, table.resolution, 1))
        net = index if index < spec.levels else spec.levels + (index - spec.levels) % spec.plane_levels
        logits = context_model(np.concatenate(contexts, 1), *layers[2 * net : 2 * net + 2])
        tables.append(read_table(decoder, table, vertices, logits))
        if index == spec.levels - 1:
            signs = tables[index][table.entry(vertices.indices)]
            projections = {axes: projected(table, vertices.indices, signs, axes) for axes in ((0, 1), (0, 2), (1, 2))}
    return tables


def valid_vertices(table: Table, occupied: np.ndarray) -> Vertices:
    """Return the vertices of a level that an occupied voxel touches."""
    side, resolution = len(occupied), table.resolution
    i = np.arange(resolution + 1)
    first, last = np.clip((i - 1) * side // resolution, 0, side), np.clip(ceil_divide((i + 1) * side, resolution), 0, side)
    if len(table.axes) == 2:
        (missing,) = {0, 1, 2} - set(table.axes)
        weights = box_sums(summed(occupied.sum(missing)), [(first, last)] * 2)
        return Vertices(np.argwhere(weights), weights[weights > 0], np.zeros((np.count_nonzero(weights), 0), np.int64))

    total = summed(occupied)
    weights = box_sums(total, [(first, last)] * 3)
    low = np.clip((i - 1) * side // resolution - 1, 0, side)
    high = np.clip(ceil_divide((i + 1) * side, resolution) + 1, 0, side)
    box, above, below = (low, high), (i * side // resolution, high), (low, ceil_divide(i * side, resolution))
    length = high - low
    size = length[:, None, None] * length[:, None] * length
    moments = [256 * box_sums(total, [box] * 3) // size]
    for axis in range(3):
        upper, lower = [box] * 3, [box] * 3
        upper[axis], lower[axis] = above, below
        moments.append(256 * (box_sums(total, upper) - box_sums(total, lower)) // size)
    valid = weights > 0
    return Vertices(np.argwhere(valid), weights[valid], np.stack(moments, -1)[valid])


def ceil_divide(a: np.ndarray, b: int) -> np.ndarray:
    """Return a / b, rounded up."""
    return -(-a // b)


def summed(counts: np.ndarray) -> np.ndarray:
    """Return the sums of all that lies before: [G, ...] to int64 [G + 1, ...]."""
    total = np.pad(counts.astype(np.int64), [(1, 0)] * counts.ndim)
    for axis in range(counts.ndim):
        total = total.cumsum(axis)
    return total


def box_sums(total: np.ndarray, ranges: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return sums over boxes [N + 1, ...], from `summed` counts and an axis's ranges: first and one past last [N + 1]."""
    for axis, (first, last) in enumerate(ranges):
        total = total.take(last, axis) - total.take(first, axis)
    return total


def interpolated(values: np.ndarray, source: Table, vertices: np.ndarray, resolution: int, gain: int) -> np.ndarray:
    """Return gain * `values` [entries, F] of the table `source` at vertices [V, d] / resolution: int64 [V, F]."""
    base, fraction = np.divmod(vertices * source.resolution, resolution)
    total = np.zeros((len(vertices), values.shape[1]), np.int64)
    for corner in np.ndindex((2,) * vertices.shape[1]):
        weight = np.where(corner, fraction, resolution - fraction).prod(1)
        reached = np.minimum(base + corner, source.resolution)  # Beyond the border the weight is 0.
        total += weight[:, None] * values[source.entry(reached)]
    return total * gain // resolution ** vertices.shape[1]


def projected(table: Table, vertices: np.ndarray, signs: np.ndarray, axes: tuple[int, int]) -> np.ndarray:
    """Return the mean of signs [V, F] in each column of vertices, in 1/256: int64 [(N + 1)^2, F]."""
    side = table.resolution + 1
    columns = vertices[:, axes[0]] * side + vertices[:, axes[1]]
    sums = np.zeros((side * side, signs.shape[1]), np.int64)
    np.add.at(sums, columns, signs)
    counts = np.bincount(columns, minlength=side * side)
    return 256 * sums // np.maximum(counts, 1)[:, None]


def context_model(contexts: np.ndarray, first: Layer, second: Layer) -> np.ndarray:
    """Return integer logits [V, F] of contexts [V, I], in 1/256."""
    hidden = np.clip((contexts @ first.weight.T >> 5) + first.bias, 0, 65535)
    return (hidden @ second.weight.T >> 5) + second.bias


def read_table(decoder: Decoder, table: Table, vertices: Vertices, logits: np.ndarray) -> np.ndarray:
    """Read one table: int8 [entries, features]."""
    values = np.zeros((table.entries, table.features), np.int8)
    entries, first, owner = np.unique(table.entry(vertices.indices), return_index=True, return_inverse=True)
    if len(entries) == 0:
        return values
    if table.hashed:  # The predictions of one entry's vertices are fused.
        total, weight = np.zeros((len(entries), table.features), np.int64), np.zeros(len(entries), np.int64)
        np.add.at(total, owner, logits * vertices.weights[:, None])
        np.add.at(weight, owner, vertices.weights)
        logits = total // weight[:, None]
    else:
        logits = logits[first]
    before = ranks_before(table, vertices.indices[first], entries)
    values[entries] = read_signs(decoder, np.clip(logits, -LIMIT, LIMIT), before)
    return values


def ranks_before(table: Table, vertices: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """Return, for each coded entry [E] and offset [n], the rank of the entry that lies there, or E if it is not known yet."""
    around = vertices[:, None] + np.array(VERTICES_BEFORE[vertices.shape[1]])  # Its shape is [E, n, d].
    inside = ((around >= 0) & (around <= table.resolution)).all(-1)
    rank = np.full(table.entries, len(entries))
    rank[entries] = np.arange(len(entries))
    ranks = rank[table.entry(np.clip(around, 0, table.resolution))]
    return np.where(inside & (ranks < np.arange(len(entries))[:, None]), ranks, len(entries))


def read_signs(decoder: Decoder, logits: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Read the coded signs [E, F] of a table, given logits [E, F] and the ranks of known neighbours [E, n]."""
    count, features = logits.shape
    first = 2 + before.shape[1]
    signs = np.zeros((count + 1, features), np.int64)  # They are +-256; the last row stays 0, for what is not known.
    weights = np.zeros((features, first + features), np.int64)
    weights[:, 0] = 1 << 20
    inputs = np.zeros(first + features, np.int64)
    inputs[1] = 64
    for e in range(count):
        around = signs[before[e]]  # Its shape is [n, F].
        inputs[first:] = 0  # Features that are not decoded yet have no say and teach nothing.
        for f in range(features):
            inputs[0] = logits[e, f]
            inputs[2:first] = around[:, f]
            bit = read_mixed(decoder, weights[f], inputs)
            signs[e, f] = inputs[first + f] = 256 if bit else -256
    return np.sign(signs[:count])


def read_mixed(decoder: Decoder, weights: np.ndarray, inputs: np.ndarray) -> int:
    """Read a bit by a regression, whose weights learn it."""
    z = min(max(int(weights @ inputs) >> 20, -LIMIT), LIMIT)
    ones = ONES[z + LIMIT]
    bit = decoder.bit(ones)
    weights += ((ONE if bit else 0) - ones) * inputs + 1024 >> 11
    return bit


# 8. Rendering ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """A field is what a decoded bundle holds, without its background."""

    spec: Spec
    cameras: Cameras
    occupied: np.ndarray
    heads: list[Layer]
    tables: list[np.ndarray]
    filter: tuple[np.ndarray, np.ndarray] | None


def render(field: Field, frame: int, stride: int, ground: float = 1.0) -> np.ndarray:
    """Return a frame over a grey `ground`, every `stride`-th pixel of every `stride`-th row: uint8 [rows, columns, 3]."""
    width, height = field.cameras.size
    shown = 1 if field.filter else stride  # A filter looks at all pixels.
    v, u = np.meshgrid(np.arange(0, height, shown) + 0.5, np.arange(0, width, shown) + 0.5, indexing="ij")
    origin, directions = rays(field.cameras, frame, np.stack([u.ravel(), v.ravel()], -1))
    parts = [render_rays(field, origin, part) for part in np.array_split(directions, 1 + len(directions) // 4096)]
    rgba = np.concatenate(parts)
    alpha = np.clip(rgba[:, 3:], 0, 1)
    tint = field.cameras.maps[frame].astype(np.float32)
    color = np.clip(np.concatenate([rgba[:, :3], alpha], 1) @ tint.T, 0, alpha)
    picture = np.concatenate([color, alpha], 1).reshape(*u.shape, 4)
    if field.filter:
        picture = filtered(picture, *field.filter)[::stride, ::stride]
    return np.rint(255 * (picture[..., :3] + (1 - picture[..., 3:]) * ground)).astype(np.uint8)


def filtered(picture: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return a premultiplied picture [H, W, 4] made sharper."""
    moved = picture + convolution(np.maximum(convolution(picture, first), 0), second)
    alpha = moved[..., 3:].clip(0, 1)
    return np.concatenate([moved[..., :3].clip(0, alpha), alpha], -1)


def convolution(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return [H, W, out] of values [H, W, in] and weights [out, in, 3, 3]; beyond the edges the nearest pixel counts."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(values, ((1, 1), (1, 1), (0, 0)), "edge"), (3, 3), (0, 1))
    return np.einsum("yxcrs,ocrs->yxo", around, weight, optimize=True)


def render_rays(field: Field, origin: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return premultiplied colour and alpha [R, 4] of rays from one origin along directions [R, 3]."""
    ray, positions = samples(field, origin, directions)
    features = [interpolated_at(v, t, positions) for v, t in zip(field.tables, field.spec.tables, strict=True)]
    if field.spec.frequencies:
        angles = positions[:, :, None] * (np.pi * 2.0 ** np.arange(field.spec.frequencies)).astype(np.float32)
        features.append(np.concatenate([np.sin(angles), np.cos(angles)], -1).reshape(len(positions), -1))
    hidden = np.maximum(field.heads[0](np.concatenate(features, 1)), 0)
    z = field.heads[1](hidden)
    density, geometry = np.exp(np.minimum(z[:, 0] + 3, 15)), z[:, 1:]

    weights = sample_weights(density / field.spec.steps, ray)
    alpha = sums(weights, ray, len(directions))
    if field.spec.shading == 1:
        mean = sums(weights[:, None] * geometry, ray, len(directions)) / np.maximum(alpha, 1e-3)[:, None]
        color = colors(field, mean, directions) * alpha[:, None]
    else:
        color = sums(weights[:, None] * colors(field, geometry, directions[ray]), ray, len(directions))
    return np.concatenate([color, alpha[:, None]], 1)


def samples(field: Field, origin: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples in occupied voxels, ray by ray, near to far: rays [S] and positions [S, 3], float32."""
    side, one = np.float32(len(field.occupied)), np.float32(1)
    parallel = np.abs(directions) < 1e-9
    safe = np.where(parallel, one, directions)
    ends = np.stack([-origin / safe, (one - origin) / safe])
    inside = (origin >= 0) & (origin <= 1)
    near = np.where(parallel, np.where(inside, 0, np.inf), ends.min(0)).max(1).clip(min=0).astype(np.float32)
    far = np.where(parallel, np.inf, ends.max(0)).min(1).astype(np.float32)

    step = one / np.float32(field.spec.steps)
    k = np.arange(math.ceil(3**0.5 * field.spec.steps) + 1, dtype=np.float32)
    distances = near[:, None] + (k + np.float32(0.5)) * step  # Its shape is [R, K].
    ray, nth = np.nonzero(distances < far[:, None])
    points = origin + distances[ray, nth, None] * directions[ray]
    voxels = np.clip((points * side).astype(np.int64), 0, len(field.occupied) - 1)
    kept = field.occupied[tuple(voxels.T)]
    return ray[kept], points[kept].clip(0, 1)


def interpolated_at(values: np.ndarray, table: Table, positions: np.ndarray) -> np.ndarray:
    """Return `values` [entries, F] of a table at positions [S, 3] in the cube: float32 [S, F]."""
    scaled = positions[:, table.axes] * np.float32(table.resolution)
    base = np.minimum(scaled.astype(np.int64), table.resolution - 1)
    fraction = scaled - base.astype(np.float32)
    total = np.zeros((len(positions), table.features), np.float32)
    for corner in np.ndindex((2,) * len(table.axes)):
        weight = np.where(corner, fraction, 1 - fraction).prod(1)
        total += weight[:, None] * values[table.entry(base + corner)]
    return total


def sample_weights(depths: np.ndarray, ray: np.ndarray) -> np.ndarray:
    """Return (1 - exp(-depth)) times the light that is left, of samples [S] with optical depths [S] on rays [S]."""
    before = depths.cumsum(dtype=np.float64) - depths
    at_start = np.searchsorted(ray, ray)  # These are the rays' first samples.
    return (np.exp(before[at_start] - before) * (1 - np.exp(-depths))).astype(np.float32)


def sums(values: np.ndarray, ray: np.ndarray, count: int) -> np.ndarray:
    """Return the sums of values [S, ...] per ray: [count, ...]."""
    total = np.zeros((count, *values.shape[1:]), np.float32)
    np.add.at(total, ray, values)
    return total


def colors(field: Field, geometry: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return the RGB [R, 3] of geometry features [R, geometry] seen along unit directions [R, 3]."""
    x = np.concatenate([geometry, spherical_harmonics(directions)[:, : field.spec.directions**2]], 1)
    *hidden, last = field.heads[2:]
    for layer in hidden:
        x = np.maximum(layer(x), 0)
    return 1 / (1 + np.exp(-last(x)))


def spherical_harmonics(directions: np.ndarray) -> np.ndarray:
    """Return the polynomials Y [R, 16] of unit directions [R, 3]."""
    x, y, z = directions.T
    bands = [np.ones_like(x), y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y]
    bands += [y * (3 * x * x - y * y), x * y * z, y * (5 * z * z - 1), z * (5 * z * z - 3), x * (5 * z * z - 1)]
    bands += [z * (x * x - y * y), x * (x * x - 3 * y * y)]
    return np.stack(bands, -1)


# 9. BACK, HEVC, OBUS, HNRV --------------------------------------------------------------------------------------------


def read_background(payload: bytes, frames: int, tag: str = "BACK") -> tuple[np.ndarray, bytes]:
    """Return the mean colours [N, 3] of the background and its stream: H.264, H.265 (HEVC) or AV1 (OBUS)."""
    require(len(payload) > 4 and payload[3] <= 8, "the background is damaged")
    parameter = payload[3]
    bits = np.unpackbits(np.frombuffer(payload, np.uint8, offset=4)).tolist()
    changes, position = [], 0
    for _ in range(3 * frames):
        stop = position
        while stop < len(bits) and bits[stop]:
            stop += 1
        end = stop + 1 + parameter
        require(end <= len(bits) and stop - position <= 4096, "the background's colours are damaged")
        folded = stop - position
        for bit in bits[stop + 1 : end]:
            folded = 2 * folded + bit
        changes.append(-(folded + 1) // 2 if folded % 2 else folded // 2)
        position = end
    red, green, blue = np.cumsum(np.reshape(changes, (frames, 3)), 0).T
    means = np.stack([red + green, green, blue + green], -1)
    stream = payload[4 + (position + 7) // 8 :]
    require(means.min() >= 0 and means.max() <= 255, "a background colour is out of range")
    require(stream.startswith(b"\x12\0" if tag == "OBUS" else b"\0\0\1"), "the background holds no stream")
    return means, stream


@dataclass(frozen=True)
class Network:
    """A network paints a background: tensors by name, of stages that are (scale, depth, expansion) each."""

    frames: int
    size: tuple[int, int]
    stages: list[tuple[int, int, int]]
    tensors: dict[str, np.ndarray]


def read_network(payload: bytes, frames: int, width: int, height: int) -> Network:
    """Return a background's network."""
    decoder = Decoder(payload)
    (count,) = decoder.integers(1)
    require(1 <= count <= 6, "the number of stages is out of range")
    channels, keys, features, tiles, *rest = decoder.integers(4 + 3 * count)
    stages = list(zip(rest[::3], rest[1::3], rest[2::3], strict=True))
    require(1 <= channels <= 1024 and 1 <= keys <= 65536, "the network's channels or keys are out of range")
    require(1 <= features <= 256 and 1 <= tiles <= 256, "the network's features are out of range")
    require(all(1 <= number <= 8 for number in rest) and channels >> (count - 1) >= 1, "the network's stages are out of range")
    side = math.prod(scale for scale, _, _ in stages)
    require(side <= 128, "the network enlarges too much")
    rows, columns = -(-height // side), -(-width // side)
    shapes = {f"grid{level}": (max(keys >> level, 1), features << level, rows, columns) for level in (0, 1)}
    shapes |= {"stem": (channels, 3, 3, 3 * features), "stem bias": (channels,)}
    before, pixels, products = channels, rows * columns, 0
    for i, (scale, depth, expansion) in enumerate(stages):
        after, tile = channels >> i, max(tiles >> i, 1)
        pixels *= scale * scale
        products += pixels * (expansion * after * (before + after + 2 * (depth - 1) * after) + 9 * depth * before)
        require(pixels * before <= 2**28, "the network takes too much memory")
        shapes |= {f"{i} tile{level}": (max(frames >> level, 1), tile << level, scale, scale) for level in (0, 1, 2)}
        shapes[f"{i} mix"] = (before, 7 * tile)
        for block in range(depth):
            shapes[f"{i} {block} kernel"] = (3, 3, before)
            shapes[f"{i} {block} widen"], shapes[f"{i} {block} narrow"] = (expansion * after, before), (after, expansion * after)
            before = after
    shapes |= {"head": (3, before), "head bias": (3,)}
    require(products <= 2**39 and sum(map(math.prod, shapes.values())) <= 2**22, "the network is too large")
    steps = decoder.integers(len(shapes))
    require(all(-192 <= step <= 0 for step in steps), "a step is out of range")
    tensors = {}
    for (name, shape), step in zip(shapes.items(), steps, strict=True):
        integers = np.array(decoder.integers(math.prod(shape)))
        require(np.abs(integers).max() < 1 << 15, "a weight is out of range")
        tensors[name] = (integers * 2.0 ** (step / 8)).astype(np.float32).reshape(shape)
    return Network(frames, (height, width), stages, tensors)


def painted(network: Network, frame: int) -> np.ndarray:
    """Return the background's picture of a frame, uint8 [H, W, 3]."""
    tensors = network.tensors
    grid = np.concatenate([at_frame(network, f"grid{level}", frame) for level in (0, 1)]).transpose(1, 2, 0)
    x = sum(part @ tensors["stem"][:, i, j].T for (i, j), part in around(grid)) + tensors["stem bias"]
    for i, (scale, depth, _) in enumerate(network.stages):
        tile = np.concatenate([at_frame(network, f"{i} tile{level}", frame) for level in (0, 1, 2)]).transpose(1, 2, 0)
        x = enlarged(enlarged(normalised(x), 0, scale), 1, scale)
        x = x + np.tile(tile @ tensors[f"{i} mix"].T, (x.shape[0] // scale, x.shape[1] // scale, 1))
        for block in range(depth):
            kernel, widen, narrow = (tensors[f"{i} {block} {part}"] for part in ("kernel", "widen", "narrow"))
            filtered = sum(part * kernel[row, column] for (row, column), part in around(x))
            hidden = normalised(filtered) @ widen.T
            made = (hidden * (1 + np.vectorize(math.erf)(hidden / 2**0.5)) / 2).astype(np.float32) @ narrow.T
            x = x + made if x.shape == made.shape else made
    height, width = network.size
    colours = x[:height, :width] @ tensors["head"].T + tensors["head bias"]
    return np.rint(255 / (1 + np.exp(-colours.clip(-30, 30)))).astype(np.uint8)


def between(items: int, cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the two cells between which each of `items` lies, and the share of the second."""
    position = ((np.arange(items) + 0.5) * cells / items - 0.5).clip(0, cells - 1)
    first = np.floor(position).astype(int)
    return first, np.minimum(first + 1, cells - 1), (position - first).astype(np.float32)


def at_frame(network: Network, name: str, frame: int) -> np.ndarray:
    """Return a grid or tile at a frame, [features, rows, columns]."""
    keys = network.tensors[name]
    first, second, share = (each[frame] for each in between(network.frames, len(keys)))
    return (1 - share) * keys[first] + share * keys[second]


def around(x: np.ndarray) -> list[tuple[tuple[int, int], np.ndarray]]:
    """Return the nine pictures of neighbours of [H, W, C], by row and column of a kernel, zeros beyond the edge."""
    framed = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    return [((i, j), framed[i : i + x.shape[0], j : j + x.shape[1]]) for i in range(3) for j in range(3)]


def normalised(x: np.ndarray) -> np.ndarray:
    """Return each pixel's channels with mean 0 and variance 1."""
    less = x.astype(np.float64) - x.mean(-1, keepdims=True, dtype=np.float64)
    return (less / np.sqrt((less**2).mean(-1, keepdims=True) + 1e-6)).astype(np.float32)


def enlarged(x: np.ndarray, axis: int, scale: int) -> np.ndarray:
    """Return a picture that is `scale` times as long along an axis."""
    first, second, share = between(scale * x.shape[axis], x.shape[axis])
    share = share.reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
    return (1 - share) * x.take(first, axis) + share * x.take(second, axis)


# The program ----------------------------------------------------------------------------------------------------------


def decode(sections: dict[str, bytes]) -> Field:
    """Return the field of a bundle's sections; refuse it unless its symbols are those that the encoder saw."""
    spec = read_spec(sections["SPEC"])
    zooms, tints = read_zooms(sections.get("ZOOM"), spec.frames), read_tints(sections.get("TINT"), spec.frames)
    cameras = read_cameras(Decoder(sections["CAMS"]), spec.frames, zooms, tints)
    tag = next(tag for tag in OCCUPANCIES if tag in sections)
    occupied = read_occupancy(Decoder(sections[tag]), spec.occupancy, tag == "VOXL")
    heads = read_layers(Decoder(sections["HEAD"]), head_shapes(spec))
    contexts = read_layers(Decoder(sections["CTXT"]), context_shapes(spec))
    tables = read_tables(Decoder(sections["GRID"]), spec, occupied, contexts)
    require(bytes.fromhex(symbol_hash(tables))[:8] == sections["HASH"], "the decoded symbols are not those that were encoded")
    return Field(spec, cameras, occupied, heads, tables, read_filter(sections.get("FILT")))


def symbol_hash(tables: list[np.ndarray]) -> str:
    """Return the SHA-256 over all symbols, of which HASH holds the first 8 bytes."""
    return hashlib.sha256(b"".join(table.tobytes() for table in tables)).hexdigest()


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write a picture uint8 [H, W, 3]."""

    def chunk(tag: bytes, payload: bytes) -> bytes:
        return struct.pack(">I", len(payload)) + tag + payload + struct.pack(">I", zlib.crc32(tag + payload))

    height, width, _ = picture.shape
    lines = b"".join(b"\0" + line.tobytes() for line in picture)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))


def main() -> None:
    """Decode a bundle, say what it holds, and write what is asked for."""
    parser = argparse.ArgumentParser(description="Decode a .nsem bundle with NumPy alone.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--frame", type=int, default=0, help="which frame to render")
    parser.add_argument("--output", type=Path, help="PNG file for the frame, over white")
    parser.add_argument("--stride", type=int, default=1, help="render only every so many pixels of every so many rows")
    parser.add_argument("--background", type=Path, help="file for a PC bundle's stream, or PNG that its network paints")
    parser.add_argument("--residual", type=Path, help="file for the residual's stream")
    options = parser.parse_args()
    try:
        sections = read_sections(options.bundle.read_bytes())
        field = decode(sections)
        tag = next((tag for tag in ("BACK", "HEVC", "OBUS") if tag in sections), None)
        background = None if tag is None else read_background(sections[tag], field.spec.frames, tag)
        size = field.cameras.size
        network = read_network(sections["HNRV"], field.spec.frames, *size) if "HNRV" in sections else None
        require(0 <= options.frame < field.spec.frames, f"there are {field.spec.frames} frames")
        require(background is not None or network is not None or not options.background, "the bundle holds no background")
        require("resi" in sections or not options.residual, "the bundle holds no residual")
        require(sections.get("resi", b"\x12\0").startswith(b"\x12\0"), "the residual holds no stream")
    except (Refused, OSError) as error:
        sys.exit(f"{options.bundle}: {error}")
    width, height = field.cameras.size
    rate = field.spec.rate[0] / field.spec.rate[1]
    print(f"{field.spec.name}: {field.spec.frames} frames of {width} x {height} at {rate:g} a second")
    print(f"symbols {symbol_hash(field.tables)}")
    if options.background and background is not None:
        options.background.write_bytes(background[1])
    elif options.background:
        write_png(options.background, painted(network, options.frame))
    if options.residual:
        options.residual.write_bytes(sections["resi"])
    if options.output:
        write_png(options.output, render(field, options.frame, options.stride))


if __name__ == "__main__":
    main()
