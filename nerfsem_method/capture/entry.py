"""Whatever shows an object becomes a scene here: a clip, or a folder of pictures with the cameras that another program found."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nerfsem_method.capture import ingest
from nerfsem_method.capture.cameras import poses
from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.capture.ingest import Capture, cache_key
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.capture.posed import colmap_folder, transforms
from nerfsem_method.capture.posed.clip import PosedClip, open_shots
from nerfsem_method.capture.posed.shots import Shots, with_mattes_beside, without_mattes
from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.clip import Clip
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.scene.scene import Scene

FEW_POINTS = 100
"""With fewer points than this the classical segmenter does not find the object; then COLMAP looks for more."""


def is_posed(folder: Path) -> bool:
    """Return whether a folder holds pictures with their cameras: a transforms.json, or a model of COLMAP."""
    return os.path.isdir(folder) and (transforms.find(folder) or colmap_folder.find(folder)) is not None


def open_source(source: Path, options: CaptureOptions) -> Clip:
    """Return the clip at a path, or the pictures of a folder with their cameras, read as a clip is.

    Raises CaptureError for anything else.
    """
    if not is_posed(source):
        return open_clip(source, options.every)
    shots = _read(source)
    return open_shots(source, without_mattes(shots) if options.mattes else with_mattes_beside(shots), options.every)


def capture(source: Path, options: CaptureOptions, scene_dir: Path | None = None) -> Scene:
    """Capture a clip (see `ingest`), or take over the cameras of a folder, into a scene folder and return the scene.

    The scene folder is by default <stem>.nerfsem beside the source. Raises CaptureError for anything wrong with the source, the
    mattes, the cameras or the folder, OutputError as `ingest` does.
    """
    if not is_posed(source):
        return ingest.ingest(source, options, scene_dir)
    return PosedCapture.of(open_source(source, options), options, scene_dir).scene()


def _read(folder: Path) -> Shots:
    if (path := transforms.find(folder)) is not None:
        return transforms.read(path)
    model = colmap_folder.find(folder)
    assert model is not None, "the folder is a posed one"
    return colmap_folder.read(folder, model)


@dataclass(frozen=True)
class PosedCapture(Capture):
    """A posed capture takes the cameras over, and seeks none."""

    @property
    def shots(self) -> Shots:
        """Return the pictures with their cameras."""
        assert isinstance(self.clip, PosedClip)
        return self.clip.shots

    @cached_property
    def cameras_key(self) -> str:
        """Return the key of the cameras, which are given."""
        return cache_key(self.clip.sha256, self.options.every, "given")

    def _solve_cameras(self, target: Path, advance: Advance) -> None:
        self.shots.model(self._findings.numbers).save(target)

    def _model_of(self, frames: list[Path]) -> SparseModel:
        model = super()._model_of(frames)
        if len(model.points) >= FEW_POINTS:
            return model
        # What the object is, its points say; where they are in another world, no matter.
        model = poses.solve(frames, None, "auto", lambda done, total: None)
        if not model.posed.all():
            raise CaptureError(
                f"the mattes of {self.clip.name} cannot be found, for COLMAP does not find the cameras of all of its pictures "
                "again; give --mattes DIR or another --segmenter"
            )
        return model
