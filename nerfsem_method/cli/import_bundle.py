"""`nerfsem import` turns a bundle into a nerfstudio run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from nerfsem_method.cli.manners import BundleIn, WritingManners


@dataclass(frozen=True)
class Import:
    """Unpack a bundle as a nerfstudio run, for ns-viewer and ns-render; the video is not needed.

    Example: nerfsem import relic.nsem run/ && ns-viewer --load-config run/config.yml
    """

    bundle: BundleIn
    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Make this folder; config.yml will lie in it. The run cannot be moved afterwards: import again instead."""
    manners: Annotated[WritingManners, tyro.conf.OmitArgPrefixes] = field(default_factory=WritingManners)

    def run(self) -> None:
        """Import. Raises BundleError for a damaged bundle, OutputError when the folder cannot be made."""
        from nerfsem_method.codec import nsem

        nsem.read_bytes(self.bundle)  # A missing file is told at once, not after nerfstudio has been loaded.

        from nerfsem_method.plugin.runs import import_bundle

        config = import_bundle(self.bundle, self.run_dir)
        print(f"Look at it: ns-viewer --load-config {config}")
