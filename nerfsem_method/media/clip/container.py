"""A video is a clip in a container: this module chooses the stream, reads the facts and yields the frames."""

from __future__ import annotations

import codecs
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nerfsem_method.errors import CaptureError
from nerfsem_method.files import hash_file
from nerfsem_method.media.clip import colour
from nerfsem_method.media.clip.alpha import Ground, constant
from nerfsem_method.media.clip.clip import SMALLEST_SIDE, Clip, ClipFrame, Findings, check_size
from nerfsem_method.media.clip.damage import Note
from nerfsem_method.media.clip.decoder import Decoder
from nerfsem_method.media.clip.filters import Chain, Deinterlacer, Resizer, scaling
from nerfsem_method.media.clip.messages import heard, summary
from nerfsem_method.media.clip.places import Places
from nerfsem_method.media.clip.quantiser import too_coarse
from nerfsem_method.media.clip.shape import Shape, crop_of, eyes_of, one_eye, projection_around, shape_of, side_data
from nerfsem_method.media.clip.streams import beside, main_stream, promised_packets, sane_rate
from nerfsem_method.media.naming import frames_text

_NO_VIDEOS = ("tty", "bin", "xbin", "adf", "idf", "lrc", "hls", "concat", "dash", "sdp", "rtsp", "image2", "lavfi")
"""ffmpeg also opens texts, which it draws, and lists of other files; neither is a video."""

_PHOTOGRAPHS_IN_A_ROW = (".mjpeg", ".mjpg")
"""Files with these endings are motion JPEG without a container, which ffmpeg would take for one photograph."""
_FIRST_BOX = 4096
"""An MP4 file says so within so many bytes."""


@dataclass(frozen=True)
class VideoClip(Clip):
    """A video clip is the main video stream of a file.

    Attributes:
        shape: So coded pictures become those that are shown.
        promised: The container announces so many packets of the stream, hidden ones included; 0 where it does not say.
        notes: These remarks were due when the file was opened.
    """

    shape: Shape
    promised: int
    notes: tuple[str, ...]

    @cached_property
    def sha256(self) -> str:  # type: ignore[override]
        """Return the SHA-256 of the file."""
        return hash_file(self.path)

    def _frames(self, size: tuple[int, int], findings: Findings) -> Iterator[ClipFrame]:
        import av

        convert, start, woven = _Converter(self, size), None, []
        with _opened(self.path) as (container, stream, _):
            decoder, places = Decoder(container, stream), Places(stream.guessed_rate or self.rate * self.every)
            begin = Fraction(container.start_time or 0, av.time_base)
            for frame, note, interlaced in self._whole(decoder):
                assert note.number is not None
                if note.pts is None:
                    time = note.number / (self.rate * self.every)
                else:
                    start = note.pts if start is None else start
                    time = (note.pts - start) * stream.time_base
                shown = time if note.shown is None else note.shown * stream.time_base - begin
                places.add(shown, note.lasting * stream.time_base)
                if note.number % self.every:
                    continue
                if note.damage:
                    findings.damaged[note.number] = note.damage
                    continue
                if interlaced:
                    woven.append(note.number)
                yield ClipFrame(note.number, float(time), *convert(frame))
            read, findings.empty = decoder.slots if container.format.name == "avi" else (decoder.packets, 0)
        first = [places.first[number] for number in findings.numbers]
        findings.places = [place for place in first if place is not None] if None not in first else []
        findings.total, findings.place_count = decoder.shown, places.count
        findings.whole = self.promised if self.promised > read else 0
        findings.remarks += [*self.notes, *self._remarks(decoder, findings, woven)]

    def _whole(self, decoder: Decoder) -> Iterator[tuple[Any, Note, bool]]:
        """Yield a whole picture for each frame that is shown, with its note, and whether it was interlaced."""
        whole, first, inside, oblong = Deinterlacer(), None, deque[Note](), None
        for frame, note in decoder.frames():
            size, aspect = (frame.width, frame.height), decoder.context.sample_aspect_ratio or Fraction(1)
            first, oblong = first or size, oblong or aspect
            if aspect != oblong:  # The decoder knows it some frames ahead of these.
                command = colour.conversion(self.path, f"trim=end_frame={note.number}")
                raise CaptureError(
                    f"{self.path} changes the shape of its pixels from {_ratio(oblong)} to {_ratio(aspect)} at about "
                    f"frame {note.number}, as where films were joined; give one part alone: {command}"
                )
            if size != first:
                command = colour.conversion(self.path, f"scale={self.width}:{self.height},setsar=1")
                raise CaptureError(
                    f"{self.path} changes its size from {first[0]}x{first[1]} to {size[0]}x{size[1]} at frame {note.number}; "
                    f"give all of it one size first: {command}"
                )
            if kind := colour.high_dynamic_range([int(frame.color_trc)], (), ""):
                raise colour.refuse_high_range(self.path, kind)
            inside.append(note)
            for ready, woven in whole.push(frame):
                yield ready, inside.popleft(), woven
        for ready, woven in whole.finish():
            yield ready, inside.popleft(), woven

    def _remarks(self, decoder: Decoder, findings: Findings, woven: list[int]) -> Iterator[str]:
        """Yield what reading to the end has shown."""
        damaged, empty = findings.damaged, findings.empty
        if numbers := list(damaged):
            yield f"{frames_text(numbers)} of the video {_is(numbers)} damaged and left out: {damaged[numbers[0]]}"
        if woven:
            yield f"{frames_text(woven)} of the video {_is(woven)} interlaced; whole pictures were made of the half ones"
        if decoder.missing:
            yield f"{decoder.missing} picture{'s' * (decoder.missing > 1)} of the video could not be decoded at all"
        if empty:
            yield f"{empty} frame{'s are' if empty > 1 else ' is'} empty, as AVI may have them: left out"
        if findings.whole:
            yield f"the video announces {self.promised} frames, {decoder.packets} could be read: its end is missing"
        elif decoder.cut:
            yield "the file is cut off: its end is missing"
        if coarse := too_coarse(decoder.quantisers):
            yield coarse
        if decoder.said and not damaged:
            yield f"ffmpeg complains of the file: {summary(decoder.said)}"


