"""`nerfsem publish` makes web pages of bundles."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from nerfsem_method.cli.manners import Manners
from nerfsem_method.errors import NerfsemError


@dataclass(frozen=True)
class Publish:
    """Make a folder of web pages that show .nsem bundles: a page a piece, and an index of several.

    The folder goes onto any web server as it is, and its index.html opens from a disk, too.

    Examples:
      nerfsem publish relic.nsem site/
      nerfsem publish vase.nsem bust.nsem coin.nsem site/
    """

    paths: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="BUNDLE [BUNDLE ...] FOLDER")]
    """Read these .nsem files, and write this folder: a new or empty one, or an earlier site, which is replaced."""
    manners: Annotated[Manners, tyro.conf.OmitArgPrefixes] = field(default_factory=Manners)

    def run(self) -> None:
        """Publish. Raises BundleError for a file that is no bundle, OutputError for a folder that cannot be used.

        The folder is the last of all words: tyro would take it for a bundle where an option follows it.
        """
        from nerfsem_method.web.site import INDEX, write_site

        if len(self.paths) < 2:
            raise NerfsemError("name one bundle or more and the folder of their pages, such as relic.nsem site/")
        *bundles, output = self.paths
        pieces = write_site(output, tuple(bundles))
        print(f"{output / INDEX}: {', '.join(piece.title for piece in pieces)}")
