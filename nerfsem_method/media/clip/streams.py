"""A container may hold several streams and say wrong things of them; this module chooses the main one and reads its facts."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from nerfsem_method.errors import CaptureError

SLOWEST, FASTEST = Fraction(1, 10), 480
"""No camera makes fewer or more frames a second; a file that says so gives its unit of time instead, or nothing."""
USUAL_RATE = Fraction(30)
"""A video that does not say how fast it is shown is shown so fast."""


def main_stream(container: Any, path: Path) -> Any:
    """Return the video stream that a player shows: never a cover picture or a thumbnail.

    Of several, one with more than a single picture comes first, then the default one, the largest, the longest and the first.
    Raises CaptureError where there is none.
    """
    from av.stream import Disposition

    moving = _moving(container)
    if not moving:
        raise CaptureError(f"{path} has no video stream{', only a cover picture' if container.streams.video else ''}")
    known = [stream for stream in moving if stream.codec_context is not None]
    if not known:
        raise CaptureError(f"{path} has a video stream of a codec that ffmpeg does not know; convert it to H.264 first")

    def rank(stream: Any) -> tuple:
        default = bool(stream.disposition & Disposition.default)
        pixels = stream.codec_context.width * stream.codec_context.height
        return stream.frames != 1, default, pixels, length_of(stream) or 0, stream.frames, -stream.index

    return max(known, key=rank)


def beside(container: Any, stream: Any) -> list[str]:
    """Return what is to be said where a file has more than the one video track that is taken: a player may show another."""
    others = [track for track in _moving(container) if track.index != stream.index and track.frames != 1]
    if not others:
        return []
    size = f"{stream.codec_context.width}x{stream.codec_context.height}"
    return [
        f"the file has {1 + len(others)} video tracks, of which number {stream.index} ({size}) is taken; if it is the wrong one, "
        f"ffmpeg's -map 0:{others[0].index} -c copy keeps another"
    ]


def _moving(container: Any) -> list[Any]:
    """Return the video streams of a file that are no cover pictures and no thumbnails, and stand for themselves."""
    from av.stream import Disposition

    still = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image | Disposition.dependent
    return [stream for stream in container.streams.video if not stream.disposition & still]


def length_of(stream: Any) -> float | None:
    """Return a stream's announced length in seconds, None where its header does not say."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    text = stream.metadata.get("DURATION", "")
    try:
        hours, minutes, seconds = text.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return None


def promised_packets(container: Any, stream: Any) -> tuple[int, int]:
    """Return how many packets the container announces for a stream, and how many of them are to be shown; 0 if it does not say.

    The index of an MP4 is what its edit lists leave of it; the header counts all.
    """
    if "mov" in container.format.name.split(",") and len(stream.index_entries):
        return len(stream.index_entries), sum(not entry.is_discard for entry in stream.index_entries)
    return stream.frames, stream.frames


def sane_rate(container: Any, stream: Any) -> tuple[Fraction, float | None]:
    """Return a stream's mean rate in frames a second, and its announced length in seconds.

    A rate that no camera has is replaced by that of the timestamps, for which the rest of the file is read, or by a usual one.
    """
    length = length_of(stream)
    if length is None and container.duration:
        length = container.duration / 1_000_000
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and SLOWEST <= rate <= FASTEST:
            return Fraction(rate), length
    return _rate_of_times(container, stream), length


def _rate_of_times(container: Any, stream: Any) -> Fraction:
    import av

    times = []
    try:
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None:
                times.append(packet.pts)
    except av.FFmpegError:
        pass  # What could be read must do.
    if len(times) < 2 or max(times) == min(times):
        return USUAL_RATE
    rate = (len(times) - 1) / ((max(times) - min(times)) * Fraction(stream.time_base))
    return rate.limit_denominator(1001) if SLOWEST <= rate <= FASTEST else USUAL_RATE
