"""This module judges by what a decoder said which of its frames are damaged.

A frame is damaged if the decoder complained about it, and so is what is predicted from it: every later frame, in the order of
decoding, until a key frame of which nothing bad is said. On clips with flipped bytes, of a dozen codecs, exactly these frames
differ from the undamaged ones. A complaint about a frame that no other refers to spreads no further.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nerfsem_method.media.clip.messages import ERROR, INFO, Message

_SPOILT = re.compile(
    r"concealing|error while decoding|damaged|overread|error (y=|count|at mb)|bad vlc|crc mismatch|overflow|undecodable nalu"
    r"|find ref with poc|missing reference|missing during reorder|references are available|frame num gap|slice mismatch"
    r"|error (parsing|splitting|constructing)|no frame!|partial file|cabac decode of|unavailable for requested",
    re.IGNORECASE,
)
"""Messages with these words mean that pixels are wrong; others, such as those about unknown headers, often mean nothing."""
_FOLLOWS = "it is predicted from damaged frames"
_CUT = "the frames that it is predicted from are cut off"
_MARKED = "the decoder marks it as corrupt"
_TORN = "its data are incomplete"
_SELF_STARTING = ("h264", "hevc", "vvc")
"""Decoders of these codecs keep frames back until there is a picture to begin with; the others show grey."""


@dataclass
class Note:
    """A note is what is known of one packet of coded data and the frame that came of it.

    Attributes:
        key: The packet is a key frame, by what container and decoder say.
        pts: The frame is to be shown at this time, in the stream's own units.
        alone: No other frame is predicted from this one.
        complaint: The decoder said this about it, "" if nothing.
        marked: The decoder marked the frame as corrupt.
        index: The frame has this number among those shown; None if none was shown.
        hidden: The container says that the frame is not to be shown, because an edit list cuts it off.
        lost: The decoder refused the packet.
    """

    key: bool
    pts: int | None = None
    alone: bool = False
    complaint: str = ""
    marked: bool = False
    index: int | None = None
    hidden: bool = False
    lost: bool = False

    @property
    def reason(self) -> str:
        """Return what speaks against the packet itself, "" if nothing does."""
        return self.complaint or (_MARKED if self.marked else "")


def complaint_of(messages: list[Message], torn: bool) -> str:
    """Return the message that says that pixels are wrong, "" if none does; `torn` data are a reason by themselves."""
    said = [text.strip() for level, _, text in messages if level <= INFO and _SPOILT.search(text)]
    return f'"{said[0]}"' if said else _TORN if torn else ""


def complaints(messages: list[Message]) -> list[str]:
    """Return the texts of all messages that tell of errors."""
    return [text.strip() for level, _, text in messages if level <= ERROR or _SPOILT.search(text)]


def judge(notes: list[Note], codec: str) -> dict[int, str]:
    """Return the damaged frames, index -> reason, of all packets in the order of decoding."""
    found: dict[int, str] = {}
    no_start = codec not in _SELF_STARTING and any(note.key for note in notes)
    spoilt, spoilt_before = _CUT if no_start else "", ""
    key_time: int | None = None
    for note in notes:
        if note.key and not note.reason:
            spoilt_before, spoilt, key_time = spoilt, "", note.pts
        # What is decoded after a key frame but shown before it may refer to what came earlier, and nothing later refers to it.
        leading = note.pts is not None and key_time is not None and note.pts < key_time
        reason = note.reason or (spoilt_before if leading else spoilt)
        if reason and note.index is not None:
            found[note.index] = reason
        if note.reason and not note.alone:
            if leading:
                spoilt_before = spoilt_before or _FOLLOWS
            else:
                spoilt = spoilt or _FOLLOWS
    return dict(sorted(found.items()))


def refers_to_nobody(data: bytes, codec: str, extradata: bytes | None) -> bool:
    """Return whether a packet of H.264 or H.265 says that no other frame is predicted from it."""
    if codec not in ("h264", "hevc"):
        return False
    for unit in _nal_heads(data, codec, extradata or b""):
        if codec == "h264" and 1 <= unit & 31 <= 5:
            return unit >> 5 & 3 == 0
        if codec == "hevc" and unit >> 1 & 63 < 32:
            kind = unit >> 1 & 63
            return kind < 16 and kind % 2 == 0
    return False


def _nal_heads(data: bytes, codec: str, extradata: bytes) -> list[int]:
    """Return the first byte of each NAL unit of a packet, whether start codes or lengths part them."""
    if extradata[:1] != b"\x01":
        return [data[m.end()] for m in re.finditer(rb"\x00\x00\x01", data) if m.end() < len(data)]
    length_at = 4 if codec == "h264" else 21
    width = (extradata[length_at] & 3) + 1 if len(extradata) > length_at else 4
    heads, at = [], 0
    while at + width < len(data):
        heads.append(data[at + width])
        at += width + int.from_bytes(data[at : at + width], "big")
    return heads
