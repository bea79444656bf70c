"""A snapshot is the bundle that a field and its cameras would make as they are now, in the middle of a training or at its end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from nerfsem_method.codec import nsem
from nerfsem_method.codec.nsem import Bundle, Layer
from nerfsem_method.codec.walk import fits
from nerfsem_method.scene.scene import Video
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.radiance import RadianceField

SAMPLES = 1 << 16
"""Tables that no bundle can hold yet are measured on so many of their entries."""


def snapshot(field: RadianceField, cameras: CameraPath, video: Video, background: Layer | None = None) -> Bundle:
    """Return what is stored of a field and its cameras; nothing of them changes."""
    poses, gains = cameras.poses.cpu().numpy(), cameras.gains.cpu().numpy()
    zooms = None if cameras.zooms is None else cameras.zooms.cpu().numpy()
    return Bundle(field.state(), video, cameras.camera, poses, gains, background, cameras.tints, zooms=zooms)


@torch.no_grad()
def measured_bytes(field: RadianceField, cameras: CameraPath, video: Video) -> float:
    """Return the size of the FP bundle: it is encoded for that.

    While the occupancy is a solid hull, it may be more than a bundle can hold: then only the other sections are encoded, and the
    tables' bits are estimated on SAMPLES entries.
    """
    made = snapshot(field, cameras, video)
    state = made.state
    if fits(state.spec, state.occupancy):
        return len(nsem.encode(made))
    empty = replace(state, occupancy=np.zeros_like(state.occupancy), tables=tuple(map(np.zeros_like, state.tables)))
    table_bits = float(field.rate.bits(field.grids, SAMPLES, np.random.default_rng(0)))
    return len(nsem.encode(replace(made, state=empty))) + table_bits / 8
