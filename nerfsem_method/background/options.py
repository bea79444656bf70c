"""A user may choose these things about the background layer; nothing heavy is imported, for the command line shows the fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro


@dataclass(frozen=True)
class BackgroundOptions:
    """These options say how the background of PC mode becomes an H.264 stream."""

    crf: Annotated[int, tyro.conf.arg(name="background-crf")] = 47
    """Code the background's H.264 stream at this quality, 0 (best) to 51; pc only."""
    gop: Annotated[int, tyro.conf.arg(name="background-gop")] = 60
    """Put this many frames from one key frame of the background to the next; pc only."""
