"""This module decodes one stream of a container, packet by packet, and keeps a note of each and of what ffmpeg said."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Any

from nerfsem_method.media.clip.blocks import Blocks
from nerfsem_method.media.clip.damage import Judge, Note, refers_to_nobody
from nerfsem_method.media.clip.messages import Message, complaints, heard, spoilt
from nerfsem_method.media.clip.quantiser import CODEC, EACH, OPTIONS, quantiser

_LIBRARIES = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""ffmpeg's own decoders of these codecs pass over the alpha channel, which the codecs' own library reads, and over damage, which
it notices: in six of six films of VP9 with flipped bytes, and in four of six of VP8."""
_LOOSE_PACKETS = ("mpegts",)
"""These containers mark a packet as incomplete whenever recordings were joined; there the decoder's word counts alone."""
_CUT_ANYWHERE = ("mpegts", "mpeg", "mpegvideo", "m4v")
"""Files of these kinds may begin anywhere, in the middle of a group of pictures, too."""
_SELF_STARTING = ("h264", "hevc", "vvc")
"""Decoders of these codecs keep frames back until there is a picture to begin with, others show grey; and they know better than
the container what a key frame is."""
_NEVER_REFERRED_TO = ("mpeg1video", "mpeg2video", "mpeg4", "vc1", "wmv3")
"""In these codecs no frame is predicted from a B frame."""
_SILENT = ("hevc",)
"""ffmpeg's decoders of these codecs say next to nothing of damage, and their pictures are looked at."""
_B_FRAME = 3
_ENDS_EARLY = ("partial file", "ended prematurely")


