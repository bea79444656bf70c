"""Case number n of a campaign is a seed bundle, damaged in a way that (campaign, n) alone decides."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

SEEDS = Path(__file__).parent / "seeds"
HEADER = 12
_SECTION = struct.Struct("<4sI")

Parts = list[tuple[bytes, bytes]]


def load_seeds() -> list[bytes]:
    """Return all seeds, in the order of their names."""
    return [path.read_bytes() for path in sorted(SEEDS.glob("*.nsem"))]


def case(campaign: int, number: int, seeds: list[bytes]) -> bytes:
    """Return the bytes of a case; odd numbers have their checksums repaired, so that they reach the section decoders."""
    rng = np.random.default_rng([campaign, number])
    data = seeds[rng.integers(len(seeds))]
    repaired = number % 2 == 1
    mutators = SECTION_MUTATORS * 4 + BYTE_MUTATORS if repaired else BYTE_MUTATORS * 2 + SECTION_MUTATORS
    for _ in range(rng.geometric(0.6)):
        data = mutators[rng.integers(len(mutators))](rng, data, seeds)
    return repair(data) if repaired else data


def repair(data: bytes) -> bytes:
    """Return `data` with the right checksum wherever a section, by its stated length, has one."""
    out = bytearray(data)
    position = HEADER
    while position + _SECTION.size <= len(out):
        end = position + _SECTION.size + _SECTION.unpack_from(out, position)[1]
        if end + 4 > len(out):
            break
        out[end : end + 4] = struct.pack("<I", zlib.crc32(out[position:end]))
        position = end + 4
    return bytes(out)


def split(data: bytes) -> Parts:
    """Return tags and payloads as far as the stated lengths make sense."""
    parts, position = [], HEADER
    while position + _SECTION.size <= len(data):
        tag, length = _SECTION.unpack_from(data, position)
        end = position + _SECTION.size + length
        if end + 4 > len(data):
            break
        parts.append((tag, data[position + _SECTION.size : end]))
        position = end + 4
    return parts


def join(data: bytes, parts: Parts) -> bytes:
    """Undo `split`, behind the header of `data`; the checksums are right."""
    bodies = [_SECTION.pack(tag, len(payload)) + payload for tag, payload in parts]
    return data[:HEADER] + b"".join(body + struct.pack("<I", zlib.crc32(body)) for body in bodies)


# Mutators of bytes ----------------------------------------------------------------------------------------------------


def _flip_bits(rng, data, seeds):
    out = bytearray(data)
    for _ in range(rng.geometric(0.5) if out else 0):
        out[rng.integers(len(out))] ^= 1 << int(rng.integers(8))
    return bytes(out)


def _set_bytes(rng, data, seeds):
    if not data:
        return data
    start, length = rng.integers(len(data)), min(rng.geometric(0.3), 64)
    filling = bytes([[0, 0xFF, 0x80, 0x7F, rng.integers(256)][rng.integers(5)]]) * length
    return (data[:start] + filling + data[start + length :])[: len(data)]


def _truncate(rng, data, seeds):
    return data[: rng.integers(len(data) + 1)]


def _cut_or_insert(rng, data, seeds):
    start, length = rng.integers(len(data) + 1), rng.geometric(0.1)
    return data[:start] + (data[start + length :] if rng.random() < 0.5 else rng.bytes(length) + data[start:])


def _splice(rng, data, seeds):
    other = seeds[rng.integers(len(seeds))]
    here = rng.integers(len(data) + 1)
    return data[:here] + other[here if rng.random() < 0.5 else rng.integers(len(other) + 1) :]


def _lie_about_length(rng, data, seeds):
    starts = [HEADER]
    for _, payload in split(data):
        starts.append(starts[-1] + _SECTION.size + len(payload) + 4)
    start = starts[rng.integers(len(starts))] + 4
    return data[:start] + struct.pack("<I", _number(rng) & 0xFFFFFFFF) + data[start + 4 :]


# Mutators of sections -------------------------------------------------------------------------------------------------


def _rearrange(rng, data, seeds):
    parts = split(data)
    other = split(seeds[rng.integers(len(seeds))])
    if not parts:
        return data
    index, other_index = rng.integers(len(parts), size=2)
    action = rng.integers(5)
    if action == 0:
        parts[index], parts[other_index] = parts[other_index], parts[index]
    elif action == 1:
        parts.insert(other_index, parts[index])
    elif action == 2:
        del parts[index]
    elif action == 3:
        parts[index] = (parts[index][0], parts[other_index][1])
    else:
        parts[index] = other[rng.integers(len(other))]
    return join(data, parts)


def _change_payload(rng, data, seeds):
    """Let a byte mutator loose within one section, or put noise there."""
    parts = split(data)
    if not parts:
        return data
    index = rng.integers(len(parts))
    tag, payload = parts[index]
    action = rng.integers(6)
    if action < 4:
        payload = (_flip_bits, _set_bytes, _truncate, _cut_or_insert)[action](rng, payload, seeds)
    elif action == 4:
        payload = rng.bytes(len(payload))
    else:
        payload = _sure_stream(rng)
    parts[index] = (tag, payload)
    return join(data, parts)


def _sure_stream(rng) -> bytes:
    """Return bits that are all alike: nearly free of cost, hence the most symbols a byte."""
    return [b"\0", b"\xff"][rng.integers(2)] * int(rng.geometric(0.002))


def _lie_in_spec(rng, data, seeds):
    """Put another number into SPEC."""
    return _with_spec(data, lambda numbers: _lie(rng, numbers))


def _lie(rng, numbers: list[int]) -> None:
    index = rng.integers(len(numbers))
    near = max(numbers[index] + int(rng.integers(-2, 3)), 0)
    numbers[index] = near if rng.random() < 0.4 else _number(rng)


def _bomb(rng, data, seeds):
    """Put large numbers into SPEC beside streams that are sure of every bit: few bytes ask for much work."""
    sure = {b"OCCU", b"VOXL", b"GRID", b"HEAD", b"CTXT"}
    parts = [(tag, _sure_stream(rng) if tag in sure and rng.random() < 0.8 else payload) for tag, payload in split(data)]
    return _with_spec(join(data, parts), lambda numbers: _enlarge(rng, numbers))


def _enlarge(rng, numbers: list[int]) -> None:
    for _ in range(rng.integers(1, 4)):
        numbers[rng.integers(len(numbers))] = int(2 ** rng.uniform(0, 10))


def _with_spec(data: bytes, change) -> bytes:
    """Return `data` with `change` made to the list of SPEC's numbers: four before the name, the rest behind the SHA-256."""
    parts = split(data)
    index = next((i for i, (tag, _) in enumerate(parts) if tag == b"SPEC"), None)
    if index is None or not parts[index][1]:
        return data
    payload = parts[index][1]
    numbers, position = [], 0
    while position < len(payload) and len(numbers) < 4:
        value, position = _read_varint(payload, position)
        numbers.append(value)
    middle = payload[position : position + numbers[-1] + 32]
    position += len(middle)
    while position < len(payload):
        value, position = _read_varint(payload, position)
        numbers.append(value)
    change(numbers)
    parts[index] = (b"SPEC", b"".join(map(_varint, numbers[:4])) + middle + b"".join(map(_varint, numbers[4:])))
    return join(data, parts)


BYTE_MUTATORS = [_flip_bits, _set_bytes, _truncate, _cut_or_insert, _splice, _lie_about_length]
SECTION_MUTATORS = [_rearrange, _change_payload, _change_payload, _change_payload, _lie_in_spec, _lie_in_spec, _bomb]


def _number(rng) -> int:
    """Return an unsigned number of any magnitude, often beside a power of two."""
    return max((1 << int(rng.integers(41))) + int(rng.integers(-1, 2)), 0) if rng.random() < 0.7 else int(rng.integers(300))


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data):
        value |= (data[position] & 0x7F) << shift
        shift += 7
        position += 1
        if data[position - 1] < 0x80:
            break
    return value, position


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(0x80 | (number & 0x7F))
        number >>= 7
    return bytes(out) + bytes([number])
