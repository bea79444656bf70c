"""This module draws mattes without any weights: colours say what a pixel may be, and all views together say what it is.

What the cameras circle is the object (`cluster`), and its triangulated points show the first colours. Each pass turns
every frame's colours into evidence a pixel (`evidence`), finds the one body in space that explains it (`fusion`), but none
where a camera sees the background (`sightlines`), and takes the body's shadow in each frame as the next pass's idea of inside
and outside. At the end the outline is drawn frame by frame along the edges near the body's shadow (`outline`).
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from nerfsem_method.capture.cameras.normalise import Similarity
from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.capture.mattes import fusion
from nerfsem_method.capture.mattes.cluster import Cluster, find, way_up
from nerfsem_method.capture.mattes.colour import ColourSpace
from nerfsem_method.capture.mattes.evidence import Pass, View
from nerfsem_method.capture.mattes.fusion import Grid
from nerfsem_method.capture.mattes.given import write_matte
from nerfsem_method.capture.mattes.hints import ObjectBox
from nerfsem_method.capture.mattes.moving import Moving
from nerfsem_method.capture.mattes.occluders import Body, occluders, without
from nerfsem_method.capture.mattes.outline import refine
from nerfsem_method.capture.mattes.sightlines import looked_through, trusted
from nerfsem_method.desk import cores
from nerfsem_method.errors import CaptureError
from nerfsem_method.media.pictures import read_picture
from nerfsem_method.scene.camera import look_at_point

PASSES = (
    Pass(320, 128, 0.015, 0.2, 0.0),
    Pass(320, 128, 0.02, 0.1, 0.06),
    Pass(320, 128, 0.012, 0.08, 0.05),
    Pass(480, 144, 0.008, 0.06, 0.025),
)
"""The first pass starts from the points: their colours, and those around what they cover. A thin handle that a coarse one lost
would teach the next what the surroundings look like."""
VOTERS = 120
"""No more frames than this, evenly spread, find the body, whose shadow then falls into all: more say the same again."""
GROWTH = 0.05
"""A pass searches within this share of the box around the body that the one before found."""


def segment(
    frames: list[Path],
    model: SparseModel,
    target: Path,
    advance: Advance,
    *,
    keep_support: bool = False,
    box: ObjectBox | None = None,
) -> None:
    """Write a soft matte for each frame to `target`, with the help of the solved cameras.

    `keep_support` keeps what the object stands on, `box` points the object out. Frames whose cameras look elsewhere have no say,
    and an empty matte. The same input gives the same mattes. Raises CaptureError when too few points lie where the cameras look,
    or the frames agree about nothing.
    """
    there = _looking_there(model)
    for path in (path for path, looks in zip(frames, there, strict=True) if not looks):
        write_matte(target, path.name, np.zeros(read_picture(path).shape[:2], np.uint8))
    frames, model = [path for path, looks in zip(frames, there, strict=True) if looks], model.of_frames(there)
    box = box and box.among(there)
    space = ColourSpace.of(frames)
    turn = Similarity(1.0, way_up(model), np.zeros(3))
    model = dataclasses.replace(
        model, poses=turn.poses(model.poses), points=turn.points(model.points), colours=space.tones.spread(model.colours)
    )
    cluster = find(model, keep_support, box)
    if cluster is None:
        doubt = (
            f"the cameras are probably wrong, for only {model.explained:.0%} of what frames have in common agrees with them, as "
            "where hands or mirrors move with the object; or "
        )
        raise CaptureError(
            f"the classical segmenter finds no object where the cameras look: {doubt if model.contradicted else ''}hardly a "
            "point lies on it, as on what is small, smooth, shiny, clear or thin; film it larger and from all sides, give "
            "--mattes DIR, or choose --segmenter birefnet; if the cameras circle something else, point it out with --object-box "
            "x,y,w,h"
        )
    moving = Moving.of(frames) if model.region == "object" and not keep_support else None
    voting = int(_voters(len(frames)).sum())
    with _Crew(len(PASSES) * voting + len(frames), advance) as crew:
        small, hiding = {}, []
        body = _find_body(frames, space, model, cluster, box, moving, small, crew)
        for occluder in occluders(body, model, cluster):
            crew.total += len(PASSES) * voting
            with contextlib.suppress(CaptureError):  # its points are no body
                hiding.append(_find_body(frames, space, model, occluder, None, None, small, crew))
        crew.each(len(frames), partial(_draw_outline, frames, space, body, hiding, target))


def _looking_there(model: SparseModel) -> np.ndarray:
    """Return which frames [N] bool look at what most look at, or pass it by less than half a frame; all if most do not."""
    target, size = look_at_point(model.poses), np.array([model.camera.width, model.camera.height])
    seen = [model.cameras.project(target, index) for index in range(len(model.poses))]
    there = np.array([depth > 0 and bool((abs(pixel / size - 0.5) < 1).all()) for pixel, depth in seen])
    return there if there.mean() > 0.5 else np.ones_like(there)


def _find_body(
    frames: list[Path],
    space: ColourSpace,
    model: SparseModel,
    cluster: Cluster,
    box: ObjectBox | None,
    moving: Moving | None,
    small: dict[tuple[Path, tuple[int, int]], np.ndarray],
    crew: _Crew,
) -> Body:
    """Return the object's body, found from coarse to fine by some of the frames, with its shadows in all.

    Frames that were made `small` once are there when the next body is sought.
    """
    grid = Grid.over(cluster.low, cluster.high, PASSES[0].voxels)
    shadows, near = None, np.ones(grid.shape, bool)
    voting, behind = _voters(len(frames)), cluster.others & trusted(model)
    voters, voter = model.of_frames(voting), [path for path, votes in zip(frames, voting, strict=True) if votes]
    for stage in PASSES:
        odds = _evidence(View(voter, voters, cluster, stage, space, moving, small), shadows, crew)
        finer = Grid.over(cluster.low, cluster.high, stage.voxels)
        candidates = finer.resample(near, grid) & _possible(finer, model, cluster, box)
        grid, cameras = finer, finer.cameras_for(model.cameras)
        seeing = cameras.of(voting)
        candidates &= ~looked_through(grid, candidates, seeing, voters, behind)
        small_odds = _shrunk(odds, cameras.camera.width, cameras.camera.height)
        density = fusion.fuse(grid, candidates, seeing, small_odds, flat=len(cluster.support) > 0)
        if not density.any():
            raise CaptureError(
                "the frames disagree about the object: point it out with --object-box x,y,w,h or give --mattes DIR"
            )
        shadows = fusion.shadows(grid, density, seeing)
        near = fusion.around(grid, density, seeing, round(GROWTH * stage.voxels))
    return Body.of(grid, density, cameras)


def _voters(count: int) -> np.ndarray:
    """Return which of the frames find the body, [count] bool."""
    voting = np.zeros(count, bool)
    voting[np.linspace(0, count - 1, min(count, VOTERS)).round().astype(int)] = True
    return voting


def _evidence(view: View, shadows: np.ndarray | None, crew: _Crew) -> list[np.ndarray]:
    """Return the log odds [H, W] of the object in every frame, from the points alone where there are no shadows yet."""
    each = partial(crew.each, len(view.frames))
    if shadows is None:
        return each(partial(view.first_odds, _mean(each(view.first_palette, silent=True))))
    return each(partial(view.odds, shadows, _mean(each(partial(view.palette, shadows), silent=True))))


def _mean(palettes: list[np.ndarray]) -> np.ndarray:
    """Return the mean palettes [2, BINS^3] of all frames that have any."""
    total = np.sum(palettes, 0)
    return total / total.sum(-1, keepdims=True).clip(1e-9)


def _possible(grid: Grid, model: SparseModel, cluster: Cluster, box: ObjectBox | None) -> np.ndarray:
    """Return which voxels [X, Y, Z] bool the object may fill: above its support, and within the box pointed out."""
    centres = grid.centres(np.indices(grid.shape).reshape(3, -1).T)
    possible = cluster.above(centres)
    if box:
        possible &= box.shows(centres, model.cameras)
    return possible.reshape(grid.shape)


def _shrunk(odds: list[np.ndarray], width: int, height: int) -> np.ndarray:
    """Return all frames' log odds [N, height, width]."""
    import cv2

    return np.stack([cv2.resize(o, (width, height), interpolation=cv2.INTER_AREA) for o in odds])


