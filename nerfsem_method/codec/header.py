"""The SPEC section holds the facts of the video and the shapes of the field, as unsigned varints (LEB128)."""

from __future__ import annotations

from dataclasses import fields
from fractions import Fraction

from nerfsem_method.errors import CorruptBundle, printable
from nerfsem_method.field.spec import FieldSpec, Level
from nerfsem_method.scene.scene import Video

SHADINGS = ("sample", "ray")
MAX_FRAMES = 1 << 16
_LEVEL_LISTS = ("volume", "planes")
_RANGES = {
    "log2_volume_limit": (8, 24),
    "log2_plane_limit": (8, 24),
    "occupancy": (8, 256),
    "steps": (8, 4096),
    "width": (1, 256),
    "color_layers": (0, 4),
    "geometry": (1, 128),
    "directions": (1, 4),
    "frequencies": (0, 16),
    "shading": (0, 1),
    "context_width": (1, 64),
}
_MAX_NAME = 255


def pack_header(video: Video, spec: FieldSpec) -> bytes:
    """Return the video's facts (frames, rate, name, SHA-256; its size is the camera's), then the specification."""
    name = printable(video.name).encode()[:_MAX_NAME]  # a file's name may be no text
    numbers = [video.frames, video.rate.numerator, video.rate.denominator, len(name)]
    out = b"".join(map(_varint, numbers)) + name + bytes.fromhex(video.sha256)
    shape = []
    for key in _LEVEL_LISTS:
        levels = getattr(spec, key)
        shape += [len(levels), *(number for level in levels for number in (level.resolution, level.features))]
    for key in _RANGES:
        value = getattr(spec, key)
        shape.append(SHADINGS.index(value) if key == "shading" else value)
    return out + b"".join(map(_varint, shape))


def unpack_header(data: bytes) -> tuple[Video, FieldSpec]:
    """Invert `pack_header`; width and height come back as 0. Raises CorruptBundle for anything out of range."""
    reader = _Reader(data)
    frames = reader.number(1, MAX_FRAMES, "frames")
    rate = Fraction(reader.number(1, 1 << 31, "rate"), reader.number(1, 1 << 31, "rate"))
    name = printable(reader.take(reader.number(0, _MAX_NAME, "name")).decode("utf-8", "replace"))
    sha256 = reader.take(32).hex()
    shape: dict = {}
    for key in _LEVEL_LISTS:
        count = reader.number(1, 16, key)
        shape[key] = tuple(
            Level(reader.number(2, 4096, "resolution"), reader.number(1, 8, "features")) for _ in range(count)
        )
    for key, (low, high) in _RANGES.items():
        value = reader.number(low, high, key)
        shape[key] = SHADINGS[value] if key == "shading" else value
    reader.finish()
    spec = FieldSpec(**shape)
    if max(level.resolution for level in spec.volume) > 1024:
        raise CorruptBundle("a volume level is finer than 1024; the file was not written by nerfsem")
    if not spec.storable:
        raise CorruptBundle("the tables are larger than any that nerfsem writes")
    return Video(name, 0, 0, frames, rate, sha256), spec


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(0x80 | (number & 0x7F))
        number >>= 7
    out.append(number)
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, count: int) -> bytes:
        part = self._data[self._position : self._position + count]
        if len(part) < count:
            raise CorruptBundle("section SPEC ends early; the file is damaged, restore it from a copy")
        self._position += count
        return part

    def number(self, low: int, high: int, what: str) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift > 56:
                raise CorruptBundle(f"section SPEC: {what} is out of range; the file was not written by nerfsem")
        if not low <= value <= high:
            raise CorruptBundle(f"section SPEC: {what} is {value}, outside {low} ... {high}")
        return value

    def finish(self) -> None:
        if self._position != len(self._data):
            raise CorruptBundle("section SPEC has bytes left over; the file was not written by nerfsem")


assert set(_RANGES) | set(_LEVEL_LISTS) == {field.name for field in fields(FieldSpec)}
