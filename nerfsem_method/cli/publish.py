"""`nerfsem publish` makes web pages of bundles."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from nerfsem_method.cli.manners import BundlesIn, Manners, named


@dataclass(frozen=True)
class Publish:
    """Make a folder of web pages that show .nsem bundles: a page a piece, and an index of several.

    The folder goes onto any web server as it is, and its index.html opens from a disk, too.

    Examples:
      nerfsem publish relic.nsem site/
      nerfsem publish vase.nsem bust.nsem coin.nsem site/
    """

    bundles: BundlesIn
    output: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """Write this folder: a new or empty one, or an earlier site, which is replaced."""
    manners: Annotated[Manners, tyro.conf.OmitArgPrefixes] = field(default_factory=Manners)

    def run(self) -> None:
        """Publish. Raises BundleError for a file that is no bundle, OutputError for a folder that cannot be used."""
        from nerfsem_method.web.site import INDEX, write_site

        pieces = write_site(self.output, named(self.bundles))
        print(f"{self.output / INDEX}: {', '.join(piece.title for piece in pieces)}")
