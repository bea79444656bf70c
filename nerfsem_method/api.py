"""This module is nerfsem for programs: bundles are opened and looked at, clips captured, trained, encoded and evaluated.

    from nerfsem_method import api

    bundle = api.open_bundle("relic.nsem")
    picture = bundle.frame(12)                                # uint8 [H, W, 3]
    side = bundle.render(bundle.around(azimuth=90), "white")  # a view that no frame has

What is here stays as it is from version to version; other modules may change. Opening and rendering need the reader's packages
alone, the rest those of `nerfsem[train]`. All errors that a user can cause are NerfsemError, with one line that says what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.codec import nsem
from nerfsem_method.codec.facts import Facts, facts_of
from nerfsem_method.errors import NerfsemError
from nerfsem_method.pipeline import Options, compress
from nerfsem_method.playback import viewpoint
from nerfsem_method.playback.player import Player, over, straight
from nerfsem_method.playback.viewpoint import Viewpoint
from nerfsem_method.scene.camera import Intrinsics

if TYPE_CHECKING:
    from nerfsem_method.evaluation.findings import Evaluation
    from nerfsem_method.scene.scene import Scene

__all__ = [
    "BackgroundOptions", "CaptureOptions", "Facts", "Intrinsics", "NerfsemError", "OpenBundle", "Options", "Viewpoint", "capture",
    "compress", "encode", "evaluate", "open_bundle", "train",
]  # fmt: skip

Colour = tuple[int, int, int] | Literal["white", "black"]
Device = Literal["auto", "cpu", "cuda"]
_NAMED = {"white": (255, 255, 255), "black": (0, 0, 0)}


class OpenBundle:
    """An open bundle is decoded and ready to be rendered; make one by `open_bundle`."""

    def __init__(self, data: bytes, device: Device = "auto") -> None:
        self._data, self._bundle, self._device = data, nsem.decode(data), device

    @cached_property
    def _player(self) -> Player:
        return Player(self._bundle, self._device)

    @property
    def facts(self) -> Facts:
        """Return clip, camera, bytes by part and metadata: what `nerfsem info --json` prints."""
        return facts_of(self._data, self._bundle)

    @property
    def mode(self) -> Literal["fp", "pc"]:
        """Return "pc" if the bundle has a background, else "fp"."""
        return "fp" if self._bundle.background is None else "pc"

    @property
    def camera(self) -> Intrinsics:
        """Return the clip's camera: that of all frames, or of those that no other lens took, see `at`."""
        return self._bundle.camera

    @property
    def poses(self) -> np.ndarray:
        """Return the frames' poses, cam_from_world, float64 [N, 3, 4]: OpenCV axes, the object's box is the unit cube."""
        return self._bundle.poses.copy()

    @property
    def colors(self) -> np.ndarray:
        """Return the maps float64 [N, 3, 4] that give a frame's colour of the rendered one, (red, green, blue, 1)."""
        return self._bundle.colors

    def __len__(self) -> int:
        return len(self._bundle.poses)

    def frame(self, index: int, mode: Literal["fp", "pc"] | None = None, ground: Colour = "white") -> np.ndarray:
        """Return a decoded frame, uint8 [H, W, 3]: in "pc" over the background, in "fp" over a colour.

        The mode is by default the bundle's. Raises NerfsemError for a frame or a background that is not there.
        """
        return next(self.frames(mode, ground, index, index + 1))

    def frames(
        self, mode: Literal["fp", "pc"] | None = None, ground: Colour = "white", start: int = 0, stop: int | None = None
    ) -> Iterator[np.ndarray]:
        """Yield decoded frames start ... stop - 1, see `frame`; in "pc" this is quicker than one at a time."""
        stop = len(self) if stop is None else stop
        if not 0 <= start < stop <= len(self):
            raise NerfsemError(f"there are no frames {start} to {stop - 1}; the bundle has frames 0 to {len(self) - 1}")
        return self._player.frames(mode or self.mode, _bytes_of(ground), start, stop)

    def object(self, index: int) -> np.ndarray:
        """Return a frame's object alone, uint8 [H, W, 4] with straight alpha. Raises NerfsemError for one that is not there."""
        viewpoint.of_frame(self._bundle, index, (1, 1))
        return self._player.frame(index)

    def at(self, index: int, size: tuple[int, int] | None = None) -> Viewpoint:
        """Return the camera of a frame, of its own lens, with pictures of another size (width, height) if one is given."""
        return viewpoint.of_frame(self._bundle, index, self._size(size))

    def around(
        self, azimuth: float = 0.0, elevation: float | None = None, distance: float = 1.0, size: tuple[int, int] | None = None
    ) -> Viewpoint:
        """Return a camera that looks at the object's middle.

        Args:
            azimuth: degrees around the vertical axis from the first frame's camera.
            elevation: degrees above the horizon; by default the clip's median.
            distance: in median distances of the clip's cameras.
            size: width and height of the picture, by default those of the clip.
        """
        return viewpoint.around(self._bundle, azimuth, elevation, distance, self._size(size))

    def render(self, view: Viewpoint, ground: Colour | None = None) -> np.ndarray:
        """Return the object from anywhere: uint8 [H, W, 4] with straight alpha, or [H, W, 3] over a colour.

        The bundle's filter and residual are those of frames alone, so that even a frame's own view may be softer here than by
        `object`.
        """
        seen = self._player.seen(view)
        return straight(seen) if ground is None else over(seen, _bytes_of(ground))

    def _size(self, asked: tuple[int, int] | None) -> tuple[int, int]:
        return asked or (self.camera.width, self.camera.height)


