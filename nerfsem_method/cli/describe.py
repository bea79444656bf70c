"""`nerfsem describe` writes archival metadata into a bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from nerfsem_method.cli.manners import Manners


@dataclass(frozen=True)
class DublinCore:
    """These are the fifteen elements of Dublin Core (ISO 15836-1); one not given stays as it is, an empty text removes it."""

    title: str | None = None
    """Name the object or the recording."""
    creator: str | None = None
    """Say who made the object."""
    subject: str | None = None
    """Give topics or keywords."""
    description: str | None = None
    """Say what it is."""
    publisher: str | None = None
    """Name the institution that makes it available."""
    contributor: str | None = None
    """Say who helped, the photographer for instance."""
    date: str | None = None
    """Say when, by preference as in 2026-11-21."""
    type: str | None = None
    """Give the nature of the resource."""
    format: str | None = None
    """Give the file format or the dimensions of the original."""
    identifier: str | None = None
    """Give an inventory number or an address."""
    source: str | None = None
    """Say what this was derived from."""
    language: str | None = None
    """Name the language of the texts."""
    relation: str | None = None
    """Name a related resource."""
    coverage: str | None = None
    """Name a place or a period."""
    rights: str | None = None
    """Name the rights held, or the licence."""


@dataclass(frozen=True)
class Describe:
    """Write archival metadata into a .nsem bundle; `nerfsem info` shows it. The coded video stays as it is.

    Example: nerfsem describe relic.nsem --title "Red-figure amphora" --rights CC0 --identifier 1843,1103.77
    """

    bundle: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="BUNDLE")]
    """Take this .nsem file; it is replaced in one move."""
    elements: Annotated[DublinCore, tyro.conf.OmitArgPrefixes] = field(default_factory=DublinCore)
    """Write these elements."""
    manners: Annotated[Manners, tyro.conf.OmitArgPrefixes] = field(default_factory=Manners)

    def run(self) -> None:
        """Describe. Raises BundleError for a file that is no bundle, NerfsemError without an element, OutputError."""
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
