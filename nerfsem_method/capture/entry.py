"""Whatever shows an object becomes a scene here: a video, or a folder of pictures with the cameras that another program found."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from nerfsem_method.capture import ingest
from nerfsem_method.capture.cameras import poses
from nerfsem_method.capture.clip.frames import Advance, VideoFacts
from nerfsem_method.capture.ingest import Capture, cache_key, hash_file
from nerfsem_method.capture.mattes import given as matte_files
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.capture.posed import colmap_folder, transforms
from nerfsem_method.capture.posed.shots import Shots, with_mattes_beside
from nerfsem_method.capture.stages import StageFolder
from nerfsem_method.errors import CaptureError
from nerfsem_method.scene.scene import Scene

RATE = Fraction(10)
"""Pictures without a clip are played at this rate, in frames a second."""
TOO_MUCH = 0.9
"""Mattes that cover this share of the frames hide something in them, rather than show the object."""
FEW_POINTS = 100
"""With fewer points than this the classical segmenter does not find the object; then COLMAP looks for more."""


def is_posed(folder: Path) -> bool:
    """Return whether a folder holds pictures with their cameras: a transforms.json, or a model of COLMAP."""
    return folder.is_dir() and (transforms.find(folder) or colmap_folder.find(folder)) is not None


def capture(source: Path, options: CaptureOptions, scene_dir: Path | None = None) -> Scene:
    """Capture a video (see `ingest`), or take over the cameras of a folder, into a scene folder and return the scene.

    The scene folder is by default <stem>.nerfsem beside the source. Raises CaptureError for anything wrong with the source, the
    mattes, the cameras or the folder.
    """
    if not source.is_dir():
        return ingest.ingest(source, options, scene_dir)
    shots = _read(source)
    root = scene_dir or source.resolve().with_name(f"{source.resolve().name}.nerfsem")
    size = shots.camera
    facts = VideoFacts(size.width, size.height, RATE, len(shots.shots))
    return PosedCapture(source, facts, options, StageFolder(root), shots).run()


def _read(folder: Path) -> Shots:
    if (path := transforms.find(folder)) is not None:
        return with_mattes_beside(transforms.read(path))
    if (model := colmap_folder.find(folder)) is not None:
        return with_mattes_beside(colmap_folder.read(folder, model))
    raise CaptureError(
        f"{folder} is not a file, and holds neither a transforms.json nor a model of COLMAP; give a video, or a folder with "
        "one of them"
    )


@dataclass(frozen=True)
class PosedCapture(Capture):
    """A posed capture takes frames and cameras over, and the mattes, too, unless others are asked for."""

    shots: Shots

    @cached_property
    def sha256(self) -> str:
        """Return the SHA-256 of all that is taken over."""
        digest = hashlib.sha256()
        for shot in self.shots.shots:
            for path in (shot.image, shot.matte):
                if path is not None:
                    digest.update(bytes.fromhex(hash_file(path)))
            digest.update(np.array([*shot.camera.params, *shot.pose.ravel()]).tobytes())
        return digest.hexdigest()

    @cached_property
    def cameras_key(self) -> str:
        """Return the key of the cameras, which are given."""
        return cache_key(self.sha256, "given")

    def _extract_frames(self, target: Path, advance: Advance) -> None:
        for index in range(len(self.shots.shots)):
            self.shots.write_picture(index, self.size, target / f"{index:06d}.png")
            advance(index + 1, len(self.shots.shots))

    def _segment(self, frames: list[Path], target: Path, advance: Advance) -> None:
        if self.options.mattes or self.options.segmenter != "classical":
            super()._segment(frames, target, advance)
        elif self.shots.matted:
            for index in range(len(frames)):
                matte_files.write_matte(target, index, self.shots.matte(index, self.size))
                advance(index + 1, len(frames))
            if matte_files.check_coverage(matte_files.load_mattes(target)).mean() > TOO_MUCH:
                raise CaptureError(
                    f"the masks of {self.video} cover whole frames, they do not show the object; give --mattes DIR"
                )
        else:
            from nerfsem_method.capture.mattes.classical import segment

            model = self.shots.model()
            if len(model.points) < FEW_POINTS:  # what the object is, its points say; where they are in another world, no matter
                model = poses.solve(frames, None, "auto", lambda done, total: None)
            segment(frames, model, target, advance, keep_support=self.options.keep_support, box=self.box)
            matte_files.check_coverage(matte_files.load_mattes(target))

    def _solve_cameras(self, target: Path, advance: Advance) -> None:
        self.shots.model().save(target)
