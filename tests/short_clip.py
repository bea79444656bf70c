"""This module makes a clip of which COLMAP finds the cameras in seconds: a quarter of the sample's turn, about half as large."""

from __future__ import annotations

import shutil
from fractions import Fraction
from itertools import islice
from pathlib import Path

from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.media.video import write_video

DATA = Path(__file__).resolve().parent / "data"
FRAMES, WIDTH, HEIGHT = 16, 144, 256


def write_short_clip(video: Path, mattes: Path) -> None:
    """Write the first FRAMES frames of the sample clip to `video`, and their mattes into the new folder `mattes`."""
    frames = (frame.rgb for frame in open_clip(DATA / "vase.mp4").frames((WIDTH, HEIGHT)))
    write_video(video, islice(frames, FRAMES), Fraction(15))
    mattes.mkdir()
    for matte in sorted((DATA / "vase_mattes").iterdir())[:FRAMES]:
        shutil.copy(matte, mattes)
