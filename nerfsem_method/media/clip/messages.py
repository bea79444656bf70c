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


def summary(messages: Iterable[str]) -> str:
    """Return many messages as a short text: the first of the most frequent kind, and how many more there are."""
    texts = [" ".join(text.split()) for text in messages]
    if not texts:
        return ""
    kinds = Counter(re.sub(r"-?\d+", "#", text) for text in texts)
    often = kinds.most_common(1)[0][0]
    first = next(text for text in texts if re.sub(r"-?\d+", "#", text) == often)
    return f'"{first}"' + (f" and {len(texts) - 1} more" if len(texts) > 1 else "")
