"""`nerfsem describe`: archival metadata into a bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class DublinCore:
    """The fifteen elements of Dublin Core (ISO 15836-1); those not given stay as they are, an empty text removes one."""

    title: str | None = None
    """Name of the artefact or recording."""
    creator: str | None = None
    """Who made the artefact."""
    subject: str | None = None
    """Topics or keywords."""
    description: str | None = None
    """What it is."""
    publisher: str | None = None
    """The institution that makes it available."""
    contributor: str | None = None
    """Who helped, the photographer for instance."""
    date: str | None = None
    """When, by preference as in 2026-11-21."""
    type: str | None = None
    """Nature of the resource."""
    format: str | None = None
    """File format or dimensions of the original."""
    identifier: str | None = None
    """Inventory number or address."""
    source: str | None = None
    """What this was derived from."""
    language: str | None = None
    """Language of the texts."""
    relation: str | None = None
    """A related resource."""
    coverage: str | None = None
    """Place or period."""
    rights: str | None = None
    """Rights held, or the licence."""


@dataclass(frozen=True)
class Describe:
    """Write archival metadata into a .nsem bundle; `nerfsem info` shows it. The coded video stays as it is.

    Example: nerfsem describe relic.nsem --title "Red-figure amphora" --rights CC0 --identifier 1843,1103.77
    """

    bundle: tyro.conf.Positional[Path]
    """The .nsem file; it is replaced in one move."""
    elements: Annotated[DublinCore, tyro.conf.OmitArgPrefixes] = field(default_factory=DublinCore)
    """What to write."""

    def run(self) -> None:
        """Raises BundleError for a file that is no bundle, NerfsemError when no element is given, OutputError."""
        from nerfsem_method.codec import nsem
        from nerfsem_method.codec.metadata import with_metadata
        from nerfsem_method.errors import NerfsemError
        from nerfsem_method.files import replacing

        changes = {name: text for name, text in asdict(self.elements).items() if text is not None}
        if not changes:
            raise NerfsemError("nothing to write: give an element, such as --title TEXT; see nerfsem describe --help")
        data = with_metadata(nsem.read_bytes(self.bundle), changes, nsem.KNOWN_SECTIONS)
        with replacing(self.bundle) as partial:
            partial.write_bytes(data)
        print(f"{self.bundle}: {len(data)} bytes")
