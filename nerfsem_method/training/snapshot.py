"""A snapshot is the bundle that a field and its cameras would make as they are now, in the middle of a training or at its end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nerfsem_method.codec import nsem
from nerfsem_method.codec.nsem import Bundle, Layer
from nerfsem_method.codec.walk import fits
from nerfsem_method.scene.scene import Video
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.radiance import RadianceField


def snapshot(field: RadianceField, cameras: CameraPath, video: Video, background: Layer | None = None) -> Bundle:
    """Return what is stored of a field and its cameras; nothing of them changes."""
    poses, gains = cameras.poses.cpu().numpy(), cameras.gains.cpu().numpy()
    return Bundle(field.state(), video, cameras.camera, poses, gains, background, cameras.tints)


def measured_bytes(field: RadianceField, cameras: CameraPath, video: Video, table_bits: float = 0.0) -> float:
    """Return the size of the FP bundle: it is encoded for that.

    While the occupancy is a solid hull, it may be more than a bundle can hold: then only the other sections are encoded, and the
    tables count as their part of `table_bits`, an estimate of theirs and the context models'.
    """
    made = snapshot(field, cameras, video)
    state = made.state
    if fits(state.spec, state.occupancy):
        return len(nsem.encode(made))
    empty = replace(state, occupancy=np.zeros_like(state.occupancy), tables=tuple(map(np.zeros_like, state.tables)))
    return len(nsem.encode(replace(made, state=empty))) + max(table_bits - float(field.rate.weight_bits().detach()), 0) / 8
