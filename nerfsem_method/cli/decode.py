"""`nerfsem decode` turns a bundle into a video or into PNG frames."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from nerfsem_method.cli.manners import BundleIn, Device, WritingManners
from nerfsem_method.errors import NerfsemError, OutputError

if TYPE_CHECKING:
    import numpy as np

    from nerfsem_method.playback.player import Player

WHITE = (255, 255, 255)


@dataclass(frozen=True)
class Decode:
    """Render a .nsem bundle back to a video: an .mp4 file, or a folder of PNG frames.

    The mp4 is a visually lossless convenience; the PNG frames are the decoder's own pixels.

    Examples:
      nerfsem decode relic.nsem relic.mp4
      nerfsem decode relic.nsem frames/ --mode fp --background-color transparent
      nerfsem decode relic.nsem start.mp4 --frames 0:30
    """

    bundle: BundleIn
    output: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUTPUT")]
    """Write an .mp4 file, or a folder (a path without extension) of PNG frames; it replaces one of ours, nothing else."""
    mode: Literal["fp", "pc"] | None = None
    """fp shows the object over a plain colour, pc the full video.
    The default is pc where the bundle holds a background and no --background-color is given, else fp."""
    background_color: str | None = None
    """Fill fp's ground with white (the default), black, transparent (a folder of RGBA frames), R,G,B or #rrggbb."""
    frames: str | None = None
    """A:B decodes frames A to B - 1, counted from 0; either may be left out. By default all are decoded."""
    device: Device = "auto"
    manners: Annotated[WritingManners, tyro.conf.OmitArgPrefixes] = field(default_factory=WritingManners)

    def run(self) -> None:
        """Decode. Raises NerfsemError before any rendering when the bundle, the output or an option cannot be used."""
        color = parse_color(self.background_color or "white")
        folder = self._to_folder()
        if color is None and not folder:
            raise OutputError(f"{self.output} cannot be transparent; name a folder for RGBA frames instead")
        if self.mode == "pc" and self.background_color is not None:
            raise NerfsemError("--background-color fills fp's ground; leave it out, or decode with --mode fp")
        self._check_output(folder)

        from nerfsem_method.codec import nsem

        bundle = nsem.read(self.bundle)
        start, stop = parse_range(self.frames, bundle.video.frames)
        mode = self.mode or ("pc" if bundle.background is not None and self.background_color is None else "fp")
        if mode == "pc" and bundle.background is None:
            raise NerfsemError(f"{self.bundle} holds no background; decode it with --mode fp")

        from nerfsem_method.media.naming import frames_text
        from nerfsem_method.media.video import write_png_folder, write_video
        from nerfsem_method.playback.player import Player
        from nerfsem_method.progress import track

        pictures = _pictures(Player(bundle, self.device), mode, color, start, stop)
        frames = track(pictures, "decoding", stop - start, sys.stderr)
        if folder:  # noqa: SIM108
            count = write_png_folder(self.output, frames, start)
        else:
            count = write_video(self.output, frames, bundle.video.rate)
        if bundle.video.left_out:
            print(f"{frames_text(list(bundle.video.left_out))} of the clip are not in the bundle: no camera, or damaged")
        print(f"{self.output}: {count} frames, {bundle.video.width} x {bundle.video.height}, {mode}")

    def _to_folder(self) -> bool:
        video = self.output.name.lower().endswith(".mp4")
        if self.output.is_dir() or not (video or self.output.suffix):
            return True
        if not video:
            raise OutputError(f"{self.output} is neither an .mp4 file nor a folder; name one of the two")
        return False

    def _check_output(self, folder: bool) -> None:
        from nerfsem_method.media.video import check_video
        from nerfsem_method.outputs import check_apart, check_png_folder

        check_apart([self.output], [self.bundle])
        (check_png_folder if folder else check_video)(self.output)


def parse_color(text: str) -> tuple[int, int, int] | None:
    """Return white, black, R,G,B or #rrggbb as three bytes; None for transparent. Raises NerfsemError for any other text."""
    names = {"white": WHITE, "black": (0, 0, 0), "transparent": None}
    if text.lower() in names:
        return names[text.lower()]
    if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        red, green, blue = bytes.fromhex(text[1:])
        return red, green, blue
    parts = text.split(",")
    if len(parts) == 3 and all(part.strip().isdecimal() and int(part) < 256 for part in parts):
        red, green, blue = map(int, parts)
        return red, green, blue
    raise NerfsemError(f"--background-color {text} is no colour; give white, black, transparent, R,G,B or #rrggbb")


def parse_range(text: str | None, frames: int) -> tuple[int, int]:
    """Return A:B as (A, B), both optional, within a clip of `frames` frames. Raises NerfsemError for any other text."""
    match = re.fullmatch(r"(\d*):(\d*)", ":" if text is None else text)
    start = int(match[1] or 0) if match else frames
    stop = int(match[2] or frames) if match else 0
    if not start < stop <= frames:
        raise NerfsemError(f"--frames {text} is no range of this clip; give A:B with 0 <= A < B <= {frames}")
    return start, stop


def _pictures(
    player: Player, mode: Literal["fp", "pc"], color: tuple[int, int, int] | None, start: int, stop: int
) -> Iterator[np.ndarray]:
    if color is None:
        return (player.frame(index) for index in range(start, stop))
    return player.frames(mode, color, start, stop)
