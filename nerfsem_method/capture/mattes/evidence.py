"""This module says of every pixel how likely it shows the object, by the colours of its frame and what is known of the body."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.mattes import colour
from nerfsem_method.capture.mattes.cluster import Cluster
from nerfsem_method.capture.mattes.moving import Moving
from nerfsem_method.capture.mattes.outline import Zones
from nerfsem_method.media.pictures import read_picture

LIMIT = 3.0
"""The log odds of one pixel are no larger than this: no view is ever sure."""
PALETTE_LIMIT = 2.0
"""The palettes of object and frame may give a pixel no larger log odds than these."""
PALETTE_WEIGHT = 0.5
"""The palettes count with this weight where the neighbourhood's colours speak too."""
COVERED = 1.0
"""Lying among projected points, or within the body so far, is worth these log odds, and lying under a point as much again."""
DOUBTFUL = 0.15
"""Every pixel must bring these log odds to be object: where colours say nothing there is nothing."""
SEED_PIXELS = 0.006
"""A point's mark has a radius of so many long sides, about what the point says something about."""
CLOSING = 0.03
"""Gaps of so many long sides between projected points are probably object."""
DEPTH = 0.02
"""Within so many long sides from the rim a mark's colour is not trusted."""


@dataclasses.dataclass(frozen=True)
class Pass:
    """A pass is one round of evidence and fusion.

    It looks at frames whose longer side has `long_side` pixels and fuses `voxels` along the box. In shares of the long side,
    `doubt` is the width of the strip at the expected outline that teaches no colours, `surroundings` how far from the outline
    background is looked at, and `radius` how far neighbours are.
    """

    long_side: int
    voxels: int
    doubt: float
    surroundings: float
    radius: float


