"""How strongly a film is compressed its frames say themselves: H.264 names the quantiser of each block, from 0 to 51.

Each six more double the steps in which a picture's detail is kept.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from nerfsem_method.media.clip.shape import side_data

CODEC, OPTIONS = "h264", {"export_side_data": "venc_params"}
"""With these options the decoder of this codec says what quantisers its frames have."""
COARSE = 35.0
"""From this quantiser on, in the median frame, a film is told of. Of the krater's walk, 75 frames of 360x640, cameras are 0.05,
0.21, 0.66 and 3.2 degrees wrong at 18, 30, 37 and 43, and mattes right to .985, .977, .901 and .874. Five sound films have 8 to
25."""
EACH = 8
"""Every so many frames one is asked."""
_HEAD, _H264 = struct.Struct("@INNii"), 1
"""AVVideoEncParams of ffmpeg begins with the number of blocks, where they are, the size of each, the kind of codec and the
frame's quantiser."""
_OWN = 16
"""So many bytes of a block, its place and its size, come before what its quantiser has more than the frame's."""


def quantiser(frame: Any) -> float | None:
    """Return the mean quantiser of the blocks of a decoded frame of PyAV's, None where it does not say."""
    data = side_data(frame, "VIDEO_ENC_PARAMS")
    if data is None or len(data) < _HEAD.size:
        return None
    count, start, size, kind, common = _HEAD.unpack_from(data)
    if kind != _H264 or not count or size < _OWN + 4 or start + count * size > len(data):
        return None
    blocks = np.frombuffer(data, np.uint8, count * size, start).reshape(count, size)
    return float(common + blocks[:, _OWN : _OWN + 4].copy().view(np.int32).mean())


def too_coarse(quantisers: Sequence[float]) -> str:
    """Return what is to be said of a film whose frames have these quantisers, "" if it is nothing."""
    usual = float(np.median(quantisers)) if quantisers else 0.0
    if usual < COARSE:
        return ""
    return (
        f"the film is compressed so strongly (quantiser {usual:.0f} of 51, where cameras write less than 30) that fine detail is "
        "gone, as where a messenger has sent it on: cameras may be wrong by degrees, and mattes with them; take the camera's own "
        "file, and send it as a file, not as a video"
    )