def open_bundle(path: str | Path, device: Device = "auto") -> OpenBundle:
    """Open a .nsem file. Raises BundleError, a NerfsemError, when it cannot be read or decoded."""
    return OpenBundle(nsem.read_bytes(Path(path)), device)


def capture(source: str | Path, scene_dir: str | Path | None = None, options: CaptureOptions | None = None) -> Scene:
    """Return the scene of a video, or of a folder of pictures with cameras, captured into a folder that is used again.

    The folder is by default <stem>.nerfsem beside the source. Raises CaptureError, a NerfsemError.
    """
    from nerfsem_method.capture import entry

    return entry.capture(Path(source), options or CaptureOptions(), None if scene_dir is None else Path(scene_dir))


def train(scene: Scene, output_dir: str | Path, options: Options | None = None) -> Path:
    """Train on a scene with the preset, steps, lambda or goal of `options`; return the run's config.yml below `output_dir`.

    A goal in bytes is that of the FP bundle. Raises NerfsemError for options that cannot be meant.
    """
    from nerfsem_method.pipeline import train_scene

    chosen = options or Options()
    chosen.check()
    return train_scene(scene, Path(scene.video.name).stem, chosen, chosen.wanted_bytes, Path(output_dir))


def encode(
    run: str | Path, output_dir: str | Path, mode: Literal["fp", "pc"] = "fp", background: BackgroundOptions | None = None
) -> Path:
    """Write the bundle of a run, given its config.yml, into a folder, and return its path, <clip>-<mode>.nsem.

    Raises NerfsemError when the run has no checkpoint, its scene is gone, or the bundle cannot be written.
    """
    from nerfsem_method.plugin import checkpoint

    return checkpoint.export(Path(run), Path(output_dir), mode, background or BackgroundOptions())


def evaluate(
    video: str | Path, bundle: str | Path, *, mattes: str | Path | None = None, scene_dir: str | Path | None = None,
    peers: Sequence[str] = (), device: Device = "auto",
) -> Evaluation:  # fmt: skip
    """Measure a bundle file against its clip and other codecs; the mattes are a folder of PNG files or a captured scene's.

    Raises NerfsemError when clip and bundle do not fit or a peer cannot run here.
    """
    from nerfsem_method.evaluation import study
    from nerfsem_method.evaluation.references import Clip

    if (mattes is None) == (scene_dir is None):
        raise NerfsemError("give either mattes or scene_dir: they say which pixels are the object's")
    clip = Clip(Path(video), *(None if path is None else Path(path) for path in (mattes, scene_dir)))
    return study.evaluate(clip, [Path(bundle)], peers, device)[0]


def _bytes_of(colour: Colour) -> tuple[int, int, int]:
    return _NAMED[colour] if isinstance(colour, str) else colour
