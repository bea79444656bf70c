"""The `.nsem` container is a magic, a version and checked sections; it knows nothing of what the sections mean.

    file     = magic (8 bytes) version (u16) flags (u16, reserved: 0) section ... END
    section  = tag (4 ASCII letters) length (u32) payload (length bytes) CRC-32 of tag, length and payload (u32)
    END      = section with tag "ENDS" and no payload; the file ends with it

All integers are little-endian and sections follow each other without gaps. As in PNG, a tag with an uppercase first
letter is mandatory: a reader that does not know it must refuse the file. One with a lowercase letter may be skipped.
The magic starts with a byte that is not ASCII and holds CR LF and the DOS end-of-file byte, so that a transfer in text
mode is noticed at once. Every single-bit error anywhere in a file is detected.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from nerfsem_method.errors import BundleError, CorruptBundle, TruncatedBundle, UnsupportedBundle

MAGIC = b"\x89NSEM\r\n\x1a"
VERSION = 1
END = "ENDS"

_HEADER = struct.Struct("<8sHH")
_SECTION = struct.Struct("<4sI")
_CHECKSUM = struct.Struct("<I")


@dataclass(frozen=True)
class Section:
    """A section is one part of a bundle: a tag of four ASCII letters and its bytes."""

    tag: str
    payload: bytes

    @property
    def mandatory(self) -> bool:
        """Return whether a reader that does not know the tag must refuse the file."""
        return self.tag[0].isupper()

    @property
    def stored_bytes(self) -> int:
        """Return the bytes it takes in the file, with tag, length and checksum."""
        return _SECTION.size + len(self.payload) + _CHECKSUM.size


def pack(sections: Sequence[Section]) -> bytes:
    """Return the bytes of a file of these sections. Raises ValueError for a tag that is malformed, repeated or reserved."""
    tags = [section.tag for section in sections]
    for tag in tags:
        if not _is_tag(tag.encode("ascii", "replace")) or tag == END:
            raise ValueError(f"{tag!r} cannot be a section's tag")
    if len(set(tags)) < len(tags):
        raise ValueError(f"repeated section among {tags}")
    parts = [_HEADER.pack(MAGIC, VERSION, 0)]
    for section in [*sections, Section(END, b"")]:
        body = _SECTION.pack(section.tag.encode("ascii"), len(section.payload)) + section.payload
        parts += [body, _CHECKSUM.pack(zlib.crc32(body))]
    return b"".join(parts)


def unpack(data: bytes, known: Collection[str]) -> list[Section]:
    """Return the sections of a file's bytes, without END; optional ones are kept whether known or not.

    Raises:
        TruncatedBundle: The file ends early.
        CorruptBundle: It is no bundle at all, or has a wrong checksum, a malformed or repeated tag, or bytes after the end.
        UnsupportedBundle: It has another version, a reserved flag, or a mandatory section that is not in `known`.
    """
    _check_header(data)
    sections: dict[str, Section] = {}
    position = _HEADER.size
    while True:
        section = _read_section(data, position)
        position += section.stored_bytes
        if section.tag == END:
            break
        if section.tag in sections:
            raise CorruptBundle(f"section {section.tag} occurs twice; the file was not written by nerfsem")
        if section.mandatory and section.tag not in known:
            raise UnsupportedBundle(f"section {section.tag} is unknown to this version; use a newer nerfsem")
        sections[section.tag] = section
    surplus = len(data) - position + len(section.payload)
    if surplus:
        raise CorruptBundle(f"{surplus} bytes follow the end of the bundle; copy the file again")
    return list(sections.values())


def _check_header(data: bytes) -> None:
    if not MAGIC.startswith(data[: len(MAGIC)]) or not data:
        raise CorruptBundle("this is not a .nsem bundle" if data else "the file is empty; it is not a .nsem bundle")
    if len(data) < _HEADER.size:
        raise _truncated()
    _, version, flags = _HEADER.unpack_from(data)
    if version != VERSION:
        raise UnsupportedBundle(f"format version {version} is unknown; this nerfsem reads version {VERSION}")
    if flags:
        raise UnsupportedBundle(f"reserved flags {flags:#06x} are set; use a newer nerfsem or copy the file again")


def _read_section(data: bytes, position: int) -> Section:
    if position + _SECTION.size > len(data):
        raise _truncated()
    tag, length = _SECTION.unpack_from(data, position)
    end = position + _SECTION.size + length
    if end + _CHECKSUM.size > len(data):
        raise _truncated()
    if zlib.crc32(memoryview(data)[position:end]) != _CHECKSUM.unpack_from(data, end)[0]:
        name = tag.decode("ascii") if _is_tag(tag) else repr(tag)  # Anything may stand there.
        raise CorruptBundle(f"section {name} is damaged: its checksum does not fit; copy the file again")
    if not _is_tag(tag):
        raise CorruptBundle(f"{tag!r} cannot be a section's tag; the file was not written by nerfsem")
    return Section(tag.decode("ascii"), data[position + _SECTION.size : end])


def _is_tag(tag: bytes) -> bool:
    return len(tag) == 4 and tag.isalpha()


def _truncated() -> BundleError:
    return TruncatedBundle("the file ends early; it is incomplete, copy it again")
