"""A bundle's frames are shown small in nerfstudio's viewer, as they are decoded."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from nerfsem_method.background.pictures import pictures_of
from nerfsem_method.codec import nsem
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.codec.tints import tinted
from nerfsem_method.raycast.caster import Raycaster

HEIGHT = 100
"""The viewer shows the pictures of its cameras at this height."""
WHITE = 255.0


def previews(path: Path) -> np.ndarray:
    """Return all frames of a bundle, uint8 [N, HEIGHT, W, 3]: over the background of PC, over white without one."""
    return _made(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _made(path: Path, _: int) -> np.ndarray:
    bundle = nsem.read(path)
    width = max(round(HEIGHT * bundle.camera.width / bundle.camera.height), 1)
    caster = Raycaster(bundle.state, bundle.camera.scaled(width, HEIGHT))
    made = np.empty((len(bundle.poses), HEIGHT, width, 3), np.uint8)
    for index, ground in enumerate(_grounds(bundle, width)):
        picture = caster.through(bundle.camera_of(index).scaled(width, HEIGHT)).picture(bundle.poses[index])
        shown = 255 * tinted(picture[..., :3], picture[..., 3:], bundle.colors[index]) + (1 - picture[..., 3:]) * ground
        made[index] = np.rint(shown.clip(0, 255))
    return made


def _grounds(bundle: Bundle, width: int):
    if bundle.background is None:
        yield from [WHITE] * len(bundle.poses)
        return
    for plate in pictures_of(bundle):
        yield np.asarray(Image.fromarray(plate).resize((width, HEIGHT), Image.Resampling.BOX), np.float32)
