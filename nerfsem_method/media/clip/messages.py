"""ffmpeg's libraries say in messages, and often nowhere else, what is wrong with a file; this module listens."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

INFO = 32
"""This level of ffmpeg's is the lowest that is heard: that errors were concealed is told there."""
ERROR = 16
"""Messages of this level and below are complaints; those above it inform."""
_SPOILT = re.compile(
    r"concealing|error while decoding|damaged|overread|error (y=|count|at mb)|bad vlc|crc mismatch|overflow|undecodable nalu"
    r"|find ref with poc|missing reference|missing during reorder|references are available|frame num gap|slice mismatch"
    r"|error (parsing|splitting|constructing)|no frame!|partial file|cabac decode of|unavailable for requested",
    re.IGNORECASE,
)
"""Messages with these words mean that pixels are wrong; others, such as those about unknown headers, often mean nothing."""

Message = tuple[int, str, str]
"""A message is its level, the part of ffmpeg that speaks, and its text."""


@contextmanager
def heard() -> Iterator[list[Message]]:
    """Collect what ffmpeg says on this thread inside the block; everything that it would print elsewhere stays as it was."""
    import av.logging

    level, repeated = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(INFO)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as messages:
            yield messages
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(repeated)


def spoilt(messages: list[Message]) -> str:
    """Return the first message, in quotes, that says that pixels are wrong; "" if none does."""
    said = (text.strip() for level, _, text in messages if level <= INFO and _SPOILT.search(text))
    return next((f'"{text}"' for text in said), "")


def complaints(messages: list[Message]) -> list[str]:
    """Return the texts of all messages that tell of errors."""
    return [" ".join(text.split()) for level, _, text in messages if level <= ERROR or _SPOILT.search(text)]


def summary(texts: Iterable[str]) -> str:
    """Return many texts as a short one: the first of the most frequent kind, and how many more there are."""
    texts = list(texts)
    if not texts:
        return ""
    kinds = [re.sub(r"-?\d+", "#", text) for text in texts]
    first = texts[kinds.index(Counter(kinds).most_common(1)[0][0])]
    return f'"{first}"' + (f" and {len(texts) - 1} more" if len(texts) > 1 else "")
