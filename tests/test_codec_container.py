"""The container gives back what goes in, and every way a file can lie has its own error."""

from __future__ import annotations

import struct
import zlib

import pytest

from nerfsem_method.codec.container import MAGIC, Section, pack, unpack
from nerfsem_method.errors import BundleError, CorruptBundle, TruncatedBundle, UnsupportedBundle

SECTIONS = [Section("INFO", b"facts"), Section("GRID", bytes(range(20))), Section("note", b"")]
KNOWN = {"INFO", "GRID"}


def raw(tag: bytes, payload: bytes, length: int | None = None) -> bytes:
    """Return a section with a right checksum and whatever tag and length are asked for."""
    body = tag + struct.pack("<I", len(payload) if length is None else length) + payload
    return body + struct.pack("<I", zlib.crc32(body))


def header(version: int = 1, flags: int = 0) -> bytes:
    return MAGIC + struct.pack("<HH", version, flags)


def test_golden_bytes():
    expected = "894e53454d0d0a1a01000000" + "494e464f02000000" + "6869" + "2bcb461e" + "454e445300000000" + "a5e011fb"
    assert pack([Section("INFO", b"hi")]).hex() == expected


def test_round_trip_keeps_order_and_optional_sections():
    assert unpack(pack(SECTIONS), KNOWN) == SECTIONS
    assert unpack(pack([]), KNOWN) == []


def test_overhead_of_six_parts_stays_below_100_bytes():
    assert len(pack([Section(f"PRT{letter}", b"") for letter in "ABCDEF"])) < 100


def test_every_flipped_bit_is_noticed():
    data = pack(SECTIONS)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BundleError):
            unpack(bytes(damaged), KNOWN)


def test_every_truncation_is_named():
    data = pack(SECTIONS)
    for length in range(1, len(data)):
        with pytest.raises(TruncatedBundle):
            unpack(data[:length], KNOWN)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", MAGIC.replace(b"\r\n", b"\n") + bytes(40)])
def test_other_files_are_not_bundles(data):
    with pytest.raises(CorruptBundle, match="not a .nsem"):
        unpack(data, KNOWN)


def test_unknown_versions_flags_and_mandatory_sections_are_unsupported():
    for data in (header(version=2), header(flags=1), pack([*SECTIONS, Section("NEWS", b"?")])):
        with pytest.raises(UnsupportedBundle):
            unpack(data, KNOWN)


def test_an_overlong_length_is_a_truncation_not_an_allocation():
    with pytest.raises(TruncatedBundle):
        unpack(header() + raw(b"INFO", b"x", length=2**32 - 1), KNOWN)


@pytest.mark.parametrize(
    "body",
    [
        raw(b"INFO", b"") + raw(b"INFO", b"") + raw(b"ENDS", b""),
        raw(b"INFO", b"") + raw(b"ENDS", b"x"),
        raw(b"INFO", b"") + raw(b"ENDS", b"") + b"x",
        raw(b"IN_O", b"") + raw(b"ENDS", b""),
    ],
    ids=["repeated", "filled end", "trailing", "odd tag"],
)
def test_structural_lies_are_corrupt(body):
    with pytest.raises(CorruptBundle):
        unpack(header() + body, KNOWN)


@pytest.mark.parametrize("tags", [["INF"], ["IN-O"], ["ENDS"], ["INFO", "INFO"], ["ÄÖÜß"]])
def test_pack_refuses_what_unpack_would_refuse(tags):
    with pytest.raises(ValueError):
        pack([Section(tag, b"") for tag in tags])
