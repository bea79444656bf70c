"""A video is a clip in a container: this module chooses the stream, reads the facts and yields the frames."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip import colour
from nerfsem_method.media.clip.alpha import Ground, constant
from nerfsem_method.media.clip.clip import Clip, ClipFrame, Findings, check_size, frames_text
from nerfsem_method.media.clip.decoder import Decoder
from nerfsem_method.media.clip.filters import Chain, Deinterlacer, Resizer, scaling
from nerfsem_method.media.clip.messages import heard
from nerfsem_method.media.clip.shape import Shape, crop_of, display_matrix, shape_of
from nerfsem_method.media.clip.streams import main_stream, promised_packets, sane_rate

_NO_VIDEOS = ("tty", "bin", "xbin", "adf", "idf", "lrc", "hls", "concat", "dash", "sdp", "rtsp", "image2", "lavfi")
"""ffmpeg also opens texts, which it draws, and lists of other files; neither is a video."""


@dataclass(frozen=True)
class VideoClip(Clip):
    """A video clip is the main video stream of a file.

    Attributes:
        shape: So coded pictures become those that are shown.
        promised: The container announces so many packets of the stream, hidden ones included; 0 where it does not say.
        seconds: The container announces this length; None where it does not say.
        notes: These remarks were due when the file was opened.
    """

    shape: Shape
    promised: int
    seconds: float | None
    notes: tuple[str, ...]

    @cached_property
    def sha256(self) -> str:  # type: ignore[override]
        """Return the SHA-256 of the file."""
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def frames(self, size: tuple[int, int] | None = None, findings: Findings | None = None) -> Iterator[ClipFrame]:
        """Yield the frames as `Clip.frames` says. Raises CaptureError where their size or range changes along the file."""
        findings = Findings() if findings is None else findings
        convert = _Converter(self, size or (self.width, self.height))
        with _opened(self.path) as (container, stream, _):
            decoder = Decoder(container, stream)
            woven: list[int] = []
            for number, frame in enumerate(self._whole(decoder, woven)):
                if number % self.every == 0:
                    yield ClipFrame(number // self.every, str(number), *convert(frame))
        self._conclude(decoder, woven, findings)

    def _whole(self, decoder: Decoder, woven: list[int]) -> Iterator[Any]:
        """Yield whole pictures, one for each frame that is shown, and put the numbers of those that were interlaced on a list."""
        whole, first = Deinterlacer(), None
        for number, frame in enumerate(decoder.frames()):
            size = (frame.width, frame.height)
            first = first or size
            if size != first:
                steps = f"scale={self.width}:{self.height},setsar=1"
                raise CaptureError(
                    f"{self.path} changes its size from {first[0]}x{first[1]} to {size[0]}x{size[1]} at frame {number}; "
                    f"give all of it one size first: {colour.conversion(self.path, steps)}"
                )
            if kind := colour.high_dynamic_range([int(frame.color_trc)], (), ""):
                raise colour.refuse_high_range(self.path, kind)
            if frame.interlaced_frame:
                woven.append(number)
            yield from whole.push(frame)
        yield from whole.finish()

    def _conclude(self, decoder: Decoder, woven: list[int], findings: Findings) -> None:
        """Write down what reading to the end has shown."""
        thinned = {n // self.every: reason for n, reason in decoder.damaged().items() if n % self.every == 0}
        findings.damaged.update(thinned)
        findings.remarks += self.notes
        if woven := sorted({n // self.every for n in woven if n % self.every == 0}):
            findings.remarks.append(f"{frames_text(woven)} {_was(woven)} interlaced, and {_was(woven)} deinterlaced")
        start, later = decoder.missing()
        if start:
            findings.remarks.append(
                f"the file starts in the middle of something: {start} picture{'s' * (start > 1)} at its start cannot be "
                "decoded without what was cut off before"
            )
        if later:
            findings.remarks.append(f"{later} picture{'s' * (later > 1)} could not be decoded at all")
        if early := self._early_end(decoder):
            findings.remarks.append(early)
        if decoder.summary:
            findings.remarks.append(f"ffmpeg complains of the file: {decoder.summary}")

    def _early_end(self, decoder: Decoder) -> str:
        """Return the facts where the file ends before it should, "" where it does not."""
        read = len(decoder.notes)
        if self.promised > read:
            return f"the video announces {self.promised} frames, {read} could be read: its end is missing"
        if not decoder.cut:
            return ""
        if self.seconds is None or decoder.last is None:
            return "the file is cut off: its end is missing"
        return f"the video announces {self.seconds:.1f} seconds, {decoder.last:.1f} could be read: its end is missing"


def _was(numbers: list[int]) -> str:
    return "was" if len(numbers) == 1 else "were"


def open_video(path: Path, every: int) -> VideoClip:
    """Return the clip of a video file.

    Raises CaptureError for a file that is no video, has none but a cover picture, or has pictures that cannot be worked with.
    """
    with _opened(path) as (container, stream, description):
        coded = stream.codec_context
        check_size(max(coded.width, coded.coded_width, 16), max(coded.height, coded.coded_height, 16), str(path))
        transfers = [int(coded.color_trc or 0)]
        decoder = Decoder(container, stream)
        frame = next(decoder.frames(), None)
        if frame is None:
            said = f" ({decoder.summary})" if decoder.summary else ""
            raise CaptureError(f"{path} has a video stream without frames that can be decoded{said}")
        kinds = [item.type.name for item in list(frame.side_data)]
        if kind := colour.high_dynamic_range([*transfers, int(frame.color_trc)], kinds, description):
            raise colour.refuse_high_range(path, kind)
        aspect = stream.sample_aspect_ratio or decoder.context.sample_aspect_ratio
        shape = shape_of((frame.width, frame.height), aspect, display_matrix(frame), crop_of(description))
        check_size(shape.width, shape.height, str(path))
        colour.matrix_option(frame, (shape.width, shape.height), path)
        alpha = any(part.is_alpha for part in frame.format.components) or frame.format.has_palette
        notes = []
        if gamut := colour.wide_gamut(frame):
            notes.append(f"the video's colours are of the wide gamut {gamut} and are taken as they are; they may look pale")
        rate, seconds = sane_rate(container, stream)
        promised, shown = promised_packets(container, stream)
    announced = -(-(shown or round((seconds or 0) * rate)) // every)
    facts = (path, every, shape.width, shape.height, rate / every, announced, alpha, {})
    return VideoClip(*facts, shape, promised, seconds, tuple(notes))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any, str]]:
    """Open a file and yield the container, its main stream and ffmpeg's description of that stream."""
    import av

    with heard() as messages:
        try:
            # An absolute path is never taken for a protocol, whatever colons it holds.
            container = av.open(os.path.abspath(path), metadata_errors="replace")
        except av.FFmpegError as error:
            said = next((text.strip() for level, _, text in messages if "moov atom" in text), "")
            raise CaptureError(_unreadable(path, said or str(error.strerror))) from None
        except (OSError, ValueError) as error:
            raise CaptureError(_unreadable(path, str(error))) from None
        whole = container.dumps_format() or ""
    with container:
        if container.format.name in _NO_VIDEOS or container.format.name.endswith("_pipe"):
            raise CaptureError(f"{path} is not a video but a {container.format.name} file; name a video or a folder of photographs")
        stream = main_stream(container, path)
        yield container, stream, colour.stream_description(whole, stream.index)


