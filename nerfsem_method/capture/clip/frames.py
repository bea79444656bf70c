"""This module turns a video into PNG frames: every coded frame once, upright, by the ffmpeg that imageio-ffmpeg ships."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.video import frame_filter

Advance = Callable[[int, int], None]
"""A stage tells its progress by calling one of these with (done, total)."""

MIN_FRAMES = 8
"""Fewer frames than this do not go around an object."""
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
"""These transfer characteristics (ISO/IEC 23091-2, table 3) are of high dynamic range, which no later stage understands."""


@dataclass(frozen=True)
class VideoFacts:
    """These facts are what the container says of a video.

    `width` and `height` are as displayed (rotation applied), `rate` is in frames a second, and so many frames are `announced`.
    """

    width: int
    height: int
    rate: Fraction
    announced: int


def probe(video: Path) -> VideoFacts:
    """Return a video's facts. Raises CaptureError if it is missing, not a video, or high dynamic range."""
    import av

    if not video.is_file():
        raise CaptureError(f"{video} does not exist" if not video.exists() else f"{video} is not a file")
    try:
        with av.open(str(video)) as container:
            if not container.streams.video:
                raise CaptureError(f"{video} has no video stream")
            stream = container.streams.video[0]
            frame = next(container.decode(stream), None)
            if frame is None:
                raise CaptureError(f"{video} has a video stream without frames")
            rate = stream.average_rate or stream.guessed_rate or Fraction(30)
            transfer = _HDR_TRANSFERS.get(int(stream.codec_context.color_trc or 0))
            announced = stream.frames
    except av.FFmpegError as error:
        raise CaptureError(f"{video} is not a video that ffmpeg can read ({error.strerror})") from None
    if transfer:
        raise CaptureError(f"{video} is high dynamic range ({transfer}); convert it to standard range (BT.709) first")
    size = (frame.height, frame.width) if frame.rotation % 180 else (frame.width, frame.height)
    return VideoFacts(*size, Fraction(rate), announced)


def parse_scale(scale: str) -> tuple[int, int]:
    """Return the (width, height) that "W:H" names. Raises CaptureError for anything else."""
    match = re.fullmatch(r"(\d+):(\d+)", scale)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if min(size) < 16:
        raise CaptureError(f"--scale {scale} is not a frame size; give W:H in pixels, for example 270:480")
    return size


def extract(video: Path, facts: VideoFacts, target: Path, size: tuple[int, int], advance: Advance) -> list[Path]:
    """Write every frame to `target`/000000.png ... at `size` (area average down, Lanczos up), and return the files.

    Raises CaptureError when ffmpeg fails or the clip is shorter than MIN_FRAMES.
    """
    import ffmpeg
    import imageio_ffmpeg

    convert = frame_filter((facts.width, facts.height), size)
    pattern = str(target.resolve()).replace("%", "%%") + "/%06d.png"
    coding = {"fps_mode": "passthrough", "pix_fmt": "rgb24", "vf": convert, "compression_level": 3, "start_number": 0}
    output = ffmpeg.output(ffmpeg.input(str(video.resolve())).video, pattern, **coding).global_args(
        "-v", "error", "-nostdin", "-progress", "pipe:1"
    )
    failure = _run(output.compile(imageio_ffmpeg.get_ffmpeg_exe()), lambda done: advance(done, facts.announced))
    if failure:
        raise CaptureError(f"ffmpeg cannot decode {video}: {failure}")
    frames = sorted(target.glob("*.png"))
    if len(frames) < MIN_FRAMES:
        raise CaptureError(
            f"{video.name} is a {len(frames)}-frame clip; at least {MIN_FRAMES} frames around the object are needed"
        )
    return frames


def _run(command: list[str], on_frame: Callable[[int], None]) -> str:
    """Run ffmpeg, report its frame counter, and return its last words if it fails and "" if not."""
    with tempfile.TemporaryFile("w+") as log:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process:
            try:
                for line in process.stdout or ():
                    if line.startswith("frame="):
                        on_frame(int(line.removeprefix("frame=")))
            except BaseException:  # no orphan may go on extracting
                process.kill()
                raise
        if process.returncode == 0:
            return ""
        log.seek(0)
        return (log.read().strip().splitlines() or ["no reason given"])[-1]
