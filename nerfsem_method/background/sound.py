"""A bundle is sound when every part of it decodes: all checksums fit, and each stream of a frame codec has all of its frames."""

from __future__ import annotations

from pathlib import Path

from nerfsem_method.background.pictures import pictures_of, residuals_of
from nerfsem_method.codec import nsem
from nerfsem_method.codec.background import Background


def read_sound(path: Path) -> nsem.Bundle:
    """Return a bundle of which every part was decoded; nothing is rendered. Raises BundleError for a file that is not sound."""
    bundle = nsem.read(path)
    if isinstance(bundle.background, Background):  # a network's numbers are checked where they are read
        for _ in pictures_of(bundle):
            pass
    for _ in residuals_of(bundle):
        pass
    return bundle