class Decoder:
    """A decoder yields the frames that a stream shows, in their order; each is shown once.

    One thread decodes: then messages belong to packets, and damaged frames look the same every time.

    Attributes:
        said: These are the texts of ffmpeg's complaints.
        cut: ffmpeg says that the file ends before its data do.
        packets: So many packets have been read.
        shown: So many frames have been yielded.
        missing: So many packets were refused by the decoder.
        quantisers: Frames that were looked at, and say it, have these.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        self.container, self.stream = container, stream
        self.context, self.codec = decoder_of(stream)
        self._witness = None if self.context is not stream.codec_context else _library_of(stream, self.codec)
        self.said: list[str] = []
        self.quantisers: list[float] = []
        self.cut = False
        self.packets = self.shown = self.missing = 0
        self._slots: set[int] = set()
        cut = container.format.name in _CUT_ANYWHERE and self.codec not in _SELF_STARTING
        self._judge, self._waiting = Judge(cut), deque[Note]()
        self._blocks = Blocks() if self.codec in _SILENT else None

    @property
    def slots(self) -> tuple[int, int]:
        """Return how many slots a container that counts these, AVI, has up to the last packet, and how many of them are empty.

        Where a packet comes in every second slot alone, or in every hundredth, the others are none.
        """
        taken = sorted(self._slots) or [0]
        unit = math.gcd(*(later - earlier for earlier, later in zip(taken, taken[1:], strict=False)), 0) or 1
        return taken[-1] + unit, (taken[-1] - taken[0]) // unit + 1 - len(taken)

    def frames(self) -> Iterator[tuple[Any, Note]]:
        """Yield all frames that the stream shows, with their notes, which are judged."""
        import av

        packets = iter(self.container.demux(self.stream))
        while True:
            with heard() as messages:
                try:
                    packet = next(packets, None)
                except av.FFmpegError as error:
                    packet, self.cut = None, True
                    self.said.append(str(error.strerror))
            self._listen(messages)
            if packet is None:
                break
            self.packets += packet.dts is not None or packet.size > 0
            if packet.dts is not None and packet.size:
                self._slots.add(packet.dts)
            if packet.size:  # Empty ones are dropped frames of an AVI, or the end.
                yield from self._decode(packet, messages)
        yield from self._give(None, Note(False))
        self.missing += sum(note.lost for note in self._waiting)

    def _decode(self, packet: Any, before: list[Message]) -> Iterator[tuple[Any, Note]]:
        note = Note(bool(packet.is_keyframe), packet.pts)
        note.alone = refers_to_nobody(bytes(packet), self.codec, self.context.extradata)
        self._waiting.append(note)
        packet.opaque = note
        torn = bool(packet.is_corrupt) and self.container.format.name not in _LOOSE_PACKETS
        note.complaint = spoilt(before) or ("its data are incomplete" if torn else "")
        yield from self._give(packet, note)

    def _give(self, packet: Any, note: Note) -> Iterator[tuple[Any, Note]]:
        """Decode a packet, or what is left when there is none, and yield its frames, which may belong to earlier packets."""
        import av

        frames: list[Any] = []
        with heard() as messages:
            try:
                frames = self.context.decode(packet)
            except av.EOFError:
                pass
            except av.FFmpegError as error:
                note.lost = True
                note.complaint = note.complaint or f'"{error.strerror}"'
        self._listen(messages)
        note.complaint = note.complaint or spoilt(messages) or self._refused(packet)
        for frame in frames:
            yield frame, self._remember(frame)

    def _refused(self, packet: Any) -> str:
        """Return what speaks against a packet if the codec's own library does not take it; "" otherwise."""
        import av

        if self._witness is None or packet is None:
            return ""
        with heard():
            try:
                self._witness.decode(packet)
            except av.FFmpegError:
                return "its data are damaged, says the library of its codec"
        return ""

    def _remember(self, frame: Any) -> Note:
        """Return the note of a frame's packet, completed by what the frame shows and judged."""
        note = frame.opaque
        if not isinstance(note, Note):
            note = Note(False, frame.pts)
            self._waiting.append(note)
        note.number, note.shown, note.lasting = self.shown, frame.pts, frame.duration or 0
        note.complaint = note.complaint or ("the decoder marks it as corrupt" if frame.is_corrupt else "")
        broken = self._blocks.complaint(frame) if self._blocks else ""
        note.complaint = note.complaint or broken
        note.key = note.key and (bool(frame.key_frame) or self.codec not in _SELF_STARTING)
        note.alone = note.alone or (self.codec in _NEVER_REFERRED_TO and frame.pict_type == _B_FRAME)
        if self.shown % EACH == 0 and (found := quantiser(frame)) is not None:
            self.quantisers.append(found)
        self.shown += 1
        while note.damage is None:
            earlier = self._waiting.popleft()
            earlier.damage = self._judge(earlier)
            self.missing += earlier.lost
        if broken and not note.damage:  # It was judged with a frame that is decoded later and shown earlier.
            note.damage = broken
            self._judge.spoil()
        return note

    def _listen(self, messages: list[Message]) -> None:
        self.said += complaints(messages)
        self.cut = self.cut or any(words in text for _, _, text in messages for words in _ENDS_EARLY)


def decoder_of(stream: Any) -> tuple[Any, str]:
    """Return the decoding context for a stream and the codec's name; one that reads alpha where the container promises it."""
    from av.codec.context import Flags

    codec = stream.codec_context.codec.canonical_name
    context = stream.codec_context
    if stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) == "1":
        context = _library_of(stream, codec) or context  # Where this build lacks the library, colours are better than nothing.
    if codec == CODEC:
        context.options = {**context.options, **OPTIONS}
    context.thread_count = 1
    context.flags |= Flags.copy_opaque | Flags.unaligned  # Unaligned, a crop at the left is not rounded.
    return context, codec


def _library_of(stream: Any, codec: str) -> Any | None:
    """Return a decoding context of the codec's own library; None where there is none, or it reads 8 bits a channel alone."""
    import av

    if codec not in _LIBRARIES or (stream.codec_context.pix_fmt or "").endswith(("10le", "12le")):
        return None
    try:
        context = av.CodecContext.create(_LIBRARIES[codec], "r")
    except (av.FFmpegError, ValueError):
        return None
    context.extradata = stream.codec_context.extradata
    context.thread_count = 1
    return context
