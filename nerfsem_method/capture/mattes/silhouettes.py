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
SURE = 0.95
"""Mattes that are their shape's silhouettes to so large a share, in the median frame, are right."""
BETTER = 0.03
"""In the right order, and as the frames lie, others are so much more of theirs."""
ASKED = "are they of these pictures, one for each, in their order?"
THICK, USUAL = 15.0, 0.75
"""Right mattes of things so many pixels thick are to the second share; thinner ones may be less, for poses are inexact. In four
clips right mattes have .92 to .95, ones in reverse order .13 to .80, but for a walk forth and back."""


def disagreement(mattes: np.ndarray, model: SparseModel) -> list[str]:
    """Return what is to be said where mattes [N, H, W] uint8 differ from the silhouettes of the shape that they agree on.

    Empty ones say nothing.
    """
    shown = np.flatnonzero(mattes.any((1, 2)))
    if not len(shown):
        return []
    chosen = np.unique(shown[np.linspace(0, len(shown) - 1, MOST).round().astype(int)])
    few = mattes[chosen]
    model = model.of_frames(np.isin(np.arange(len(mattes)), chosen))
    share = _share(few, model)
    if share >= SURE:
        return []
    otherwise = {
        "in reverse order": few[::-1],
        "one frame earlier": np.roll(few, -1, 0),
        "one frame later": np.roll(few, 1, 0),
        "turned by 180 degrees": few[:, ::-1, ::-1],
        "mirrored": few[:, :, ::-1],
        "flipped top to bottom": few[:, ::-1],
    }
    shares = {way: _share(np.ascontiguousarray(others), model) for way, others in otherwise.items()}
    if len(few) < len(mattes):  # Between those that are looked at lie others.
        shares = {way: found for way, found in shares.items() if "one frame" not in way}
    best = max(shares, key=shares.__getitem__)
    better = shares[best] > share + BETTER
    if better and shares[best] >= USUAL:
        return [f"the mattes would fit the cameras better if they were {best}: {ASKED}"]
    if better or (share < USUAL and _thickness(few) > THICK):
        return [f"the mattes and the cameras disagree ({100 * share:.0f} % of the shape that all show together): {ASKED}"]
    return []


def _thickness(mattes: np.ndarray) -> float:
    """Return how thick in the median what mattes [N, H, W] show is, twice the area by the outline, in pixels of LONG_SIDE."""
    import cv2

    found = []
    for matte in mattes:
        solid = (matte > 127).astype(np.uint8)
        outlines, _ = cv2.findContours(solid, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        found.append(2 * solid.sum() / max(sum(cv2.arcLength(outline, True) for outline in outlines), 1.0))
    return float(np.median(found)) * LONG_SIDE / max(mattes.shape[1:])


def _share(mattes: np.ndarray, model: SparseModel) -> float:
    """Return how much of their silhouettes of the shape mattes [N, H, W] are in the median: the intersection over the union."""
    whole = model.cameras.scaled(*mattes.shape[:0:-1])
    width, height = whole.camera.width, whole.camera.height
    shrink = min(1.0, LONG_SIDE / max(width, height))
    small = whole.scaled(round(width * shrink), round(height * shrink))
    few = normalise.shrunk(mattes, small.camera)
    try:
        small = normalise.unit_box(small, few, np.zeros((0, 3))).cameras(small)
    except CaptureError:
        return 0.0
    grid = Grid.over(np.zeros(3), np.ones(3), VOXELS)
    shape = carve(small, few, VOXELS, grid.lower, 1.0, margin_pixels=MARGIN, tolerance=TOLERANCE)
    cameras = grid.cameras_for(small)
    shown = fusion.shadows(grid, shape.astype(np.float32), cameras) > 0.5
    given = normalise.shrunk(few, cameras.camera) > 127
    return float(np.median((shown & given).sum((1, 2)) / np.maximum((shown | given).sum((1, 2)), 1)))
