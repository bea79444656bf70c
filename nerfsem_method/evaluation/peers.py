"""Peers are frame codecs to compare with; one function runs them all, so that each is measured in the same way.

It is generous to the peer: only the elementary stream counts, without container, SEI, delimiters and repeated headers, and
each codec runs at a slow preset, tuned for PSNR where it has such a tuning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from nerfsem_method.evaluation import neural
from nerfsem_method.evaluation.metrics import NOT_ASKED, Perceptual, Quality, measure
from nerfsem_method.files import scratch
from nerfsem_method.media.annexb import H264, HEVC, VVC, NalSyntax, lean_stream
from nerfsem_method.media.video import StreamError, decode_file, encode_file


@dataclass(frozen=True)
class Peer:
    """A peer is a frame codec with its settings. `gop` is the distance of key frames; None means one for the whole clip."""

    name: str
    muxer: str
    options: dict[str, Any]
    quality: str  # This option trades bytes for distortion.
    levels: tuple[int, ...]  # It takes these values on a rate-distortion curve.
    syntax: NalSyntax | None
    gop: int | None = None

    def encode(self, frames: np.ndarray, rate: Fraction, level: int) -> bytes:
        """Return the elementary stream of uint8 frames [N, H, W, 3] at one quality level. Raises StreamError if ffmpeg fails."""
        if self.muxer == NEURAL:
            return neural.encode(frames, level)
        gop = len(frames) if self.gop is None else self.gop
        options = {**self.options, self.quality: level, "g": gop, "format": self.muxer, "threads": 1}
        if "x265-params" in options:
            options["x265-params"] += f":keyint={gop}"
        with scratch("nerfsem-peer-") as folder:
            path = folder / "stream"
            encode_file(path, frames, rate, options)
            stream = path.read_bytes()
        return stream if self.syntax is None else lean_stream(stream, self.syntax)

    def decode(self, stream: bytes, width: int, height: int, frames: int) -> Iterator[np.ndarray]:
        """Yield the stream's frames, uint8 [H, W, 3]. Raises StreamError if it is damaged."""
        if self.muxer == NEURAL:
            yield from neural.decode(stream, width, height, frames)
            return
        with scratch("nerfsem-peer-") as folder:
            path = folder / "stream"
            path.write_bytes(stream)
            yield from decode_file(path, width, height, frames + 1, {"format": self.muxer})


@dataclass(frozen=True)
class RatePoint:
    """A rate point is one point of a rate-distortion curve: how it was made, its bytes, bits per pixel and quality."""

    codec: str
    level: int | None
    bytes: int
    bpp: float
    quality: Quality

    def row(self) -> dict[str, Any]:
        """Return the point as one flat dictionary, for JSON."""
        return {"codec": self.codec, "level": self.level, "bytes": self.bytes, "bpp": self.bpp, **asdict(self.quality)}


_X264 = {"vcodec": "libx264", "preset": "veryslow", "tune": "psnr"}
_X265 = {"vcodec": "libx265", "preset": "veryslow", "tune": "psnr"}
_X265_PARAMS = {"x265-params": "log-level=none:info=0:frame-threads=1"}
_CRF = (33, 37, 41, 45, 48, 51)
NEURAL = "hinerv"
"""This peer is no codec of ffmpeg's but a network."""

PEERS = {
    peer.name: peer
    for peer in (
        Peer("x264", "h264", _X264, "crf", _CRF, H264),
        Peer("x265", "hevc", _X265 | _X265_PARAMS, "crf", _CRF, HEVC),
        Peer("x264-gop25", "h264", _X264, "crf", _CRF, H264, gop=25),
        Peer("x265-gop20", "hevc", _X265 | _X265_PARAMS, "crf", _CRF, HEVC, gop=20),
        Peer(
            "svt-av1",
            "obu",
            {"vcodec": "libsvtav1", "preset": 2, "svtav1-params": "tune=1:lp=1"},
            "crf",
            (35, 41, 47, 52, 57, 62),
            None,
        ),
        Peer("vvc", "vvc", {"vcodec": "libvvenc", "preset": "medium", "qpa": 0}, "qp", (32, 35, 38, 41, 44, 47), VVC),
        Peer("hinerv", NEURAL, {}, "size", neural.LEVELS, None),
    )
}
"""The peers stand by name: one long GOP first, then the paper's short ones, then the two newer codecs and the network."""


def run_peer(
    peer: Peer,
    level: int,
    references: np.ndarray,
    mattes: np.ndarray,
    rate: Fraction,
    perceptual: Perceptual = NOT_ASKED,
    keep: Collection[int] = (),
) -> tuple[RatePoint, dict[int, np.ndarray]]:
    """Encode, decode and measure frames uint8 [N, H, W, 3]; return the point and the decoded frames whose index is in `keep`.

    Raises StreamError when the codec is missing, fails, or gives back another number of frames.
    """
    height, width = references[0].shape[:2]
    stream = peer.encode(references, rate, level)
    kept: dict[int, np.ndarray] = {}

    def decoded() -> Iterator[np.ndarray]:
        for index, frame in enumerate(peer.decode(stream, width, height, len(references))):
            if index in keep:
                kept[index] = frame
            yield frame

    try:
        quality = measure(decoded(), references, mattes, perceptual)
    except ValueError as error:
        raise StreamError(f"{peer.name} gave back another number of frames: {error}") from None
    return rate_point(peer.name, level, len(stream), (width, height), quality), kept


def rate_point(codec: str, level: int | None, size: int, frame: tuple[int, int], quality: Quality) -> RatePoint:
    """Return the point of `size` bytes for `quality.frames` frames of (width, height) pixels."""
    return RatePoint(codec, level, size, 8 * size / (quality.frames * frame[0] * frame[1]), quality)
