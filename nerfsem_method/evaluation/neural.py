"""HiNeRV is a peer like a frame codec: whole frames in, the bytes of section HNRV out; its levels are its networks' sizes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np

from nerfsem_method.codec import coder
from nerfsem_method.codec import hinerv as codec
from nerfsem_method.codec.hinerv import NeuralBackground
from nerfsem_method.errors import CorruptBundle
from nerfsem_method.hinerv import painter
from nerfsem_method.hinerv.sizes import SizeName, recipe
from nerfsem_method.media.video import StreamError
from nerfsem_method.progress import progress_bar

SIZE_NAMES: tuple[SizeName, ...] = get_args(SizeName)
LEVELS = tuple(reversed(range(len(SIZE_NAMES))))
"""The largest network comes first, as the best quality of every peer does."""


@cache
def maker() -> str:
    """Return a hash of the sources that make a stream: another network or training makes another one."""
    places = {Path(codec.__file__), Path(coder.__file__), *Path(painter.__file__).parent.rglob("*.py")}
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(places))).hexdigest()


def encode(frames: np.ndarray, level: int) -> bytes:
    """Train the network of a level on uint8 frames [N, H, W, 3], which takes long, and return its bytes."""
    from nerfsem_method.hinerv.training.fit import fit

    everywhere = np.zeros(frames.shape[:3], np.uint8)
    with progress_bar(f"hinerv, {SIZE_NAMES[level]}") as advance:
        return fit(frames, everywhere, recipe(SIZE_NAMES[level], *frames.shape[:3]), advance).payload()


def decode(stream: bytes, width: int, height: int, frames: int) -> Iterator[np.ndarray]:
    """Yield the stream's frames, uint8 [H, W, 3]. Raises StreamError if it is damaged."""
    try:
        network = NeuralBackground.from_payload(stream, frames, height, width)
    except CorruptBundle as error:
        raise StreamError(str(error)) from None
    yield from painter.pictures(network, frames, height, width)
