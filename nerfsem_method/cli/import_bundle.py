"""`nerfsem import` turns a bundle into a nerfstudio run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Import:
    """Unpack a bundle as a nerfstudio run, for ns-viewer and ns-render; the video is not needed.

    Example: nerfsem import relic.nsem run/ && ns-viewer --load-config run/config.yml
    """

    bundle: tyro.conf.Positional[Path]
    """Read this .nsem file; a copy of it goes into the run."""
    run_dir: tyro.conf.Positional[Path]
    """Make this folder; config.yml will lie in it. The run cannot be moved afterwards: import again instead."""

    def run(self) -> None:
        """Import. Raises BundleError for a damaged bundle, OutputError when the folder cannot be made."""
        from nerfsem_method.codec import nsem

        nsem.read_bytes(self.bundle)  # A missing file is told at once, not after nerfstudio has been loaded.

        from nerfsem_method.plugin.runs import import_bundle

        config = import_bundle(self.bundle, self.run_dir)
        print(f"Look at it: ns-viewer --load-config {config}")
