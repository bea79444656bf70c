"""Frame codecs write Annex B byte streams of NAL units; this module keeps those of them that a picture needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NalSyntax:
    """A codec's syntax says where a NAL unit holds its type, which types only inform and which repeat (parameter sets)."""

    byte: int
    shift: int
    mask: int
    informative: frozenset[int]
    repeated: frozenset[int]


H264 = NalSyntax(0, 0, 31, frozenset({6, 9, 12}), frozenset({7, 8}))
HEVC = NalSyntax(0, 1, 63, frozenset({35, 38, 39, 40}), frozenset({32, 33, 34}))
VVC = NalSyntax(1, 3, 31, frozenset({20, 23, 24, 25}), frozenset({14, 15, 16}))


def nal_units(stream: bytes) -> list[bytes]:
    """Return the NAL units of an Annex B byte stream, without the start codes and zero bytes around them."""
    units = stream.split(b"\x00\x00\x01")[1:]
    return [unit.rstrip(b"\x00") for unit in units]


def nal_type(unit: bytes, syntax: NalSyntax) -> int:
    """Return the type of a NAL unit; -1 for one without a header."""
    return unit[syntax.byte] >> syntax.shift & syntax.mask if len(unit) > syntax.byte else -1


def lean_stream(stream: bytes, syntax: NalSyntax) -> bytes:
    """Return the stream without delimiters, SEI, filler and repeated parameter sets, with start codes of three bytes."""
    kept: list[bytes] = []
    parameters: set[bytes] = set()
    for unit in nal_units(stream):
        kind = nal_type(unit, syntax)
        if kind in syntax.informative or unit in parameters:
            continue
        if kind in syntax.repeated:
            parameters.add(unit)
        kept.append(b"\x00\x00\x01" + unit)
    return b"".join(kept)
