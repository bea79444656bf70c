"""The largest occupancy that a field may have is the visual hull of a captured scene, or the occupancy of an imported bundle."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from PIL import Image

from nerfsem_method.codec import nsem
from nerfsem_method.errors import CaptureError, OutputError
from nerfsem_method.files import replacing
from nerfsem_method.scene.hull import carve
from nerfsem_method.scene.scene import Scene


def scene_hull(scene: Scene, side: int) -> np.ndarray:
    """Return [side, side, side] bool in the scene's unit cube; it is computed once and kept in the scene folder.

    Raises CaptureError when mattes and cameras leave nothing.
    """
    if scene.bundle is not None:
        return nsem.read(scene.bundle).state.occupancy
    kept = scene.root / f"hull-{side:03d}.npy"
    if kept.exists():
        return np.load(kept, allow_pickle=False)
    mattes = np.stack([np.asarray(Image.open(scene.root / frame.matte).convert("L")) for frame in scene.frames])
    hull = carve(scene.cameras, mattes, side, np.zeros(3), 1.0)
    if not hull.any():
        raise CaptureError(f"mattes and cameras of {scene.root} leave no object; capture again with other mattes")
    with suppress(OutputError), replacing(kept) as partial, partial.open("wb") as file:  # a scene may lie where none can write
        np.save(file, hull)
    return hull
