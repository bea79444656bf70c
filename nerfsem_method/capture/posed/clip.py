"""Shots are read as any clip is: each is a frame with its matte as alpha, seen through the one camera of the scene."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from nerfsem_method.capture.posed.shots import Shots
from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.alpha import Ground
from nerfsem_method.media.clip.clip import Clip, ClipFrame, Findings, check_size, left_out_texts, text_of
from nerfsem_method.media.clip.picture import of_pages

RATE = Fraction(10)
"""Pictures without a clip are played at this rate, in frames a second."""
TOO_MUCH = 0.9
"""Masks that cover this share of the frames hide something in them, rather than show the object."""


@dataclass(frozen=True)
class PosedClip(Clip):
    """A posed clip has a frame for each of `shots`; a damaged picture is left out, as one of a folder of photographs is."""

    shots: Shots

    @cached_property
    def sha256(self) -> str:  # type: ignore[override]
        """Return the SHA-256 of all that is taken over: pictures, masks, cameras and points."""
        digest = hashlib.sha256()
        for shot in self.shots.shots:
            for path in (shot.image, shot.matte):
                if path is not None:
                    with path.open("rb") as stream:
                        digest.update(hashlib.file_digest(stream, "sha256").digest())
            digest.update(np.array([*shot.camera.params, *shot.pose.ravel()]).tobytes())
        digest.update(self.shots.points.tobytes())
        return digest.hexdigest()

    def window(self, number: int) -> tuple[float, float, float, float] | None:
        """Return which part of a frame its picture fills."""
        return self.shots.window(number)

    def _frames(self, size: tuple[int, int], findings: Findings) -> Iterator[ClipFrame]:
        ground, shots = Ground(), self.shots.shots
        covered: list[float] = []
        findings.total, findings.files = len(shots), [text_of(shot.image.name) for shot in shots]
        for number in range(0, len(shots), self.every):
            seen = self.shots.seen(number, size, ground)
            if seen.damage:
                findings.damaged[number] = seen.damage
                continue
            if seen.alpha is not None:
                covered.append(seen.alpha.mean() / 255)
            yield ClipFrame(number, float(number / RATE), seen.rgb, seen.alpha)
        if self.shots.matted and np.mean(covered or 0) > TOO_MUCH:
            raise CaptureError(f"the masks of {self.path} cover whole frames, they do not show the object; give --mattes DIR")
        findings.remarks += [*self.shots.notes, *of_pages(shot.image for shot in shots), *self.shots.white.remarks]
        findings.remarks += left_out_texts({shots[n].image.name: f"damaged, {why}" for n, why in findings.damaged.items()})


def open_shots(path: Path, shots: Shots, every: int) -> PosedClip:
    """Return the clip of the shots of a folder. Raises CaptureError where `every` takes none or the pictures are too small."""
    if every < 1:
        raise CaptureError(f"--every {every} takes no frame; give 1 or more")
    camera = shots.camera
    check_size(camera.width, camera.height, path)
    return PosedClip(path, every, camera.width, camera.height, RATE / every, -(-len(shots.shots) // every), shots)
