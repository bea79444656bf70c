"""A bundle is sound when every part of it decodes: all checksums fit, and the background's stream has all of its frames."""

from __future__ import annotations

from pathlib import Path

from nerfsem_method.background import h264
from nerfsem_method.codec import nsem


def read_sound(path: Path) -> nsem.Bundle:
    """Return a bundle of which every part was decoded; nothing is rendered. Raises BundleError for a file that is not sound."""
    bundle = nsem.read(path)
    video = bundle.video
    if bundle.background is not None:
        for _ in h264.decode(bundle.background.stream, video.width, video.height, video.frames):
            pass
    return bundle
