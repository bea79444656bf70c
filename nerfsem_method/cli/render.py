"""`nerfsem render` shows the object of a bundle from anywhere: stills, a turn around it, or a path of nerfstudio's viewer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from nerfsem_method.cli.decode import parse_color
from nerfsem_method.cli.manners import BundleIn, Device, WritingManners
from nerfsem_method.errors import NerfsemError

if TYPE_CHECKING:
    import numpy as np

    from nerfsem_method.codec.nsem import Bundle
    from nerfsem_method.playback.player import Player
    from nerfsem_method.playback.viewpoint import Tour


@dataclass(frozen=True)
class Render:
    """Render new views of a .nsem bundle's object: a still (.png), a video (.mp4, .webm, .mov), or a folder of PNG frames.

    A still is a frame's view or one from --azimuth and --elevation; videos and folders are a whole turn, or a --path.

    Examples:
      nerfsem render relic.nsem turn.mp4 --size 1080:1080
      nerfsem render relic.nsem front.png --frame 0 --background-color transparent
      nerfsem render relic.nsem turn.webm --background-color transparent --elevation 20 --seconds 8
      nerfsem render relic.nsem tour.mov --path camera_path.json
    """

    bundle: BundleIn
    output: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUTPUT")]
    """Write a .png, .mp4, .webm (VP9) or .mov (ProRes) file, or a folder of PNG frames."""
    frame: int | None = None
    """See the object as this frame's camera does, counted from 0; unlike decode's, the picture is not sharpened by a filter."""
    azimuth: float = 0.0
    """See it from so many degrees to the left of the first frame's camera."""
    elevation: float | None = None
    """See it from so many degrees above the horizon; by default as the clip does in the middle."""
    distance: float = 1.0
    """See it from so many times the clip's usual distance."""
    path: Path | None = None
    """Follow this camera path, which nerfstudio's viewer saved of the imported bundle (perspective)."""
    size: str | None = None
    """Make pictures of W:H pixels, for example 1920:1080; by default as large as the clip's, or as the path says."""
    seconds: float = 6.0
    """Take so long for a whole turn."""
    rate: int = 30
    """Show so many frames of a turn a second."""
    background_color: str = "white"
    """Fill the ground with white, black, R,G,B or #rrggbb, or leave it transparent (not in .mp4)."""
    device: Device = "auto"
    manners: Annotated[WritingManners, tyro.conf.OmitArgPrefixes] = field(default_factory=WritingManners)

    def run(self) -> None:
        """Render. Raises NerfsemError before any rendering when the bundle, the output or an option cannot be used."""
        from nerfsem_method.media import delivery
        from nerfsem_method.outputs import check_apart

        check_apart([self.output], [self.bundle, self.path])
        color = parse_color(self.background_color)
        delivery.check(self.output, color is None)
        size = parse_size(self.size)
        self._check_numbers()

        from nerfsem_method.codec import nsem
        from nerfsem_method.playback.player import Player

        bundle = nsem.read(self.bundle)
        tour = self._tour(bundle, size)
        player = Player(bundle, self.device)
        rate = Fraction(tour.rate).limit_denominator(1001)
        count = delivery.deliver(self.output, _pictures(player, tour, color), rate)
        camera = tour.viewpoints[0].camera
        print(f"{self.output}: {count} frame{'s' * (count != 1)}, {camera.width} x {camera.height}")

    def _check_numbers(self) -> None:
        if not (0 < self.distance < math.inf and 0 < self.seconds < math.inf and self.rate >= 1):
            raise NerfsemError("--distance, --seconds and --rate must be more than 0, and finite")
        if self.path is not None and self.frame is not None:
            raise NerfsemError("--path and --frame both say where to look from; give one of them")

    def _tour(self, bundle: Bundle, asked: tuple[int, int] | None) -> Tour:
        from nerfsem_method.playback import viewpoint

        still = self.output.suffix.lower() == ".png"
        size = asked or (bundle.camera.width, bundle.camera.height)
        if self.path is not None:
            return viewpoint.from_nerfstudio(bundle, self.path, asked)
        if self.frame is not None:
            return viewpoint.Tour((viewpoint.of_frame(bundle, self.frame, size),), self.rate)
        if still:
            view = viewpoint.around(bundle, self.azimuth, self.elevation, self.distance, size)
            return viewpoint.Tour((view,), self.rate)
        count = max(round(self.seconds * self.rate), 1)
        return viewpoint.orbit(bundle, count, self.rate, self.elevation, self.distance, size)


LARGEST = 1 << 14
"""No side of a picture has more pixels than this: ffmpeg's and browsers' decoders end there."""


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Return W:H as two numbers, None for none. Raises NerfsemError for any other text."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)[:x](\d+)", text)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if min(size) < 1 or max(size) > LARGEST:
        raise NerfsemError(f"--size {text} is no size of a picture; give W:H in pixels, for example 1920:1080")
    return size


def _pictures(player: Player, tour: Tour, color: tuple[int, int, int] | None) -> Iterator[np.ndarray]:
    """Yield the pictures, with a progress bar on stderr."""
    import sys

    from nerfsem_method.playback.player import over, straight
    from nerfsem_method.progress import track

    for view in track(tour.viewpoints, "rendering", len(tour.viewpoints), sys.stderr):
        seen = player.seen(view)
        yield straight(seen) if color is None else over(seen, color)
