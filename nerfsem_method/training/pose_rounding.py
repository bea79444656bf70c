"""The poses of a finished field are rounded as coarsely as pays: what its pictures lose, against the clip, for the bytes saved.

How exact they have to be depends on what is seen (docs/decisions/013).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nerfsem_method.codec.cameras import code_cameras
from nerfsem_method.codec.coder import Meter
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.codec.tints import exposed
from nerfsem_method.log import LOG
from nerfsem_method.progress import track
from nerfsem_method.raycast.caster import Raycaster

COARSER = (1, 2**0.5, 2, 2**1.5)
"""Poses are tried that are so much coarser than `codec.cameras.REPROJECTION` has them."""
FRAMES = 8
"""So many frames are looked at, evenly spread."""


def with_rounded_poses(bundle: Bundle, frame: Callable[[int], np.ndarray], frames: Sequence[int], byte_weight: float) -> Bundle:
    """Return the bundle with its cameras as a decoder will hold them, the poses rounded so that D + lambda R is least.

    D is the mean squared error over white, of frames without a filter.

    Args:
        frame: it gives a frame of the clip, uint8 [H, W, 4], straight alpha, and raises what it likes.
        frames: the numbers of those frames that were trained on.
        byte_weight: lambda, the mean squared error over all pixels of the video that a byte may save.
    """
    tried = [bundle.quantised(coarser) for coarser in COARSER]
    caster, colors = Raycaster(bundle.state, tried[0].camera), tried[0].colors
    costs = np.array([byte_weight * _bytes(made) for made in tried])
    chosen = [frames[i] for i in np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().astype(int)]
    for index in track(chosen, "exactness of poses", len(chosen)):
        wanted = _over_white(frame(index).astype(np.float32) / 255, straight=True)
        lens = caster.through(tried[0].camera_of(index))
        for number, made in enumerate(tried):
            shown = _over_white(exposed(lens.picture(made.poses[index]), colors[index]))
            costs[number] += np.square(shown - wanted).mean() / len(chosen)
    best = int(costs.argmin())
    LOG.info("cameras: %.0f bytes, poses rounded %.1f times as coarsely as without looking", _bytes(tried[best]), COARSER[best])
    return tried[best]


def _over_white(picture: np.ndarray, straight: bool = False) -> np.ndarray:
    """Return a picture [H, W, 4], its colours premultiplied or `straight`, over white: [H, W, 3]."""
    color, alpha = picture[..., :3], picture[..., 3:]
    return (color * alpha if straight else color) + 1 - alpha


def _bytes(bundle: Bundle) -> float:
    meter = Meter()
    code_cameras(meter, bundle.cameras, len(bundle.poses))
    return meter.bits / 8
