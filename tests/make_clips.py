"""Clips of many kinds are made here by ffmpeg, in fractions of a second each, and compared."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from nerfsem_method.media.clip.door import open_clip


def ffmpeg(*arguments: str | Path | int) -> None:
    """Run ffmpeg, which overwrites its outputs."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def pattern(path: Path, frames: int, *options: str | Path, size: str = "64x48", source: str = "testsrc2") -> Path:
    """Write a clip of 10 frames a second, in which every frame differs, with ffmpeg's output `options`, and return its path."""
    picture = f"{source}=size={size}:rate=10"
    ffmpeg("-f", "lavfi", "-i", picture, "-frames:v", str(frames), "-pix_fmt", "yuv420p", "-threads", "1", *options, path)
    return path


def pictures(path: Path, size: tuple[int, int] | None = None, every: int = 1) -> list[np.ndarray]:
    """Return all frames of a clip."""
    return [frame.rgb for frame in open_clip(path, every).frames(size)]


def near(one: list[np.ndarray], other: list[np.ndarray], tolerance: float = 2) -> bool:
    """Return whether two clips show the same, but for what coding changes."""
    assert len(one) == len(other)
    return all(a.shape == b.shape and np.abs(a.astype(int) - b).mean() < tolerance for a, b in zip(one, other, strict=True))


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    """Return whether two clips have the same pixels."""
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def profile(primaries: list[list[float]], gamma: float) -> bytes:
    """Return an ICC profile (version 2) of three primaries, XYZ under D50 in columns, and one gamma."""

    def xyz(x: float, y: float, z: float) -> bytes:
        return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * value) for value in (x, y, z)))

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(256 * gamma)) + bytes(2)
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"wide\0" + bytes(78)
    tags = {b"desc": text, b"wtpt": xyz(0.9642, 1, 0.8249), b"cprt": b"text" + bytes(4) + b"none"}
    for letter, column in zip((b"r", b"g", b"b"), zip(*primaries, strict=True), strict=True):
        tags[letter + b"XYZ"], tags[letter + b"TRC"] = xyz(*column), curve
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp"
    head += bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