@dataclasses.dataclass(frozen=True)
class View:
    """A view is the frames at a pass's size, and what their colours say.

    Methods take a frame's index. Those that are given shadows [N, h, w], the chance of each pixel to show the body so far,
    serve the later passes; the others serve the first.
    """

    frames: list[Path]
    model: SparseModel
    cluster: Cluster
    stage: Pass
    space: colour.ColourSpace
    moving: Moving | None = None
    small: dict[tuple[Path, tuple[int, int]], np.ndarray] = dataclasses.field(default_factory=dict)
    """Frames that were made small for this pass, or for one before, lie here: they are looked at again and again."""

    @property
    def size(self) -> tuple[int, int]:
        """Return the frames' width and height in this pass."""
        camera = self.model.camera
        shrink = self.stage.long_side / max(camera.width, camera.height)
        return round(camera.width * shrink), round(camera.height * shrink)

    def first_palette(self, index: int) -> np.ndarray:
        """Return the histograms [2, BINS^3] of the colours under the marks of object and kept support that lie well inside.

        Marks at the rim, and strays, show colours of the background.
        """
        import cv2

        marks, covered, _ = self.marks(index)
        deep = marks & cv2.erode(covered, _disc(DEPTH * self.stage.long_side))
        return self._histograms((deep if deep.any() else marks) > 0, index)

    def first_odds(self, inside: np.ndarray, index: int) -> np.ndarray:
        """Return the log odds [H, W] of the object from its palettes [2, BINS^3] and the projected points."""
        marks, covered, others = self.marks(index)
        cells = colour.cells(self._colours(index))
        zones = self._zones(covered)
        odds = self._palette_odds(cells, inside, zones.outside, index)
        odds = odds.clip(-PALETTE_LIMIT, PALETTE_LIMIT) + COVERED * covered - DOUBTFUL
        odds[(others > 0) & (covered == 0)] = -LIMIT
        odds[~self._bounds(index)] = -LIMIT
        odds[marks > 0] = odds[marks > 0].clip(0) + COVERED
        return self._where_it_moves(odds)

    def palette(self, shadows: np.ndarray, index: int) -> np.ndarray:
        """Return the histograms [2, BINS^3] of the colours well inside the fused body's shadow, of object and kept support."""
        return self._histograms(self._zones(self._expected(shadows, index)).inside, index)

    def odds(self, shadows: np.ndarray, inside: np.ndarray, index: int) -> np.ndarray:
        """Return the log odds [H, W] of the object from the colours on both sides of the shadow's outline and its palettes."""
        expected = self._expected(shadows, index)
        colours, zones = self._colours(index), self._zones(expected)
        cells = colour.cells(colours)
        everywhere = self._palette_odds(cells, inside, zones.outside, index)
        # Palettes may add to the body but not hollow it out: a pale bust has the colours of a pale wall everywhere
        everywhere = everywhere.clip(np.where(expected > 0.5, 0, -PALETTE_LIMIT), PALETTE_LIMIT)
        nearby = colour.local_odds(colours, zones.inside, zones.outside, self.stage.radius * self.stage.long_side)
        odds = nearby.clip(-LIMIT, LIMIT) + PALETTE_WEIGHT * everywhere + COVERED * expected - DOUBTFUL
        return np.where(zones.near, self._where_it_moves(odds), np.float32(-LIMIT))

    def marks(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return where a frame shows points, three pictures [H, W] uint8 of 0 and 1.

        The first marks all of the object's points, even those on its back, for it covers these; the second is what these cover
        together; the third marks the other points that are seen here.
        """
        model, cluster = self.model, self.cluster
        seen = model.views[model.views[:, 1] == index]
        seen = seen[cluster.others[seen[:, 0].astype(int)]]
        return *self._cover(np.concatenate([cluster.seeds, cluster.support]), index), self._draw(seen[:, 2:])

    def _histograms(self, chosen: np.ndarray, index: int) -> np.ndarray:
        """Return the histograms [2, BINS^3] of the `chosen` pixels [H, W] bool, of those of the object and of a kept support.

        A white bust on a dark pillar must not make the white wall beside the pillar look like the object.
        """
        cells, below = colour.cells(self._colours(index)), self._below(index)
        return np.stack([colour.histogram(cells, chosen & part) for part in (~below, below)])

    def _palette_odds(self, cells: np.ndarray, inside: np.ndarray, outside: np.ndarray, index: int) -> np.ndarray:
        """Return the log odds [H, W] of the pixels' cells, from palettes [2, BINS^3] and the pixels `outside` [H, W] bool."""
        below = self._below(index)
        odds = np.zeros(cells.shape, np.float32)
        for palette, part in zip(inside, (~below, below), strict=True):
            odds[part] = colour.palette_odds(cells[part], palette, colour.histogram(cells, outside & part))
        return odds

    def _below(self, index: int) -> np.ndarray:
        """Return which pixels [H, W] bool of a frame lie below the top of a kept support."""
        support = self.cluster.support
        if not len(support):
            return np.zeros(self.size[::-1], bool)
        up = self.cluster.normal
        heights = support @ up
        top = support[heights > np.quantile(heights, 0.9)].mean(0)
        reach = float(np.ptp(heights))
        (start, end), _ = self.model.cameras.project(np.stack([top, top - 0.01 * reach * up]), index)
        scale = self.model.camera.width / self.size[0]
        columns, rows = np.meshgrid(np.arange(self.size[0]) + 0.5, np.arange(self.size[1]) + 0.5)
        across, down = end - start
        return (columns * scale - start[0]) * across + (rows * scale - start[1]) * down > 0

    def _expected(self, shadows: np.ndarray, index: int) -> np.ndarray:
        """Return the shadow in a frame at this pass's size."""
        import cv2

        return cv2.resize(shadows[index], self.size, interpolation=cv2.INTER_CUBIC)

    def _zones(self, expected: np.ndarray) -> Zones:
        """Return what is surely inside and outside of the expected object [H, W]."""
        stage = self.stage
        return Zones.around(expected, stage.doubt * stage.long_side, stage.surroundings * stage.long_side)

    def _colours(self, index: int) -> np.ndarray:
        """Return a frame's colours [H, W, 3] in the clip's space."""
        import cv2

        path = self.frames[index]
        if (seen := self.small.get((path, self.size))) is None:
            seen = self.small[path, self.size] = cv2.resize(read_picture(path), self.size, interpolation=cv2.INTER_AREA)
        return self.space.of_picture(seen)

    def _cover(self, seeds: np.ndarray, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the marks of positions [S, 3], and what these cover together."""
        import cv2

        pixels, depth = self.model.cameras.project(seeds, index)
        marks = self._draw(pixels[depth > 0])
        return marks, cv2.morphologyEx(marks, cv2.MORPH_CLOSE, _disc(CLOSING * self.stage.long_side))

    def _draw(self, pixels: np.ndarray) -> np.ndarray:
        """Return marks, discs around pixels [P, 2] of the camera's own size."""
        import cv2

        canvas = np.zeros(self.size[::-1], np.uint8)
        column, row = np.floor(pixels * (self.size[0] / self.model.camera.width)).astype(int).T
        inside = (column >= 0) & (row >= 0) & (column < self.size[0]) & (row < self.size[1])
        canvas[row[inside], column[inside]] = 1
        return cv2.dilate(canvas, _disc(SEED_PIXELS * self.stage.long_side))

    def _where_it_moves(self, odds: np.ndarray) -> np.ndarray:
        """Return log odds [H, W] within their limits, lower where nothing moves if the background stands still."""
        if self.moving is not None:
            odds = odds - self.moving.against(self.size)
        return odds.clip(-LIMIT, LIMIT)

    def _bounds(self, index: int) -> np.ndarray:
        """Return where the object's generous box lies in a frame, bool; everywhere if it reaches behind the camera."""
        import cv2

        corners = np.stack(np.meshgrid(*zip(self.cluster.low, self.cluster.high, strict=True)), -1).reshape(-1, 3)
        pixels, depth = self.model.cameras.project(corners, index)
        if (depth <= 0).any():
            return np.ones(self.size[::-1], bool)
        outline = cv2.convexHull((pixels * (self.size[0] / self.model.camera.width)).round().astype(np.int32))
        return cv2.fillConvexPoly(np.zeros(self.size[::-1], np.uint8), outline, (1,)) > 0


def _disc(radius: float) -> np.ndarray:
    """Return a filled disc for morphology."""
    import cv2

    side = 2 * round(radius) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
