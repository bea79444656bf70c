"""This module sets mattes right that were drawn frame by frame: single failures are outvoted in space by all other frames.

A network sees one frame at a time. Now and then it takes a neighbour or a table's edge for the object, forgets an arm, or
finds nothing or everything. Once the cameras are known, all mattes together say which body they show (`fusion`), and its
shadow tells each frame what the others see there. Where a matte says something else, over more than a strip along the
outline, that region is drawn anew, along the picture's edges near the shadow's outline (`outline`); every other pixel
stays as the network drew it, finer than any voxel.

Some things cannot be set right. What goes wrong alike in most frames cannot be noticed: it is the body. What is thinner
than two strips cannot, either. Who walks past before the object hides a part of it: that looks like a failure, and is filled.
And a frame without a camera of its own (interpolated) has no say and keeps its matte, for where it looks is a guess.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from nerfsem_method.capture.cameras import normalise
from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.capture.mattes import fusion
from nerfsem_method.capture.mattes.colour import ColourSpace
from nerfsem_method.capture.mattes.fusion import Grid
from nerfsem_method.capture.mattes.given import write_matte
from nerfsem_method.capture.mattes.outline import refine
from nerfsem_method.media.pictures import read_picture
from nerfsem_method.scene.camera import FrameCameras

COARSE, FINE = 64, 128
"""The body's box is so many voxels long where the mattes' hull is carved, and where they are fused."""
TOLERANCE = 0.4
"""This share of the views may miss a voxel of that hull: more than fail one by one."""
HULL_SIDE = 240
"""The hull is carved on mattes whose longer side has so many pixels; it is coarser than they are anyway."""
ROUNDS = 2
"""Mattes are fused so many times: in the second round, what is disputed after the first has no say."""
LIMIT = 3.0
"""The log odds of one pixel are no larger than this: no view is ever sure."""
STRIP = 1.0
"""No outline is disputed within so many pixels of the shadow's picture, a voxel each: the shadow is no finer."""
USUAL = 2.5
"""A clear dispute is so many times deeper than that in the median frame: inexact cameras move all shadows a little."""
LINK = 0.25
"""From this share of the strip on, a dispute that hangs together with a clear one belongs to it."""


def set_right(frames: list[Path], drawn: np.ndarray, model: SparseModel, target: Path, advance: Advance) -> None:
    """Write the mattes `drawn` [N, H, W] uint8 to `target`, drawn anew where the other frames clearly contradict.

    The same input gives the same mattes. Raises CaptureError when the mattes agree on no body at all.
    """
    cameras, points = model.cameras.scaled(*drawn.shape[:0:-1]), model.points[model.points_on(drawn)]
    voters, space = np.flatnonzero(model.registered), ColourSpace.of(frames)
    count, total = len(drawn), (ROUNDS + 1) * len(drawn)
    shadows, disputed = _compare(
        cameras.of(voters), drawn[voters], points, lambda rounds: advance(rounds * count, total)
    )
    voter_of = {frame: voter for voter, frame in enumerate(voters) if disputed[voter].any()}
    for index, (path, matte) in enumerate(zip(frames, drawn, strict=True)):
        if index in voter_of:
            voter = voter_of[index]
            matte = _redrawn(path, space, matte, _chance(shadows[voter], matte), disputed[voter])
        write_matte(target, path.name, matte)
        advance(ROUNDS * count + index + 1, total)


def _compare(
    cameras: FrameCameras, mattes: np.ndarray, points: np.ndarray, tell: Callable[[int], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Return how the body on which the mattes [N, H, W] agree best looks in each frame, and where they clearly differ from it.

    The first is the chance [N, h, w] that each pixel shows it, the second is [N, H, W] bool.
    `points` [P, 3] lie on the object, possibly none. `tell` hears how many rounds are done.
    """
    width, height = cameras.camera.width, cameras.camera.height
    shrink = min(1.0, HULL_SIDE / max(width, height))
    small = cameras.scaled(round(width * shrink), round(height * shrink))
    few = normalise.shrunk(mattes, small.camera)
    units = normalise.unit_box(small, few, points, TOLERANCE)
    cameras, small = units.cameras(cameras), units.cameras(small)
    coarse, fine = (Grid.over(np.zeros(3), np.ones(3), along) for along in (COARSE, FINE))
    hull = normalise.carve_coarsely(small, few, COARSE, coarse.lower, 1.0, TOLERANCE)
    candidates, small = fine.resample(hull, coarse), fine.cameras_for(cameras)
    share = (normalise.shrunk(mattes, small.camera) / np.float32(255)).clip(1e-3, 1 - 1e-3)
    odds = np.log(share / (1 - share)).clip(-LIMIT, LIMIT)
    for done in range(1, ROUNDS + 1):
        shadows = fusion.shadows(fine, fusion.fuse(fine, candidates, small, odds), small)
        disputed = _disputed(mattes, shadows)
        tell(done)
        if not disputed.any():
            break
        odds[normalise.shrunk(disputed * np.uint8(255), small.camera) > 0] = 0
    return shadows, disputed


def _chance(shadow: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """Return the shadow [h, w] at the matte's size."""
    import cv2

    return cv2.resize(shadow, matte.shape[::-1], interpolation=cv2.INTER_CUBIC)


def _disputed(mattes: np.ndarray, shadows: np.ndarray) -> np.ndarray:
    """Return the regions [N, H, W] bool in which matte and shadow clearly differ, with a strip around them."""
    deepest = [_depth(matte, shadow).max() for matte, shadow in zip(mattes, shadows, strict=True)]
    strip = max(STRIP * mattes.shape[2] / shadows.shape[2], USUAL * float(np.median(deepest)))
    regions = (_region(_depth(matte, shadow), strip) for matte, shadow in zip(mattes, shadows, strict=True))
    return np.stack(list(regions))


def _depth(matte: np.ndarray, shadow: np.ndarray) -> np.ndarray:
    """Return how many pixels deep each pixel [H, W] lies in what only one of matte [H, W] and shadow [h, w] takes for object."""
    import cv2

    return cv2.distanceTransform(((matte > 127) != (_chance(shadow, matte) > 0.5)).astype(np.uint8), cv2.DIST_L2, 5)


def _region(depth: np.ndarray, strip: float) -> np.ndarray:
    """Return which pixels [H, W] lie in or within `strip` pixels of parts that are deeper than that; none without such parts."""
    import cv2

    pieces = cv2.connectedComponents((depth > LINK * strip).astype(np.uint8))[1]
    clear = np.isin(pieces, np.unique(pieces[depth > strip]))
    return (cv2.distanceTransform((~clear).astype(np.uint8), cv2.DIST_L2, 5) <= strip) & clear.any()


def _redrawn(path: Path, space: ColourSpace, matte: np.ndarray, chance: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Return the matte [H, W] with a region drawn anew along the edges of the picture at `path`, near the expected outline."""
    believed = np.where(region, chance, matte / np.float32(255))  # what is not disputed teaches the colours of both sides
    return np.where(region, refine(read_picture(path), believed, space), matte)