def _unreadable(path: Path, reason: str) -> str:
    if "moov atom" in reason:
        return (
            f"{path} is not a video that ffmpeg can read: its index is missing (moov atom not found), because the recording or "
            "the copy was cut off; copy it again, or repair it with a tool such as untrunc"
        )
    return f"{path} is not a video that ffmpeg can read ({reason})"


class _Converter:
    """A converter makes RGB at one size, and alpha where there is some, of one video's whole frames."""

    def __init__(self, clip: VideoClip, size: tuple[int, int]) -> None:
        self.clip, self.size = clip, size
        self._chains: dict[tuple[str, ...], Chain] = {}
        self._ground, self._resize = Ground(), Resizer(size)

    def __call__(self, frame: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """Return a frame as RGB [H, W, 3], and its alpha [H, W] if it has one."""
        shape = self.clip.shape
        options = colour.matrix_option(frame, (shape.width, shape.height), self.clip.path)
        if not self.clip.alpha:
            return self._through(frame, scaling(shape.stored, self.size, options), "format=rgb24"), None
        rgba = self._through(frame, scaling(shape.stored, shape.stored, options), "format=rgba")
        alpha = rgba[..., 3]
        if constant(alpha):
            flat = np.full(self.size[::-1], alpha[0, 0], np.uint8)
            return self._through(frame, scaling(shape.stored, self.size, options), "format=rgb24"), flat
        return self._resize(self._ground.under(rgba[..., :3], alpha)), self._resize(np.ascontiguousarray(alpha))

    def _through(self, frame: Any, *filters: str) -> np.ndarray:
        chain = self._chains.setdefault(filters, Chain([*self.clip.shape.filters, *filters]))
        return next(iter(chain.push(frame))).to_ndarray()