def _draw_outline(frames: list[Path], space: ColourSpace, body: Body, hiding: list[Body], target: Path, index: int) -> None:
    """Write the matte of a frame: the body's, without what other bodies hide of it."""
    picture = read_picture(frames[index])
    matte = refine(picture, body.shadows[index], space)
    for other in hiding:
        before = body.hidden_by(other, index)
        if before.any():
            matte = without(matte, refine(picture, other.shadows[index], space), before)
    write_matte(target, frames[index].name, matte)


class _Crew:
    """A crew is one thread a core, each with a frame at a time; it tells how many frames of all rounds together are done."""

    def __init__(self, total: int, advance: Advance) -> None:
        self.total, self.advance, self.done = total, advance, 0

    def __enter__(self) -> _Crew:
        import cv2

        self.threads = cv2.getNumThreads()
        cv2.setNumThreads(1)  # OpenCV's own threads would change nothing but the load
        self.pool = ThreadPoolExecutor(cores())
        return self

    def __exit__(self, *failure: object) -> None:
        import cv2

        self.pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(self.threads)

    def each(self, count: int, work: Callable[[int], np.ndarray | None], silent: bool = False) -> list:
        """Return [work(0), work(1), ...] of so many frames; a `silent` round is not told about."""
        results = []
        for result in self.pool.map(work, range(count)):
            results.append(result)
            if not silent:
                self.done += 1
                self.advance(self.done, self.total)
        return results
