"""A user may choose these things about the background layer; nothing heavy is imported, for the command line shows the fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class BackgroundOptions:
    """These options say how the background of PC mode is stored."""

    codec: Annotated[Literal["h264", "hinerv"], tyro.conf.arg(name="background-codec")] = "h264"
    """Store the background as an H.264 stream, or as a network that is trained to paint it, which takes long; pc only."""
    size: Annotated[Literal["small", "medium", "large"], tyro.conf.arg(name="background-size")] = "small"
    """The network of hinerv has this size; pc only."""
    crf: Annotated[int, tyro.conf.arg(name="background-crf")] = 47
    """Code the background's H.264 stream at this quality, 0 (best) to 51; pc only."""
    fill: Annotated[Literal["rim", "smooth", "mean"], tyro.conf.arg(name="background-fill")] = "rim"
    """Paint the object over: rim continues the background within the outline and is flat further inside, smooth continues it
    throughout, mean is flat up to the outline, which is blurred (the paper's way); pc only."""
    gop: Annotated[int, tyro.conf.arg(name="background-gop")] = 60
    """Put this many frames from one key frame of the background to the next; pc only."""
