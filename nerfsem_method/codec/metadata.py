"""Archival metadata is the optional section `meta`, Dublin Core as JSON (FORMAT.md, section 10); decoding needs none of it."""

from __future__ import annotations

import json

from nerfsem_method.codec.container import Section, pack, unpack
from nerfsem_method.errors import CorruptBundle, NerfsemError

TAG = "meta"
ELEMENTS = (
    "contributor", "coverage", "creator", "date", "description", "format", "identifier", "language", "publisher", "relation",
    "rights", "source", "subject", "title", "type",
)  # fmt: skip
"""These are the fifteen elements of Dublin Core (ISO 15836-1)."""
ENCODER = "encoder"
"""One name more stands for the program and version that wrote the bundle."""
MAX_BYTES = 1 << 16


def metadata_of(sections: list[Section]) -> dict[str, str]:
    """Return the metadata among a bundle's sections, empty where there is none. Raises CorruptBundle when it is malformed."""
    payload = next((section.payload for section in sections if section.tag == TAG), b"{}")
    try:
        found = json.loads(payload) if len(payload) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(k in (*ELEMENTS, ENCODER) and isinstance(v, str) for k, v in found.items()):
        raise CorruptBundle("the metadata is no Dublin Core record; restore the file from a copy")
    return found


def with_metadata(data: bytes, changes: dict[str, str], known: tuple[str, ...]) -> bytes:
    """Return the bytes of a bundle with some elements set, or removed where the text is empty; all else stays as it is.

    Raises BundleError for a file that is no bundle, NerfsemError for a record of more than MAX_BYTES.
    """
    sections = unpack(data, known)
    record = {name: text for name, text in {**metadata_of(sections), **changes}.items() if text}
    kept = [section for section in sections if section.tag != TAG]
    return pack([*kept, metadata_section(record)] if record else kept)


def metadata_section(record: dict[str, str]) -> Section:
    """Return the section that holds a record. Raises NerfsemError when it takes more than MAX_BYTES."""
    payload = json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    if len(payload) > MAX_BYTES:
        raise NerfsemError(f"the metadata takes {len(payload)} bytes, {MAX_BYTES} at most; shorten it")
    return Section(TAG, payload)
