"""Clips of many kinds are made here by ffmpeg, in fractions of a second each."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg


def ffmpeg(*arguments: str | Path | int) -> None:
    """Run ffmpeg, which overwrites its outputs."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def pattern(path: Path, frames: int, *options: str | Path, size: str = "64x48", source: str = "testsrc2") -> Path:
    """Write a clip of 10 frames a second, in which every frame differs, with ffmpeg's output `options`, and return its path."""
    picture = f"{source}=size={size}:rate=10"
    ffmpeg("-f", "lavfi", "-i", picture, "-frames:v", str(frames), "-pix_fmt", "yuv420p", "-threads", "1", *options, path)
    return path
