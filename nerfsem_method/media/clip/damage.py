"""This module judges by what a decoder said which of its frames are damaged.

A frame is damaged if the decoder complained about it, and so is what is predicted from it: every later frame, in the order of
decoding, until a key frame of which nothing bad is said. A complaint about a frame that no other refers to spreads no further.
Decoders do not notice everything: of flipped bytes in H.264, MPEG-4 and VP9 nine tenths, in VP8 two thirds, in H.265 next to
none, whose pictures are looked at instead (`blocks`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_FOLLOWS = "it is predicted from damaged frames"
_CUT = "the frames that it is predicted from are cut off"


@dataclass
class Note:
    """A note is what is known of one packet of coded data and the frame that came of it.

    Attributes:
        key: The packet is a key frame, by what container and decoder say.
        pts: The frame is to be shown at this time, in the stream's own units.
        alone: No other frame is predicted from this one.
        complaint: This speaks against the packet itself; "" if nothing does.
        number: The frame has this number among those shown; None if none was shown.
        lost: The decoder refused the packet.
        damage: This is the judgement, "" if the frame is sound; None before it is judged.
        shown: The decoder says that the frame is to be shown at this time, in the stream's own units,
        lasting: and for so long; None and 0 where it does not say.
    """

    key: bool
    pts: int | None = None
    alone: bool = False
    complaint: str = ""
    number: int | None = None
    lost: bool = False
    damage: str | None = None
    shown: int | None = None
    lasting: int = 0


class Judge:
    """A judge is told of each packet in the order of decoding, and says at once whether its frame is damaged.

    Of a stream that may have been `cut` at its start, nothing is sound before the first key frame.
    """

    def __init__(self, cut: bool) -> None:
        self._spoilt, self._spoilt_before = _CUT if cut else "", ""
        self._key_time: int | None = None

    def __call__(self, note: Note) -> str:
        """Return why the frame of a packet is damaged, "" if it is not."""
        if note.key and not note.complaint:
            self._spoilt_before, self._spoilt, self._key_time = self._spoilt, "", note.pts
        # What is decoded after a key frame but shown before it may refer to what came earlier, and nothing later refers to it.
        leading = note.pts is not None and self._key_time is not None and note.pts < self._key_time
        reason = note.complaint or (self._spoilt_before if leading else self._spoilt)
        if note.complaint and not note.alone:
            if leading:
                self._spoilt_before = self._spoilt_before or _FOLLOWS
            else:
                self._spoilt = self._spoilt or _FOLLOWS
        return reason

    def spoil(self) -> None:
        """Learn that a frame which was judged sound is not: what is predicted from it follows."""
        self._spoilt = self._spoilt or _FOLLOWS


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
