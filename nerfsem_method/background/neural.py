"""A background may be a network that paints its frames: HiNeRV, trained on what is around the object and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nerfsem_method.codec.hinerv import NeuralBackground
from nerfsem_method.hinerv.sizes import SizeName, recipe
from nerfsem_method.progress import progress_bar


def encode(frames: Sequence[np.ndarray], mattes: Sequence[np.ndarray], size: SizeName) -> NeuralBackground:
    """Train a network to paint frames uint8 [H, W, 3] where mattes uint8 [H, W] show no object."""
    from nerfsem_method.hinerv.training.fit import fit

    height, width = frames[0].shape[:2]
    with progress_bar("background") as advance:
        return fit(frames, mattes, recipe(size, len(frames), height, width), advance)
