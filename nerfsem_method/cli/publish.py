"""`nerfsem publish` makes web pages of bundles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Publish:
    """Make a folder of web pages that show .nsem bundles: a page a piece, and an index of several.

    The folder goes onto any web server as it is, and its index.html opens from a disk, too.

    Examples:
      nerfsem publish relic.nsem site/
      nerfsem publish vase.nsem bust.nsem coin.nsem site/
    """

    bundles: tyro.conf.Positional[tuple[Path, ...]]
    """Show these .nsem files, in this order."""
    output: tyro.conf.Positional[Path]
    """Write this folder: a new or empty one, or an earlier site, which is replaced."""

    def run(self) -> None:
        """Publish. Raises BundleError for a file that is no bundle, OutputError for a folder that cannot be used."""
        from nerfsem_method.errors import NerfsemError
        from nerfsem_method.web.site import INDEX, write_site

        if not self.bundles:
            raise NerfsemError(f"nothing to publish: name bundles before the folder {self.output}")
        pieces = write_site(self.output, self.bundles)
        print(f"{self.output / INDEX}: {', '.join(piece.title for piece in pieces)}")
