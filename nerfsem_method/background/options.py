"""What a user may choose about the background layer; no heavy imports, for the command line shows these fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro


@dataclass(frozen=True)
class BackgroundOptions:
    """How the background of PC mode becomes an H.264 stream."""

    crf: Annotated[int, tyro.conf.arg(name="background-crf")] = 47
    """Quality of the background's H.264 stream, 0 (best) to 51; pc only."""
    gop: Annotated[int, tyro.conf.arg(name="background-gop")] = 60
    """Frames from one key frame of the background to the next; pc only."""
