"""Mattes without any weights: colours say what a pixel may be, and all views together say what it is.

What the cameras circle is the object (`cluster`), and its triangulated points show the first colours. Each pass turns
every frame's colours into evidence a pixel (`colour`), finds the one body in space that explains it (`fusion`), but none
where a camera sees the room (`sightlines`), and takes the body's shadow in each frame as the next pass's idea of inside
and outside. At the end the outline is drawn frame by frame along the edges near the body's shadow (`outline`).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from nerfsem_method.capture.cameras.normalise import Similarity, upright
from nerfsem_method.capture.cameras.poses import SparseModel
from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.capture.mattes import colour, fusion
from nerfsem_method.capture.mattes.cluster import Cluster, find
from nerfsem_method.capture.mattes.fusion import Grid
from nerfsem_method.capture.mattes.given import write_matte
from nerfsem_method.capture.mattes.hints import ObjectBox
from nerfsem_method.capture.mattes.outline import Zones, refine
from nerfsem_method.capture.mattes.sightlines import looked_through
from nerfsem_method.errors import CaptureError


@dataclasses.dataclass(frozen=True)
class Pass:
    """One round of colours and fusion: pixels along the frame, voxels along the box, and in shares of the long side the
    strip at the expected outline that teaches no colours, how far background is looked at, and how far is near."""

    long_side: int
    voxels: int
    doubt: float
    surroundings: float
    radius: float


PASSES = (
    Pass(240, 64, 0.02, 0.2, 0.0),
    Pass(240, 64, 0.03, 0.1, 0.06),
    Pass(240, 96, 0.012, 0.08, 0.05),
    Pass(480, 144, 0.008, 0.06, 0.025),
)
"""The first starts from the points: their colours, and those around what they cover."""
LIMIT = 3.0
"""Largest log odds of one pixel: no view is ever sure."""
PALETTE_LIMIT = 2.0
"""Largest log odds that the palettes of object and frame may give it."""
PALETTE_WEIGHT = 0.5
"""Weight of the palettes where the neighbourhood's colours speak too."""
COVERED = 1.0
"""Log odds that lying among projected points, or within the body so far, is worth, and as much again under a point."""
DOUBTFUL = 0.15
"""Log odds that every pixel must bring to be object: where colours say nothing there is nothing."""
SEED_PIXELS = 0.006
"""Radius of a point's mark, in long sides."""
CLOSING = 0.03
"""Gaps between projected points that are probably object, in long sides."""
DEPTH = 0.02
"""Long sides from the rim within which a mark's colour is not trusted."""
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

    `keep_support` keeps what the object stands on, `box` points the object out. Deterministic. Raises CaptureError when
    too few points lie where the cameras look, or the frames agree about nothing.
    """
    turn = Similarity(1.0, upright(model.poses), np.zeros(3))
    model = dataclasses.replace(model, poses=turn.poses(model.poses), points=turn.points(model.points))
    cluster = find(model, keep_support, box)
    if cluster is None:
        raise CaptureError(
            "the classical segmenter finds no object where the cameras look: film it larger and from all sides, point it "
            "out with --object-box x,y,w,h, give --mattes DIR, or choose --segmenter birefnet"
        )
    with _Crew(len(frames), 1 + len(PASSES), advance) as crew:
        shadows = _find_body(frames, model, cluster, box, crew)
        crew.each(partial(_draw_outline, frames, shadows, target))


def _find_body(
    frames: list[Path], model: SparseModel, cluster: Cluster, box: ObjectBox | None, crew: _Crew
) -> np.ndarray:
    """The chance [N, h, w] that each pixel shows the object, from coarse to fine."""
    grid = Grid.over(cluster.low, cluster.high, PASSES[0].voxels)
    shadows, near = None, np.ones(grid.shape, bool)
    for stage in PASSES:
        view = _View(frames, model, cluster, stage)
        if shadows is None:
            inside = np.sum(crew.each(view.first_palette, silent=True), 0)
            odds = crew.each(partial(view.first_odds, inside / inside.sum()))
        else:
            inside = np.sum(crew.each(partial(view.palette, shadows), silent=True), 0)
            odds = crew.each(partial(view.odds, shadows, inside / inside.sum()))
        finer = Grid.over(cluster.low, cluster.high, stage.voxels)
        candidates = finer.resample(near, grid) & _possible(finer, model, cluster, box)
        grid, camera = finer, finer.camera_for(model.camera, model.poses)
        candidates &= ~looked_through(grid, candidates, camera, model, cluster.others)
        density = fusion.fuse(grid, candidates, camera, model.poses, _shrunk(odds, camera.width, camera.height))
        if not density.any():
            raise CaptureError(
                "the frames disagree about the object: point it out with --object-box x,y,w,h or give --mattes DIR"
            )
        shadows = fusion.shadows(grid, density, camera, model.poses)
        near = fusion.around(grid, density, camera, model.poses, round(GROWTH * stage.voxels))
    assert shadows is not None  # there are passes
    return shadows


def _possible(grid: Grid, model: SparseModel, cluster: Cluster, box: ObjectBox | None) -> np.ndarray:
    """Which voxels [X, Y, Z] the artefact may fill: above its support, and within the box pointed out."""
    centres = grid.centres(np.indices(grid.shape).reshape(3, -1).T)
    possible = cluster.above(centres)
    if box:
        possible &= box.shows(centres, model.camera, model.poses)
    return possible.reshape(grid.shape)


def _shrunk(odds: list[np.ndarray], width: int, height: int) -> np.ndarray:
    import cv2

    return np.stack([cv2.resize(o, (width, height), interpolation=cv2.INTER_AREA) for o in odds])


def _draw_outline(frames: list[Path], shadows: np.ndarray, target: Path, index: int) -> None:
    import cv2

    write_matte(target, index, refine(cv2.imread(str(frames[index])), shadows[index]))


class _Crew:
    """One thread a core, each with a frame at a time; tells how far all rounds together are."""

    def __init__(self, count: int, rounds: int, advance: Advance) -> None:
        self.count, self.total, self.advance, self.done = count, rounds * count, advance, 0

    def __enter__(self) -> _Crew:
        import cv2

        self.threads = cv2.getNumThreads()
        cv2.setNumThreads(1)  # OpenCV's own would change nothing but the load
        self.pool = ThreadPoolExecutor(os.cpu_count())
        return self

    def __exit__(self, *failure: object) -> None:
        import cv2

        self.pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(self.threads)

    def each(self, work: Callable[[int], np.ndarray | None], silent: bool = False) -> list:
        """[work(0), work(1), ...] of all frames; a `silent` round is not told about."""
        results = []
        for result in self.pool.map(work, range(self.count)):
            results.append(result)
            if not silent:
                self.done += 1
                self.advance(self.done, self.total)
        return results


@dataclasses.dataclass(frozen=True)
class _View:
    """The frames at a pass's size, and what their colours say. All methods take a frame's index and return [H, W]."""

    frames: list[Path]
    model: SparseModel
    cluster: Cluster
    stage: Pass

    @property
    def size(self) -> tuple[int, int]:
        camera = self.model.camera
        shrink = self.stage.long_side / max(camera.width, camera.height)
        return round(camera.width * shrink), round(camera.height * shrink)

    def first_palette(self, index: int) -> np.ndarray:
        """Histogram of the colours under the points' marks that lie well inside: those at the rim, and strays, show
        colours of the background."""
        import cv2

        marks, covered, _ = self._marks(index)
        deep = marks & cv2.erode(covered, _disc(DEPTH * self.stage.long_side))
        return self._histogram((deep if deep.any() else marks) > 0, index)

    def first_odds(self, inside: np.ndarray, index: int) -> np.ndarray:
        """Log odds of the object from its palette [BINS^3] and the projected points."""
        marks, covered, others = self._marks(index)
        cells = colour.cells(self._colours(index))
        zones = self._zones(covered)
        odds = colour.palette_odds(cells, inside, colour.histogram(cells, zones.outside))
        odds = odds.clip(-PALETTE_LIMIT, PALETTE_LIMIT) + COVERED * covered - DOUBTFUL
        odds[(others > 0) & (covered == 0)] = -LIMIT
        odds[~self._bounds(index)] = -LIMIT
        odds[marks > 0] = odds[marks > 0].clip(0) + COVERED
        return odds.clip(-LIMIT, LIMIT)

    def palette(self, shadows: np.ndarray, index: int) -> np.ndarray:
        """Histogram of the colours well inside the fused body's shadow."""
        return self._histogram(self._zones(self._expected(shadows, index)).inside, index)

    def _histogram(self, chosen: np.ndarray, index: int) -> np.ndarray:
        """Histogram of the `chosen` pixels. Artefact and kept support count alike: much dark pillar must not make the white
        of a bust rarer than that of the walls."""
        cells, cluster = colour.cells(self._colours(index)), self.cluster
        if not len(cluster.support):
            return colour.histogram(cells, chosen)
        artefact, support = (self._cover(seeds, index)[1] for seeds in (cluster.seeds, cluster.support))
        below = (support > 0) & (artefact == 0)
        parts = [part for part in (chosen & ~below, chosen & below) if part.any()]
        return np.mean([colour.histogram(cells, part) for part in parts or [chosen]], 0)

    def odds(self, shadows: np.ndarray, inside: np.ndarray, index: int) -> np.ndarray:
        """Log odds of the object from the colours on both sides of the shadow's outline and the object's palette."""
        expected = self._expected(shadows, index)
        colours, zones = self._colours(index), self._zones(expected)
        cells = colour.cells(colours)
        everywhere = colour.palette_odds(cells, inside, colour.histogram(cells, zones.outside))
        # Palettes may add to the body but not hollow it out: a pale bust has the colours of a pale wall everywhere
        everywhere = everywhere.clip(np.where(expected > 0.5, 0, -PALETTE_LIMIT), PALETTE_LIMIT)
        nearby = colour.local_odds(colours, zones.inside, zones.outside, self.stage.radius * self.stage.long_side)
        odds = nearby.clip(-LIMIT, LIMIT) + PALETTE_WEIGHT * everywhere + COVERED * expected - DOUBTFUL
        return np.where(zones.near, odds.clip(-LIMIT, LIMIT), np.float32(-LIMIT))

    def _expected(self, shadows: np.ndarray, index: int) -> np.ndarray:
        import cv2

        return cv2.resize(shadows[index], self.size, interpolation=cv2.INTER_CUBIC)

    def _zones(self, expected: np.ndarray) -> Zones:
        stage = self.stage
        return Zones.around(expected, stage.doubt * stage.long_side, stage.surroundings * stage.long_side)

    def _colours(self, index: int) -> np.ndarray:
        import cv2

        return colour.lab(cv2.resize(cv2.imread(str(self.frames[index])), self.size, interpolation=cv2.INTER_AREA))

    def _marks(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixels, uint8 0 or 1, of the object's points (all: it is in front of its own back), of what these cover, and
        of the others seen here."""
        model, cluster = self.model, self.cluster
        seen = model.views[model.views[:, 1] == index]
        seen = seen[cluster.others[seen[:, 0].astype(int)]]
        return *self._cover(np.concatenate([cluster.seeds, cluster.support]), index), self._draw(seen[:, 2:])

    def _cover(self, seeds: np.ndarray, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Marks of positions [S, 3], and what these cover together."""
        import cv2

        pixels, depth = self.model.camera.project(seeds, self.model.poses[index])
        marks = self._draw(pixels[depth > 0])
        return marks, cv2.morphologyEx(marks, cv2.MORPH_CLOSE, _disc(CLOSING * self.stage.long_side))

    def _draw(self, pixels: np.ndarray) -> np.ndarray:
        """Marks, discs around pixels [P, 2] of the camera's own size."""
        import cv2

        canvas = np.zeros(self.size[::-1], np.uint8)
        column, row = np.floor(pixels * (self.size[0] / self.model.camera.width)).astype(int).T
        inside = (column >= 0) & (row >= 0) & (column < self.size[0]) & (row < self.size[1])
        canvas[row[inside], column[inside]] = 1
        return cv2.dilate(canvas, _disc(SEED_PIXELS * self.stage.long_side))

    def _bounds(self, index: int) -> np.ndarray:
        """Where the artefact's generous box lies in a frame, bool; everywhere if it reaches behind the camera."""
        import cv2

        corners = np.stack(np.meshgrid(*zip(self.cluster.low, self.cluster.high, strict=True)), -1).reshape(-1, 3)
        pixels, depth = self.model.camera.project(corners, self.model.poses[index])
        if (depth <= 0).any():
            return np.ones(self.size[::-1], bool)
        outline = cv2.convexHull((pixels * (self.size[0] / self.model.camera.width)).round().astype(np.int32))
        return cv2.fillConvexPoly(np.zeros(self.size[::-1], np.uint8), outline, (1,)) > 0


def _disc(radius: float) -> np.ndarray:
    import cv2

    side = 2 * round(radius) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
