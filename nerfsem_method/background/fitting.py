"""In a bundle of a wanted size the background takes its share: the crf is found whose stream is no larger."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from nerfsem_method.background.options import SMALLEST, BackgroundOptions

FINEST = {"h264": 32, "h265": 32, "av1": 40}
"""A background better than at these crf is hardly told from its source: the object has the bits rather."""
SLOPE = 0.08
"""One crf less makes a stream larger by about this share; it only says where to look next."""
NEAR = 0.85
"""A stream that fills this much of its share is not made again for the rest."""


def fitted(encode: Callable[[BackgroundOptions], bytes], options: BackgroundOptions, most: float) -> bytes:
    """Return the stream, of those that take at most `most` bytes, of about the best crf; the smallest where none does.

    Args:
        encode: It makes the stream of given options, whose crf it heeds; it is called a few times.
        options: A frame codec, with its default crf, where the search begins.
    """
    finest, coarsest = FINEST[options.codec], SMALLEST[options.codec]
    crf, best = options.quality, b""
    while finest <= coarsest:
        crf = crf if finest <= crf <= coarsest else (finest + coarsest) // 2
        stream = encode(replace(options, crf=crf))
        if len(stream) > most:
            finest = crf + 1
            best = best or (stream if crf == SMALLEST[options.codec] else b"")
        else:
            coarsest, best = crf - 1, stream
            if len(stream) >= NEAR * most:
                break
        crf += math.ceil(math.log(max(len(stream), 1) / most) / SLOPE)
    return best
