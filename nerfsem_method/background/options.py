"""A user may choose these things about the background layer; nothing heavy is imported, for the command line shows the fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from nerfsem_method.errors import NerfsemError

QUALITIES = {"h264": (47, 51), "h265": (49, 51), "av1": (63, 63)}
"""Each frame codec has a crf that it takes by default, for pictures about as good as the others', and a coarsest one."""
SMALLEST = {"h264": 51, "h265": 49, "av1": 63}
"""With these crf streams are as small as they get: beyond 49, x265 makes them worse and no smaller."""


@dataclass(frozen=True)
class BackgroundOptions:
    """These options say how the background of PC mode is stored."""

    codec: Annotated[Literal["h264", "h265", "av1", "hinerv"], tyro.conf.arg(name="background-codec")] = "h264"
    """Store the background as a stream of H.264, H.265 or AV1, or (hinerv) as a network that is trained to paint it, which takes
    long; pc only."""
    size: Annotated[Literal["small", "medium", "large"], tyro.conf.arg(name="background-size")] = "small"
    """The network of hinerv has this size; pc only."""
    crf: Annotated[int | None, tyro.conf.arg(name="background-crf")] = None
    """Code the background's stream at this quality, 0 (best) to 51, of av1 to 63; by default 47 (h264), 49 (h265) or 63 (av1),
    or as a --target-size allows; pc only."""
    fill: Annotated[Literal["rim", "smooth", "mean"], tyro.conf.arg(name="background-fill")] = "rim"
    """Paint the object over: rim continues the background within the outline and is flat further inside, smooth continues it
    throughout, mean is flat up to the outline, which is blurred (the paper's way); pc only."""
    gop: Annotated[int, tyro.conf.arg(name="background-gop")] = 60
    """Put this many frames from one key frame of the background to the next; pc only."""

    def check(self) -> None:
        """Raise NerfsemError for a crf that the codec does not have, and for key frames that are no distance apart."""
        _ = self.quality
        if self.gop < 1:
            raise NerfsemError(f"--background-gop {self.gop} is no distance from one key frame to the next; give 1 frame or more")

    @property
    def quality(self) -> int:
        """Return the crf of the codec's stream, 0 of a network. Raises NerfsemError for one that the codec does not have."""
        usual, coarsest = QUALITIES.get(self.codec, (0, 0))
        if self.crf is None or self.codec not in QUALITIES:
            return usual
        if not 0 <= self.crf <= coarsest:
            raise NerfsemError(f"--background-crf {self.crf} is no quality of {self.codec}; give 0 (best) to {coarsest}")
        return self.crf

    @property
    def smaller(self) -> str:
        """Return which options make the background of a wanted size smaller, "" where none does; without a crf it is smallest."""
        other = "--background-codec av1" if self.codec in ("h264", "hinerv") else ""
        coarser = "a higher --background-crf" if self.crf is not None and self.quality < SMALLEST.get(self.codec, 0) else ""
        return " or ".join(filter(None, (coarser, other)))
