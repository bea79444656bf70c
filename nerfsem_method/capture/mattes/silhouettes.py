"""This module compares given mattes with the shape that all of them cut out of space, where no points tell whose they are."""

from __future__ import annotations

import numpy as np

from nerfsem_method.capture.cameras import normalise
from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.mattes import fusion
from nerfsem_method.capture.mattes.fusion import Grid
from nerfsem_method.errors import CaptureError
from nerfsem_method.scene.hull import carve

MOST = 60
"""So many frames, evenly spread, are compared."""
LONG_SIDE, VOXELS = 320, 96
"""The shape is carved on mattes with so many pixels along their longer side, and has so many voxels along its own."""
MARGIN, TOLERANCE = 0.3, 0.05
"""A voxel of the shape lies within so many pixels of the mattes, and a share of them may miss it."""
USUAL, SELDOM = 0.88, 0.82
"""Right mattes are to so large a share their shape's silhouettes in half of the frames, and to the second in nine of ten. Those
of four clips are to .92 and .89 at least; in reverse order all but those of a walk forth and back are to .80 and .69 at most."""


def disagreement(mattes: np.ndarray, model: SparseModel) -> list[str]:
    """Return what is to be said where mattes [N, H, W] uint8 differ from the silhouettes of the shape that they agree on."""
    chosen = np.unique(np.linspace(0, len(mattes) - 1, MOST).round().astype(int))
    shares = _shares(mattes[chosen], model.of_frames(np.isin(np.arange(len(mattes)), chosen)))
    if np.median(shares) >= USUAL and np.quantile(shares, 0.1) >= SELDOM:
        return []
    usual = f"{100 * np.median(shares):.0f} % of the shape that all show together"
    return [f"the mattes and the cameras disagree ({usual}): are they of these pictures, one for each, in their order?"]


def _shares(mattes: np.ndarray, model: SparseModel) -> np.ndarray:
    """Return for each matte [N, H, W] intersection over union with its silhouette of the shape [N]; 0 without any shape."""
    whole = model.camera.scaled(*mattes.shape[:0:-1])
    shrink = min(1.0, LONG_SIDE / max(whole.width, whole.height))
    small = whole.scaled(round(whole.width * shrink), round(whole.height * shrink))
    few = normalise.shrunk(mattes, small)
    try:
        poses = normalise.unit_box(small, model.poses, few, np.zeros((0, 3))).poses(model.poses)
    except CaptureError:
        return np.zeros(len(mattes))
    grid = Grid.over(np.zeros(3), np.ones(3), VOXELS)
    shape = carve(small, poses, few, VOXELS, grid.lower, 1.0, margin_pixels=MARGIN, tolerance=TOLERANCE)
    camera = grid.camera_for(small, poses)
    shown = fusion.shadows(grid, shape.astype(np.float32), camera, poses) > 0.5
    given = normalise.shrunk(few, camera) > 127
    return (shown & given).sum((1, 2)) / np.maximum((shown | given).sum((1, 2)), 1)
