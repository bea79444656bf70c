"""The largest occupancy a field may have: the visual hull of a captured scene, or the occupancy of an imported bundle."""

from __future__ import annotations

import numpy as np
from PIL import Image

from nerfsem_method.errors import CaptureError
from nerfsem_method.scene import Scene


def scene_hull(scene: Scene, side: int) -> np.ndarray:
    """[side, side, side] bool in the scene's unit cube; computed once and kept in the scene folder.

    Raises CaptureError when mattes and cameras leave nothing.
    """
    if not scene.frames[0].matte:
        from nerfsem_method.codec import bundle

        return bundle.read(scene.root / scene.frames[0].image).state.occupancy
    kept = scene.root / f"hull-{side:03d}.npy"
    if kept.exists():
        return np.load(kept, allow_pickle=False)
    from nerfsem_method.hull import carve

    mattes = np.stack([np.asarray(Image.open(scene.root / frame.matte).convert("L")) for frame in scene.frames])
    hull = carve(scene.camera, scene.poses, mattes, side, np.zeros(3), 1.0)
    if not hull.any():
        raise CaptureError(f"mattes and cameras of {scene.root} leave no object; capture again with other mattes")
    partial = kept.with_suffix(".partial.npy")
    np.save(partial, hull)
    partial.replace(kept)
    return hull
