"""A frame codec makes a background's stream, and any decoder reads it, or a residual's: H.264 and H.265 as Annex B without SEI,
AV1 as OBUs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.codec.background import StreamCodec
from nerfsem_method.errors import CorruptBundle, NerfsemError
from nerfsem_method.files import scratch
from nerfsem_method.media.annexb import H264, HEVC, NalSyntax, lean_stream
from nerfsem_method.media.video import StreamError, decode_file, encode_file

_X265 = "log-level=none:info=0:frame-threads=1:pools=none:open-gop=0"
CODECS: dict[str, tuple[str, dict[str, Any], NalSyntax | None]] = {
    "h264": ("h264", {"vcodec": "libx264", "preset": "veryslow", "tune": "psnr"}, H264),
    "h265": ("hevc", {"vcodec": "libx265", "preset": "veryslow", "tune": "psnr", "x265-params": _X265}, HEVC),
    "av1": ("obu", {"vcodec": "libsvtav1", "preset": 2, "svtav1-params": "tune=1:lp=1"}, None),
}
"""Each codec has ffmpeg's name of its bare stream, its encoder's options, and the syntax of its NAL units, if it has such.

Psychovisual tuning is off, for at a background's rate it costs x264 9 % more bytes for the same PSNR. A player may begin at any
key frame, so x265's groups of pictures are closed, as those of the others are.
"""
FASTEST = 240
"""SVT-AV1 takes no more frames a second, and no picture depends on the rate that it is told."""


def encode(frames: Iterable[np.ndarray], rate: Fraction, chosen: BackgroundOptions) -> bytes:
    """Code uint8 RGB frames [H, W, 3] at a constant rate factor, with a key frame every `chosen.gop` frames at least.

    One thread works, so that equal frames give equal bytes. Raises NerfsemError for a crf that the codec does not have, and for
    frames that its encoder does not take: x265 needs 16 pixels a side, and now and then more.
    """
    name, options, syntax = CODECS[chosen.codec]
    options = options | {"format": name, "crf": chosen.quality, "g": chosen.gop, "threads": 1}
    if "x265-params" in options:  # ffmpeg tells x265 neither of its threads nor, beside such a list, of g
        options["x265-params"] += f":keyint={chosen.gop}"
    if chosen.codec == "av1":
        rate = min(rate, Fraction(FASTEST))
    with scratch("background") as folder:
        path = folder / "background"
        try:
            encode_file(path, frames, rate, options)
        except StreamError as error:
            raise NerfsemError(f"the background cannot be coded ({error}); choose another --background-codec") from None
        stream = path.read_bytes()
    return stream if syntax is None else lean_stream(stream, syntax)


def decode(
    stream: bytes, width: int, height: int, frames: int, codec: StreamCodec = "h264", layer: str = "background"
) -> Iterator[np.ndarray]:
    """Yield the `frames` pictures of a stream, uint8 RGB [height, width, 3], as they are decoded; errors name its `layer`.

    Raises CorruptBundle when the stream is damaged, has other pictures than these, or makes the decoder hang.
    """
    with scratch(layer) as folder:
        path = folder / layer
        path.write_bytes(stream)
        count = 0
        try:
            for picture in decode_file(path, width, height, frames + 1, {"format": CODECS[codec][0]}):
                count += 1
                if count <= frames:
                    yield picture
        except StreamError as error:
            raise CorruptBundle(f"the {layer} cannot be decoded ({error}); restore the file from a copy") from None
    if count != frames:
        found = f"{count}" if count < frames else "more"
        raise CorruptBundle(f"the {layer} holds {found} pictures instead of {frames}; restore the file from a copy")
