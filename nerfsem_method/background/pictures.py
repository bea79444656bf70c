"""The pictures of a bundle's background, however it stores them, and those of its residual are decoded here."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nerfsem_method.background import streams
from nerfsem_method.codec.hinerv import NeuralBackground
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.hinerv import painter


def pictures_of(bundle: Bundle) -> Iterator[np.ndarray]:
    """Yield the pictures of the background, uint8 [H, W, 3], one a frame; none without a background.

    Raises CorruptBundle when the stream is damaged.
    """
    video, background = bundle.video, bundle.background
    if isinstance(background, NeuralBackground):
        yield from painter.pictures(background, video.frames, video.height, video.width)
    elif background is not None:
        yield from streams.decode(background.stream, video.width, video.height, video.frames, background.codec)


def residuals_of(bundle: Bundle) -> Iterator[np.ndarray]:
    """Yield the pictures of the residual (`codec.residual`), uint8 [H, W, 3], one a frame; none without one.

    Raises CorruptBundle when the stream is damaged.
    """
    video = bundle.video
    if bundle.residual is not None:
        yield from streams.decode(bundle.residual, video.width, video.height, video.frames, "av1", "residual")
