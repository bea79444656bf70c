"""BACK, HEVC or OBUS holds the background's stream, its filling colour and each frame's mean colour (FORMAT.md, section 9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from nerfsem_method.codec import rice
from nerfsem_method.errors import CorruptBundle

StreamCodec = Literal["h264", "h265", "av1"]
STREAMS: dict[StreamCodec, tuple[str, bytes]] = {
    "h264": ("BACK", b"\x00\x00\x01"),
    "h265": ("HEVC", b"\x00\x00\x01"),
    "av1": ("OBUS", b"\x12\x00"),
}
"""Each codec has a section of its own, so that readers without it refuse the bundle by name, and its streams begin with this."""


@dataclass(frozen=True)
class Background:
    """A background of a frame codec is what section BACK, HEVC or OBUS of a bundle holds.

    Attributes:
        stream: The plates are Annex B without SEI (H.264, H.265) or OBUs (AV1).
        fill: The most frequent of the mean colours is uint8 [3].
        means: The mean background colours of the frames are uint8 [N, 3].
        codec: The stream is of this codec.
    """

    stream: bytes
    fill: np.ndarray
    means: np.ndarray
    codec: StreamCodec = "h264"

    def payload(self) -> bytes:
        """Return `fill` (3 bytes), the means as Rice-coded differences, then the stream."""
        return self.fill.astype(np.uint8).tobytes() + rice.pack(_differences(self.means)) + self.stream

    @classmethod
    def from_payload(cls, payload: bytes, frames: int, codec: StreamCodec = "h264") -> Background:
        """Read what `payload` gave for a clip of `frames` frames. Raises CorruptBundle for what no encoder writes."""
        if len(payload) < 3:
            raise CorruptBundle("the background section is too short; restore the file from a copy")
        differences, used = rice.unpack(payload[3:], 3 * frames)
        means = _colours(differences.reshape(frames, 3))
        if means.min(initial=0) < 0 or means.max(initial=0) > 255:
            raise CorruptBundle("a background colour is out of range; restore the file from a copy")
        stream = payload[3 + used :]
        if not stream.startswith(STREAMS[codec][1]):
            raise CorruptBundle(f"the background holds no stream of {codec}; restore the file from a copy")
        return cls(stream, np.frombuffer(payload[:3], np.uint8), means.astype(np.uint8), codec)


def _differences(means: np.ndarray) -> np.ndarray:
    """Return the changes of green from frame to frame, and of red and blue against green; int64 [N, 3]."""
    red, green, blue = means.astype(np.int64).T
    return np.diff(np.stack([red - green, green, blue - green], -1), axis=0, prepend=0)


def _colours(differences: np.ndarray) -> np.ndarray:
    red, green, blue = np.cumsum(differences, 0).T
    return np.stack([red + green, green, blue + green], -1)
