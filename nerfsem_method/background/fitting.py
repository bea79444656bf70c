"""A stream of a frame codec gets the crf at which it takes its share of a wanted size, or shows what is wanted."""

from __future__ import annotations

import math
from collections.abc import Callable

FINEST = {"h264": 32, "h265": 32, "av1": 40}
"""A background better than at these crf is hardly told from its source: the object has the bits rather."""
SLOPE = 0.08
"""One crf less makes a background's stream larger by about this share; it only says where to look next."""
NEAR = 0.85
"""A stream that fills this much of its share is not made again for the rest."""


def fitted(
    encode: Callable[[int], bytes], excess: Callable[[bytes], float], first: int, span: tuple[int, int], near: float
) -> bytes:
    """Return a stream that is too fine by no crf, and about the finest of those; that of the coarsest crf where none is.

    Args:
        encode: It makes the stream of a crf; it is called a few times, for `first` at first.
        excess: By so many crf a stream is about too fine; less than 0 where it may be finer.
        span: These are the finest crf and the coarsest.
        near: A stream that may be finer by no more than this is taken.
    """
    (finest, coarsest), crf, best = span, first, b""
    while finest <= coarsest:
        crf = crf if finest <= crf <= coarsest else (finest + coarsest) // 2
        stream = encode(crf)
        over = excess(stream)
        if over > 0:
            finest = crf + 1
            best = best or (stream if crf == span[1] else b"")
        else:
            coarsest, best = crf - 1, stream
            if over >= -near:
                break
        crf += math.ceil(over) or -1
    return best


def larger(most: float, slope: float) -> Callable[[bytes], float]:
    """Return the `excess` of streams beyond `most` bytes, of which a crf less makes one larger by the share `slope`."""
    return lambda stream: math.log(max(len(stream), 1) / most) / slope
