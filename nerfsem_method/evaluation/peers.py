"""Peers are frame codecs to compare with; one function runs them all, so that each is measured in the same way.

It is generous to the peer: only the elementary stream counts, without container, SEI, delimiters and repeated headers, and
each codec runs at a slow preset, tuned for PSNR where it has such a tuning. `sweeps` makes curves of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from nerfsem_method.evaluation import neural
from nerfsem_method.evaluation.metrics import NOT_ASKED, FrameFigures, Perceptual, Quality, mean_quality, measure_frames
from nerfsem_method.files import scratch
from nerfsem_method.media.annexb import H264, HEVC, VVC, NalSyntax, lean_stream
from nerfsem_method.media.video import StreamError, decode_file, encode_file


@dataclass(frozen=True)
class Peer:
    """A peer is a frame codec with its settings. `gop` is the distance of key frames; None means one for the whole clip."""

    name: str
    words: str  # A reader of a report is told these settings.
    muxer: str
    options: dict[str, Any]
    quality: str  # This option trades bytes for distortion.
    levels: tuple[int, ...]  # It takes these values on a rate-distortion curve, the coarsest last.
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
        with scratch("peer") as folder:
            path = folder / "stream"
            encode_file(path, frames, rate, options)
            stream = path.read_bytes()
        return stream if self.syntax is None else lean_stream(stream, self.syntax)

    def decode(self, stream: bytes, width: int, height: int, frames: int) -> Iterator[np.ndarray]:
        """Yield the stream's frames, uint8 [H, W, 3]. Raises StreamError if it is damaged."""
        if self.muxer == NEURAL:
            yield from neural.decode(stream, width, height, frames)
            return
        with scratch("peer") as folder:
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
_SVT_AV1 = {"vcodec": "libsvtav1", "preset": 2, "svtav1-params": "tune=1:lp=1"}
_CRF = (33, 37, 41, 45, 48, 51)
NEURAL = "hinerv"
"""This peer is no codec of ffmpeg's but a network."""

PEERS = {
    peer.name: peer
    for peer in (
        Peer("x264", "veryslow, tuned for PSNR, one GOP", "h264", _X264, "crf", _CRF, H264),
        Peer("x265", "veryslow, tuned for PSNR, one GOP", "hevc", _X265 | _X265_PARAMS, "crf", _CRF, HEVC),
        Peer("x264-gop25", "the paper's GOP of 25 frames, veryslow, tuned for PSNR", "h264", _X264, "crf", _CRF, H264, gop=25),
        Peer(
            "x265-gop20",
            "the paper's GOP of 20 frames, veryslow, tuned for PSNR",
            "hevc",
            _X265 | _X265_PARAMS,
            "crf",
            _CRF,
            HEVC,
            gop=20,
        ),
        Peer("svt-av1", "preset 2, tuned for PSNR, one GOP", "obu", _SVT_AV1, "crf", (35, 41, 47, 52, 57, 60, 63), None),
        Peer(
            "vvc",
            "VVenC, medium, one GOP",
            "vvc",
            {"vcodec": "libvvenc", "preset": "medium", "qpa": 0},
            "qp",
            (32, 35, 38, 41, 44, 47, 52),
            VVC,
        ),
        Peer("hinerv", "a network trained on these frames", NEURAL, {}, "size", neural.LEVELS, None),
    )
}
"""The peers stand by name: one long GOP first, then the paper's short ones, then the two newer codecs and the network."""


def run_peer(
    peer: Peer, level: int, references: np.ndarray, mattes: np.ndarray, rate: Fraction, perceptual: Perceptual = NOT_ASKED
) -> RatePoint:
    """Encode, decode and measure frames uint8 [N, H, W, 3].

    Raises StreamError when the codec is missing, fails, or gives back another number of frames.
    """
    stream = peer.encode(references, rate, level)
    figures = measure_stream(peer, stream, references, mattes, perceptual)
    height, width = references[0].shape[:2]
    return rate_point(peer.name, level, len(stream), (width, height), mean_quality(figures, perceptual))


def measure_stream(
    peer: Peer, stream: bytes, references: np.ndarray, mattes: np.ndarray, perceptual: Perceptual = NOT_ASKED
) -> list[FrameFigures]:
    """Return the figures of each frame of a peer's stream. Raises StreamError for another number of frames."""
    height, width = references[0].shape[:2]
    try:
        return measure_frames(peer.decode(stream, width, height, len(references)), references, mattes, perceptual)
    except ValueError as error:
        raise StreamError(f"{peer.name} gave back another number of frames: {error}") from None


def rate_point(codec: str, level: int | None, size: int, frame: tuple[int, int], quality: Quality) -> RatePoint:
    """Return the point of `size` bytes for `quality.frames` frames of (width, height) pixels."""
    return RatePoint(codec, level, size, 8 * size / (quality.frames * frame[0] * frame[1]), quality)