def _ratio(aspect: Fraction) -> str:
    return f"{aspect.numerator}:{aspect.denominator}"


def _is(numbers: list[int]) -> str:
    return "is" if len(numbers) == 1 else "are"


def open_video(path: Path, every: int) -> VideoClip:
    """Return the clip of a video file.

    Raises CaptureError for a file that is no video, has none but a cover picture, or has pictures that cannot be worked with.
    """
    with _opened(path) as (container, stream, description):
        coded = stream.codec_context
        # A header that claims too much is refused before a picture of its size is decoded; one that says nothing is not.
        check_size(max(coded.width, SMALLEST_SIDE), max(coded.height, SMALLEST_SIDE), path)
        transfers = [int(coded.color_trc or 0)]
        decoder = Decoder(container, stream)
        frame, _ = next(decoder.frames(), (None, None))
        if frame is None:
            said = f" ({summary(decoder.said)})" if decoder.said else ""
            raise CaptureError(f"{path} has a video stream without frames that can be decoded{said}")
        kinds = [item.type.name for item in list(frame.side_data)]
        if kind := colour.high_dynamic_range([*transfers, int(frame.color_trc)], kinds, description):
            raise colour.refuse_high_range(path, kind)
        if eyes := eyes_of(side_data(frame, "STEREO3D"), description):
            half = one_eye(eyes)
            remedy = f"keep that of one: {colour.conversion(path, half)}" if half else "give a film of one"
            raise CaptureError(f"{path} is a 3D film with a picture for each eye in a frame ({eyes}); {remedy}")
        if projection := projection_around(description):
            raise CaptureError(
                f"{path} is a film of all around the camera ({projection}); let its program export the view of the object, flat"
            )
        aspect = stream.sample_aspect_ratio or decoder.context.sample_aspect_ratio
        shape = shape_of((frame.width, frame.height), aspect, side_data(frame, "DISPLAYMATRIX"), crop_of(description))
        check_size(shape.width, shape.height, path)
        colour.matrix_option(frame, (shape.width, shape.height), path)
        gamut = colour.wide_gamut(frame)
        pale = f"the video's colours are of the wide gamut {gamut} and are taken as they are; they may look pale"
        notes = (*([pale] if gamut else []), *beside(container, stream))
        rate, seconds = sane_rate(container, stream)
        promised, shown = promised_packets(container, stream)
    announced = -(-(shown or round((seconds or 0) * rate)) // every)
    return VideoClip(path, every, shape.width, shape.height, rate / every, announced, shape, promised, notes)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any, str]]:
    """Open a file and yield the container, its main stream and ffmpeg's description of that stream."""
    import av

    with heard() as messages:
        try:
            # An absolute path is never taken for a protocol, whatever colons it holds.
            raw = "mjpeg" if path.suffix.lower() in _PHOTOGRAPHS_IN_A_ROW else None
            container: Any = av.open(os.path.abspath(path), format=raw, metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError) as error:
            if os.path.getsize(path) == 0:
                raise CaptureError(f"{path} is not a video that ffmpeg can read: the file is empty; copy it again") from None
            lost_index = any("moov atom" in text for _, _, text in messages)
            raise CaptureError(_unreadable(path, lost_index, getattr(error, "strerror", None) or str(error))) from None
        whole = container.dumps_format() or ""
    with container:
        if container.format.name in _NO_VIDEOS or container.format.name.endswith("_pipe"):
            kind = container.format.name.removesuffix("_pipe")
            picture = kind != container.format.name
            what = f"one picture ({kind})" if picture else f"a {kind} file"
            raise CaptureError(f"{path} is not a video but {what}; name a video or a folder of photographs")
        stream = main_stream(container, path)
        yield container, stream, colour.stream_description(whole, stream.index)


def _unreadable(path: Path, lost_index: bool, reason: str) -> str:
    with path.open("rb") as file:
        start = file.read(_FIRST_BOX)
    text = start.removeprefix(codecs.BOM_UTF8).decode(errors="replace").strip()
    if b"\0" not in start and (start.isascii() or text.startswith("<")):
        begins = text.partition("\n")[0][:40]
        return f"{path} is not a video but a text that begins with {begins!r}: save the video itself once more"
    if lost_index:
        return (
            f"{path} is not a video that ffmpeg can read: its index is missing (moov atom not found), because the recording or "
            "the copy was cut off; copy it again, or repair it with a tool such as untrunc"
        )
    return f"{path} is not a video that ffmpeg can read ({reason}); give one that a player shows"


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
        whole = (frame, scaling(shape.stored, self.size, options), "format=rgb24")
        if not (frame.format.has_palette or any(part.is_alpha for part in frame.format.components)):
            return self._through(*whole), None
        rgba = self._through(frame, scaling(shape.stored, shape.stored, options), "format=rgba")
        rgb, alpha = rgba[..., :3], np.ascontiguousarray(rgba[..., 3])
        if constant(alpha):
            return self._through(*whole), np.full(self.size[::-1], alpha[0, 0], np.uint8)
        return self._resize(self._ground.under(rgb, alpha)), self._resize(alpha)

    def _through(self, frame: Any, *filters: str) -> np.ndarray:
        chain = self._chains.setdefault(filters, Chain([*self.clip.shape.filters, *filters]))
        return next(iter(chain.push(frame))).to_ndarray()
