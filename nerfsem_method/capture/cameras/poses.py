"""This module solves the cameras of a clip and decides by the clip's motion where COLMAP looks for features."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nerfsem_method.capture.cameras.reconstruct import HARDLY_MOVES, reconstruct
from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.clip import motion
from nerfsem_method.capture.clip.eyes import HALVES, eyes
from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.capture.clip.motion import Box, Motion
from nerfsem_method.errors import CaptureError
from nerfsem_method.media.pictures import read_picture

Region = Literal["auto", "object", "frame"]
"""A region says where features are sought."""
MARGIN = 0.02
"""Features are not sought within this share of width and height around an overlay: they reach beyond their middle."""


def solve(
    frames: list[Path],
    mattes: list[Path] | None,
    region: Region,
    advance: Advance,
    ordered: bool = True,
    zooms: Mapping[int, float] | None = None,
) -> SparseModel:
    """Return the cameras of `frames`, from features of the whole frame or of the object alone.

    They lie in the order in which they were taken if they are surely `ordered`. Some say of themselves that they were taken with
    so many times the usual focal length, the `zooms`.

    The background of a static object carries more features than a smooth object, and other ones on each side (of the
    sample clip's 60 frames, 60 are registered on whole frames, 17 on the object). Where the object turns before a fixed
    camera, the background says that nothing moves. "auto" takes the object where the background stands still, and where whole
    frames fail and `mattes` are given. Raises CaptureError when nothing moves, too few frames can be registered, or COLMAP dies.
    """
    seen = motion.look(frames)
    if seen.nothing:
        raise CaptureError(HARDLY_MOVES)
    if kind := eyes(seen.samples):
        raise CaptureError(
            f"the pictures hold one for each eye, {kind}, as those of a 3D camera do: keep that of one"
            f"{f', as by: ffmpeg -i CLIP -vf {HALVES[kind]} NEW' if ordered else ''}"
        )
    if region == "object" or (region == "auto" and seen.turntable):
        return reconstruct(frames, _object(frames, mattes, seen), "object", seen.before_still, advance, ordered)
    try:
        overlays = seen.overlays()
        beside = _beside(overlays, seen.samples[0].shape, len(frames))
        model = reconstruct(frames, beside, "frame", False, advance, ordered, zooms)
        return replace(model, overlays=[*overlays, *model.overlays])
    except CaptureError:
        if region == "frame" or not mattes:
            raise
        return reconstruct(frames, _object(frames, mattes, seen), "object", seen.turntable, advance, ordered)


def _beside(overlays: list[Box], shape: tuple[int, ...], count: int) -> list[np.ndarray] | None:
    """Return where to look for features [H, W] uint8 in each of `count` frames with overlays; None where there are none."""
    mask = np.full(shape, 255, np.uint8)
    height, width = shape
    for left, top, right, bottom in overlays:
        rows = slice(max(int((top - MARGIN) * height), 0), math.ceil((bottom + MARGIN) * height))
        columns = slice(max(int((left - MARGIN) * width), 0), math.ceil((right + MARGIN) * width))
        mask[rows, columns] = 0
    return [mask] * count if overlays else None


class _Pictures(Sequence[np.ndarray]):
    """This sequence of grey pictures reads each when it is asked for: all mattes of a long clip do not fit into the memory."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        return read_picture(self.paths[index], grey=True)


def _object(frames: list[Path], mattes: list[Path] | None, seen: Motion) -> Sequence[np.ndarray]:
    """Return where to look for the object in each frame: its matte [H, W] uint8, or all that moves."""
    if mattes:
        return _Pictures(mattes)
    if not seen.before_still:
        raise CaptureError(
            "--sfm-region object needs to know the object: give --mattes DIR, choose --segmenter birefnet, or let the "
            "camera stand still while the object turns"
        )
    return [seen.region() * np.uint8(255)] * len(frames)
