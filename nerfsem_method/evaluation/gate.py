"""The gate at the end of a compression: the finished file is decoded and must show the object."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nerfsem_method.codec import nsem
from nerfsem_method.errors import NerfsemError
from nerfsem_method.evaluation.metrics import masked_reference, psnr
from nerfsem_method.files import replacing
from nerfsem_method.media.naming import frames_text
from nerfsem_method.media.pictures import read_picture
from nerfsem_method.playback.player import Player
from nerfsem_method.scene.scene import Scene

LOOKED_AT = 30
"""So many frames are decoded, evenly spread: the others lie between them."""
WORST = 3
"""So many of the worst frames are named."""
MARGIN = 3.0
"""A picture whose PSNR over the object is lower by more decibels than that of its mean colour alone shows something else. With
1 dB twelve tests that train for a few steps were refused (one 1.5 below); livia trained on invented cameras was reported at
7.1 dB, some 10.8 below. Between the two the number is a choice, not a finding."""
RECORD = "decoded.json"
"""The gate's findings lie under this name in the scene folder."""


@dataclass(frozen=True)
class Decoded:
    """These figures are what a decoded file shows of its object, in dB of RGB over the pixels of the object (PSNR-CENTER).

    `flat` is what the object's mean colour, frame by frame, would reach. `worst` has the lowest frames and their figures.
    """

    frames: int
    psnr_center: float
    flat: float
    worst: dict[int, float]

    @property
    def is_picture(self) -> bool:
        """Return whether the file shows the object."""
        return self.psnr_center > self.flat - MARGIN

    def __str__(self) -> str:
        low = ", ".join(f"{value:.1f} in frame {frame}" for frame, value in self.worst.items())
        return f"decoded, PSNR-CENTER {self.psnr_center:.2f} dB over {self.frames} frames, lowest {low}"


def look(scene: Scene, bundle: nsem.Bundle) -> Decoded | None:
    """Return what a bundle of a captured scene shows; None where no matte shows an object."""
    ours, flat = _errors(scene, bundle, LOOKED_AT)
    if not ours:
        return None
    worst = sorted(ours, key=lambda index: -ours[index])[:WORST]
    decibels = {index: round(float(psnr(np.array(ours[index]))), 2) for index in worst}
    center, plain = (float(psnr(np.array(list(errors.values())))) for errors in (ours, flat))
    return Decoded(len(ours), center, plain, decibels)


def psnr_center(scene: Scene, bundle: nsem.Bundle, frames: int | None = None) -> float | None:
    """Return the mean PSNR over the object in dB, of all frames that show one, as an evaluation of the clip has it.

    With `frames`, so many are looked at, evenly spread. None stands where no matte shows an object.
    """
    ours, _ = _errors(scene, bundle, frames or len(scene.frames))
    return float(np.mean([psnr(np.array(error)) for error in ours.values()])) if ours else None


def _errors(scene: Scene, bundle: nsem.Bundle, frames: int) -> tuple[dict[int, float], dict[int, float]]:
    """Return the mean squared errors over the object of so many frames, evenly spread: the bundle's, and its mean colour's."""
    player = Player(bundle)
    size = bundle.video.width, bundle.video.height
    ours: dict[int, float] = {}
    flat: dict[int, float] = {}
    for index in np.unique(np.linspace(0, len(scene.frames) - 1, frames).round().astype(int)).tolist():
        frame = scene.frames[index]
        matte = read_picture(scene.matte_path(index), grey=True)
        source = read_picture(scene.root / frame.image)[..., ::-1]
        assert source.shape[1::-1] == size, "a bundle has the size of its scene's frames"
        on = matte > 127
        if on.any():
            truth = masked_reference(source, matte)[on].astype(float)
            shown = player.composited(index, (255, 255, 255))[on].astype(float)
            ours[index] = float(((shown - truth) ** 2).mean())
            flat[index] = float(((truth - truth.mean(0)) ** 2).mean())
    return ours, flat


def check(scene: Scene, target: Path, tell: Callable[[str], None]) -> None:
    """Decode the finished file `target`, tell what it shows, and keep that in the scene folder.

    Raises NerfsemError, the file being kept, where it is no picture of the object.
    """
    found = look(scene, nsem.read(target))
    if found is None:
        raise NerfsemError(f"{target} was written, but no matte shows an object; give --mattes DIR or another --segmenter")
    with replacing(scene.root / RECORD) as partial:
        partial.write_text(json.dumps(asdict(found), indent=1))
    tell(f"{target}: {found}")
    if not found.is_picture:
        raise NerfsemError(
            f"{target} was written, but is no picture of the object: PSNR-CENTER {found.psnr_center:.1f} dB, where its mean "
            f"colour alone has {found.flat:.1f} (worst: {frames_text(sorted(found.worst))}); wrong cameras, wrong mattes or too "
            f"few steps are the usual reasons: look at {scene.root / 'report.html'}"
        )
