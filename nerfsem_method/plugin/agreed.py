"""Mattes on which field and views agree are kept in the scene folder, beside those that were captured.

Each agreement of a training has a folder of its own, so that a training that was stopped goes on from the right one.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from nerfsem_method.files import replacing_folder
from nerfsem_method.scene.scene import Scene


def keep(scene: Scene, indices: torch.Tensor, frames: torch.Tensor, count: int) -> None:
    """Write the alpha of frames [n, H, W, 4] uint8 of the scene's frames [n] as the `count`-th agreement. Raises OutputError."""
    with replacing_folder(scene.agreed_folder(count)) as folder:
        for index, frame in zip(indices.tolist(), frames, strict=True):
            Image.fromarray(frame[..., 3].cpu().numpy()).save(folder / f"{index:06d}.png")


def take(scene: Scene, indices: torch.Tensor, frames: torch.Tensor, count: int) -> None:
    """Set the alpha of frames [n, H, W, 4] uint8 to that of the `count`-th agreement; the 0-th is what was captured."""
    for index, frame in zip(indices.tolist(), frames, strict=True) if count else ():
        with Image.open(scene.agreed_folder(count) / f"{index:06d}.png") as matte:
            frame[..., 3] = torch.from_numpy(np.array(matte)).to(frame)
