"""The poses of a finished field are rounded as coarsely as pays: what its pictures lose, against the clip, for the bytes saved.

How exact poses have to be depends on what is seen: inscriptions show a third of a pixel, smooth marble hardly a whole one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nerfsem_method.codec.cameras import Cameras, code_cameras
from nerfsem_method.codec.coder import Meter
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.codec.tints import exposed
from nerfsem_method.raycast.caster import Raycaster

COARSER = (1, 2**0.5, 2, 2**1.5)
"""Poses are tried that are so much coarser than `codec.cameras.REPROJECTION` has them."""
FRAMES = 24
"""So many frames are looked at, evenly spread."""


def with_rounded_poses(bundle: Bundle, frame: Callable[[int], np.ndarray], frames: Sequence[int], byte_weight: float) -> Bundle:
    """Return the bundle with its cameras as a decoder will hold them, the poses rounded so that D + lambda R is least.

    Args:
        frame: it gives a frame of the clip, uint8 [H, W, 4], straight alpha.
        frames: the numbers of those frames that were trained on.
        byte_weight: lambda, the mean squared error over all pixels of the video that a byte may save.
    """
    tried = [bundle.quantised(coarser) for coarser in COARSER]
    caster, colors = Raycaster(bundle.state, tried[0].camera), tried[0].colors
    costs = np.array([byte_weight * _bytes(made) for made in tried])
    looked_at = min(FRAMES, len(frames))
    for place in np.linspace(0, len(frames) - 1, looked_at).round().astype(int):
        index = frames[place]
        wanted = _over_white(frame(index).astype(np.float32) / 255, straight=True)
        shown = [_over_white(exposed(caster.picture(made.poses[index]), colors[index])) for made in tried]
        costs += [np.square(picture - wanted).mean() / looked_at for picture in shown]
    return tried[int(costs.argmin())]


def _over_white(picture: np.ndarray, straight: bool = False) -> np.ndarray:
    """Return a picture [H, W, 4], its colours premultiplied or `straight`, over white: [H, W, 3]."""
    color, alpha = picture[..., :3], picture[..., 3:]
    return (color * alpha if straight else color) + 1 - alpha


def _bytes(bundle: Bundle) -> float:
    meter = Meter()
    code_cameras(meter, Cameras(bundle.camera, bundle.poses, bundle.gains), len(bundle.poses))
    return meter.bits / 8
