"""Mattes on which field and views agree are kept in the scene folder, beside those that were captured.

Each agreement of a training has a folder of its own, so that a training that was stopped goes on from the right one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict

import numpy as np
import torch
from PIL import Image

from nerfsem_method.errors import CaptureError, OutputError
from nerfsem_method.files import replacing_folder
from nerfsem_method.scene.scene import AGREED, Scene
from nerfsem_method.training.agreement import Agreement

RECORD = "agreement.json"
"""What an agreement changed lies under this name beside its mattes."""


class AgreedMattes:
    """These are the mattes of a scene's frames [n] that a training on frames [n, H, W, 4] uint8 agrees on."""

    def __init__(self, scene: Scene, indices: torch.Tensor, frames: torch.Tensor) -> None:
        self._scene, self._indices, self._frames = scene, indices.tolist(), frames

    def keep(self, count: int, found: Agreement) -> None:
        """Write the frames' alpha as the `count`-th agreement; the first one replaces those of earlier trainings."""
        if count == 1:
            shutil.rmtree(self._scene.root / AGREED, ignore_errors=True)
        # A scene may lie where none can write: then pictures are measured by what was captured.
        with suppress(OutputError), replacing_folder(self._scene.agreed_folder(count)) as folder:
            for index, frame in zip(self._indices, self._frames, strict=True):
                Image.fromarray(frame[..., 3].cpu().numpy()).save(folder / f"{index:06d}.png")
            (folder / RECORD).write_text(json.dumps(asdict(found)))

    def take(self, count: int) -> None:
        """Set the frames' alpha to that of the `count`-th agreement; the 0-th is what was captured.

        Raises CaptureError when it was not kept.
        """
        if count and not self._scene.agreed_folder(count).is_dir():
            raise CaptureError(f"{self._scene.root} no longer holds the mattes of this training; train anew")
        for index, frame in zip(self._indices, self._frames, strict=True) if count else ():
            with Image.open(self._scene.agreed_folder(count) / f"{index:06d}.png") as matte:
                frame[..., 3] = torch.from_numpy(np.array(matte)).to(frame)


def report(scene: Scene, tell: Callable[[str], None]) -> None:
    """Tell what the first agreement of the scene's last training changed, if it is worth a word: by it pictures are measured."""
    path = scene.agreed_folder(1) / RECORD
    found = json.loads(path.read_text()) if path.exists() else {"changed": 0}
    if found["changed"]:
        which = "their outlines were rough, and follow all views" if found["rough"] else "where most views contradict them"
        extent = f"{found['changed']} of {len(scene.frames)} mattes were changed, by {found['share']:.1%} of the object's area"
        tell(f"{extent}: {which}; pictures are measured by the new ones")
