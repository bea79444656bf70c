"""A background may be a network that paints its frames: HiNeRV, trained on what is around the object and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nerfsem_method.background.plate import make_plate
from nerfsem_method.codec.hinerv import NeuralBackground
from nerfsem_method.hinerv.sizes import Recipe
from nerfsem_method.progress import progress_bar


def make_background(frames: Sequence[np.ndarray], mattes: Sequence[np.ndarray], recipe: Recipe) -> NeuralBackground:
    """Train the network of a recipe to paint frames uint8 [H, W, 3] where mattes uint8 [H, W] show no object.

    Along the outline it is given plates, which continue the background there. All frames are kept in memory.
    """
    from nerfsem_method.hinerv.training.fit import fit

    plates = list(make_plate(frames, mattes, np.zeros(3, np.uint8), "smooth"))
    with progress_bar("background") as advance:
        return fit(plates, list(mattes), recipe, advance)
