"""An imported run is exported again as the bundle that it was made of, unless its weights have changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nerfsem_method.codec import nsem
from nerfsem_method.codec.nsem import Bundle, Layer
from nerfsem_method.errors import NerfsemError
from nerfsem_method.files import replacing


def stored_background(bundle: Path) -> Layer:
    """Return the background of a bundle. Raises NerfsemError when there is none."""
    background = nsem.read(bundle).background
    if background is None:
        raise NerfsemError(f"{bundle} was imported without a background; export it with --mode fp")
    return background


def write_again(target: Path, made: Bundle, bundle: Path) -> None:
    """Write `made`, which a run imported from `bundle` holds now: its own bytes, with its metadata, where nothing has changed.

    Raises OutputError when the file cannot be written.
    """
    data = nsem.read_bytes(bundle)
    if made.background is None:
        data = nsem.drop_background(data)
    held = nsem.decode(data)
    if nsem.sections(replace(made, residual=held.residual)) != nsem.sections(held):  # no residual fits another field
        nsem.write(target, made)
        return
    nsem.check_target(target)
    with replacing(target) as partial:
        partial.write_bytes(data)
