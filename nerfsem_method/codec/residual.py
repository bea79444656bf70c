"""The optional section `resi` holds what the field leaves of the clip's frames, as a stream of AV1 (FORMAT.md, section 10).

A field shows what all frames have in common. Gloss and grain that turn with the view are each frame's own, and a frame codec has
them for fewer bytes than finer levels would. A reader that passes over the section shows the field alone.
"""

from __future__ import annotations

import numpy as np

from nerfsem_method.codec.background import STREAMS
from nerfsem_method.errors import CorruptBundle

TAG = "resi"
MIDDLE, STEP = 128, 2
"""A value v of the stream's pictures stands for STEP (v - MIDDLE) grey levels, so that no difference is out of reach."""


def unpack_residual(payload: bytes) -> bytes:
    """Return the stream that is the section's payload. Raises CorruptBundle for one of something else."""
    if not payload.startswith(STREAMS["av1"][1]):
        raise CorruptBundle("the residual holds no stream of av1; restore the file from a copy")
    return payload


def picture_of(difference: np.ndarray) -> np.ndarray:
    """Return the stream's picture, uint8 [H, W, 3], of differences [H, W, 3] in grey levels."""
    return np.clip(np.rint(difference / STEP) + MIDDLE, 0, 255).astype(np.uint8)


def with_difference(shown: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Return a rendered frame [H, W, 4], premultiplied in [0, 1], with the differences of a picture, uint8 [H, W, 3].

    C' = clamp(C + A * STEP (v - MIDDLE) / 255, 0, A): what is transparent stays so.
    """
    alpha = shown[..., 3:]
    change = (picture.astype(np.float32) - MIDDLE) * np.float32(STEP / 255)
    return np.concatenate([np.clip(shown[..., :3] + alpha * change, 0, alpha), alpha], -1)
