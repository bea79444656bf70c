"""This program measures the frame codecs of pc's background: bytes and PSNR at several crf, of plates as `compress` makes them.

    make demo
    python -m benchmarks.study.backgrounds --scene SCENE

PSNR is that of RGB over pixels where the matte is 0, mean over the frames; bytes are those of the stream.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

from benchmarks.record import RESULTS, Table, keep
from benchmarks.study.hinerv import background_psnr
from nerfsem_method.background import streams
from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.background.plate import make_plate, mean_colours, most_frequent
from nerfsem_method.cli.main import run
from nerfsem_method.codec.background import StreamCodec
from nerfsem_method.scene.scene import Scene

PROGRAM = "benchmarks.study.backgrounds"


@dataclass(frozen=True)
class Backgrounds:
    """Code the background of a captured scene with each frame codec."""

    scene: Path
    """This is the captured scene."""
    h264: tuple[int, ...] = (40, 44, 47, 51)
    """H.264 has these crf."""
    h265: tuple[int, ...] = (40, 44, 47, 49, 51)
    """H.265 has these crf."""
    av1: tuple[int, ...] = (53, 57, 60, 63)
    """AV1 has these crf."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> None:
        """Print the table and keep it. Raises NerfsemError where there is no scene."""
        scene = Scene.load(self.scene)
        frames = np.array([np.asarray(Image.open(scene.root / frame.image).convert("RGB")) for frame in scene.frames])
        mattes = np.array([np.asarray(Image.open(scene.root / frame.matte).convert("L")) for frame in scene.frames])
        count, height, width = mattes.shape
        note = f"{scene.video.name}, {count} frames of {width}x{height}, pixels where the matte is 0."
        rows = list(self._rows(scene, frames, mattes))
        keep(self.results, PROGRAM, Table("frame codecs of the background", ("codec", "crf", "bytes", "PSNR"), rows, note=note))

    def _rows(self, scene: Scene, frames: np.ndarray, mattes: np.ndarray) -> Iterator[tuple[str, ...]]:
        plates = list(make_plate(frames, mattes, most_frequent(mean_colours(frames, mattes)), BackgroundOptions().fill))
        count, height, width = mattes.shape
        asked: dict[StreamCodec, tuple[int, ...]] = {"h264": self.h264, "h265": self.h265, "av1": self.av1}
        for codec, levels in asked.items():
            for crf in levels:
                stream = streams.encode(plates, scene.video.rate, BackgroundOptions(codec, crf=crf))
                quality = background_psnr(streams.decode(stream, width, height, count, codec), frames, mattes)
                yield codec, f"{crf}", f"{len(stream):,}", f"{quality:.2f} dB"


if __name__ == "__main__":
    sys.exit(run(tyro.cli(Backgrounds)))
