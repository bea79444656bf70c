"""`nerfsem verify` tells whether a bundle is sound."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Verify:
    """Check every checksum of a .nsem bundle, decode all its parts and compare the symbols' hash; no rendering.

    Exit code 0 says that the bundle is sound; with 2, one line says what is wrong with it.

    Example: nerfsem verify relic.nsem
    """

    bundle: tyro.conf.Positional[Path]
    """Read this .nsem file."""

    def run(self) -> None:
        """Verify. Raises BundleError for a file that is not sound."""
        from nerfsem_method.background.sound import read_sound

        bundle = read_sound(self.bundle)
        video = bundle.video
        print(f"{self.bundle}: sound; {bundle.mode}, {video.frames} frames, {video.width} x {video.height}")
