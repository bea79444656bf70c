"""Mattes without any weights: triangulated points seed a colour segmentation, and the views correct each other.

What the cameras circle is the object (`cluster`). Its points, projected, are object in every frame; points clear of it
are background in the frames that see them. GrabCut (Rother et al. 2004) decides the pixels between, frame by frame;
the visual hull of the results, cut off at the support, then bounds a second GrabCut in each frame.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from nerfsem_dataparsers.capture.cluster import Cluster, find
from nerfsem_dataparsers.capture.frames import Advance
from nerfsem_dataparsers.capture.mattes import write_matte
from nerfsem_dataparsers.capture.poses import SparseModel
from nerfsem_method.errors import CaptureError
from nerfsem_method.hull import carve
from nerfsem_method.scene import Intrinsics

LONG_SIDES = (240, 240, 400)
"""Pixels at which the passes work: from the points alone, then twice inside the hull of the pass before."""
COLOUR_FRAMES = 8
"""Frames that tell the object's colours."""
RESOLUTION = 96
"""Voxels along the hull's box."""
TOLERANCE = 0.15
"""Share of views that may miss a voxel; generous, single frames go wrong."""
SEED_PIXELS = 0.006
"""Radius of a point's mark, in long sides."""
CLOSING = 0.03
"""Gaps between projected points that are probably object, in long sides."""
DEPTH = 0.02
"""Long sides from the rim within which a mark's colour is not trusted."""
HULL_SLACK = 0.006
"""Long sides by which the object may reach beyond the projected hull."""
SURROUNDINGS = 0.06
"""Long sides around what may be object that tell the background's colours."""
SOFT_EDGE = 0.7
"""Standard deviation in pixels of the working size of the matte's edge."""


def segment(frames: list[Path], model: SparseModel, target: Path, advance: Advance) -> None:
    """Write a soft matte for each frame to `target`, with the help of the solved cameras.

    Deterministic. Raises CaptureError when too few points lie where the cameras look.
    """
    import cv2

    cluster = find(model)
    if cluster is None:
        raise CaptureError(
            "the classical segmenter finds no object where the cameras look: film it larger and from all sides, or "
            "give --mattes DIR, or choose --segmenter birefnet"
        )
    done = _Passes(len(frames), advance)
    views = _Views(frames, model, cluster, LONG_SIDES[0])
    mattes = done.each(views.from_points)
    for long_side in LONG_SIDES[1:]:
        hull = _hull(views.camera, model.poses, mattes, cluster)
        if not len(hull):
            raise CaptureError("the classical segmenter's frames disagree about the object; give --mattes DIR instead")
        views = _Views(frames, model, cluster, long_side)
        mattes = done.each(partial(views.from_hull, mattes, hull))
    for index, matte in enumerate(mattes):
        height, width = cv2.imread(str(frames[index])).shape[:2]
        soft = cv2.resize(cv2.GaussianBlur(matte * 255.0, (0, 0), SOFT_EDGE), (width, height))
        write_matte(target, index, np.round(soft).astype(np.uint8))


class _Passes:
    """Runs each pass over all frames by one thread a core, and tells how far all passes together are."""

    def __init__(self, count: int, advance: Advance) -> None:
        self.count, self.advance, self.done = count, advance, 0

    def each(self, matte_of: Callable[[int], np.ndarray]) -> np.ndarray:
        """`matte_of(0)`, `matte_of(1)`, ... stacked."""
        import cv2

        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)  # OpenCV's own would change nothing but the load
        try:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                return np.stack([self._tell(matte) for matte in pool.map(matte_of, range(self.count))])
        finally:
            cv2.setNumThreads(threads)

    def _tell(self, matte: np.ndarray) -> np.ndarray:
        self.done += 1
        self.advance(self.done, len(LONG_SIDES) * self.count)
        return matte


class _Views:
    """The frames at a working size, and what is known about each before its colours are looked at."""

    def __init__(self, frames: list[Path], model: SparseModel, cluster: Cluster, long_side: int) -> None:
        camera = model.camera
        shrink = long_side / max(camera.width, camera.height)
        self.size = (round(camera.width * shrink), round(camera.height * shrink))
        self.camera = camera.scaled(*self.size)
        self.frames, self.model, self.cluster, self.long_side = frames, model, cluster, long_side
        self.colours = self._shared_colours()

    def from_points(self, index: int) -> np.ndarray:
        """The object in a frame [H, W] uint8 0 or 1, from the projected points."""
        import cv2

        marks, others = self._marks(index)
        near = cv2.morphologyEx(marks, cv2.MORPH_CLOSE, _disc(CLOSING * self.long_side))
        hints = np.full(marks.shape, cv2.GC_PR_BGD, np.uint8)
        hints[near > 0] = cv2.GC_PR_FGD
        hints[self._box(index) == 0] = cv2.GC_BGD
        hints[(others > 0) & (near == 0)] = cv2.GC_BGD
        hints[marks > 0] = cv2.GC_FGD
        return self._cut(index, hints)

    def from_hull(self, rough: np.ndarray, hull: np.ndarray, index: int) -> np.ndarray:
        """The same from an earlier pass's mattes [N, *, *] and their hull [V, 3] (voxel centres)."""
        import cv2

        marks, others = self._marks(index)
        shadow = self._splat(hull, index, self._voxel_pixels(index, hull))
        slack = HULL_SLACK * self.long_side
        outer, inner = cv2.dilate(shadow, _disc(slack)), cv2.erode(shadow, _disc(2 * slack))
        hints = np.where(shadow > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
        before = cv2.resize(rough[index], self.size, interpolation=cv2.INTER_NEAREST)
        hints[(before == 0) & (inner == 0)] = cv2.GC_PR_BGD
        hints[outer == 0] = cv2.GC_BGD
        hints[(others > 0) & (shadow == 0)] = cv2.GC_BGD
        hints[(marks > 0) & (inner > 0)] = cv2.GC_FGD
        return self._cut(index, hints)

    def _marks(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of the object's points (all: it is in front of its own back), and of the others seen here."""
        model, cluster = self.model, self.cluster
        seen = model.views[model.views[:, 1] == index]
        seen = seen[cluster.others[seen[:, 0].astype(int)]]
        pixels = seen[:, 2:] * (self.size[0] / model.camera.width, self.size[1] / model.camera.height)
        radius = SEED_PIXELS * self.long_side
        return self._splat(model.points[cluster.mine], index, radius), self._draw(pixels, radius)

    def _splat(self, points: np.ndarray, index: int, radius: float) -> np.ndarray:
        pixels, depth = self.camera.project(points, self.model.poses[index])
        return self._draw(pixels[depth > 0], radius)

    def _draw(self, pixels: np.ndarray, radius: float) -> np.ndarray:
        import cv2

        canvas = np.zeros(self.size[::-1], np.uint8)
        column, row = np.floor(pixels).astype(int).T
        inside = (column >= 0) & (row >= 0) & (column < self.size[0]) & (row < self.size[1])
        canvas[row[inside], column[inside]] = 1
        return cv2.dilate(canvas, _disc(radius))

    def _box(self, index: int) -> np.ndarray:
        """Where the artefact's generous box lies in a frame, without the frame's outermost pixels."""
        import cv2

        corners = np.stack(np.meshgrid(*zip(self.cluster.low, self.cluster.high, strict=True)), -1).reshape(-1, 3)
        pixels, depth = self.camera.project(corners, self.model.poses[index])
        canvas = np.ones(self.size[::-1], np.uint8)
        if (depth > 0).all():
            outline = cv2.convexHull(pixels.round().astype(np.int32))
            canvas = cv2.fillConvexPoly(np.zeros(self.size[::-1], np.uint8), outline, 1)
        canvas[[0, -1]] = canvas[:, [0, -1]] = 0
        return canvas

    def _voxel_pixels(self, index: int, hull: np.ndarray) -> float:
        """Radius in pixels that closes the gaps between projected voxels."""
        edge = (self.cluster.high - self.cluster.low).max() / RESOLUTION
        depth = self.camera.project(hull.mean(0), self.model.poses[index])[1]
        return 0.6 * edge * max(self.camera.fx, self.camera.fy) / max(float(depth), edge)

    def _shared_colours(self) -> np.ndarray:
        """GrabCut's mixture of the object's colours, from the marks of frames all around."""
        import cv2

        chosen = np.unique(np.linspace(0, len(self.frames) - 1, COLOUR_FRAMES).round().astype(int))
        marks = np.concatenate([self._deep(self._marks(i)[0]) for i in chosen])
        pictures = np.concatenate([self._picture(i) for i in chosen])
        colours = np.zeros((1, 65))
        cv2.setRNGSeed(0)
        hints = np.where(marks > 0, cv2.GC_FGD, cv2.GC_BGD).astype(np.uint8)
        cv2.grabCut(pictures, hints, None, np.zeros((1, 65)), colours, 1, cv2.GC_INIT_WITH_MASK)
        return colours

    def _deep(self, marks: np.ndarray) -> np.ndarray:
        """The marks that lie well inside: those at the rim, and strays, show colours of the background."""
        import cv2

        near = cv2.morphologyEx(marks, cv2.MORPH_CLOSE, _disc(CLOSING * self.long_side))
        deep = marks & cv2.erode(near, _disc(DEPTH * self.long_side))
        return deep if deep.any() else marks

    def _picture(self, index: int) -> np.ndarray:
        import cv2

        return cv2.resize(cv2.imread(str(self.frames[index])), self.size, interpolation=cv2.INTER_AREA)

    def _cut(self, index: int, hints: np.ndarray) -> np.ndarray:
        """GrabCut with this frame's background colours and the clip's object colours; its largest connected piece."""
        import cv2

        rows, columns = (np.flatnonzero((hints != cv2.GC_BGD).any(axis)) for axis in (1, 0))
        if not (hints & 1).any():
            return np.zeros_like(hints)
        # The background's few mixture components are for what surrounds the object, not for the whole room
        margin = round(SURROUNDINGS * self.long_side)
        window = tuple(slice(max(0, x[0] - margin), x[-1] + margin + 1) for x in (rows, columns))
        picture, part = np.ascontiguousarray(self._picture(index)[window]), np.ascontiguousarray(hints[window])
        if not (part & 1).all():
            background = np.zeros((1, 65))
            cv2.setRNGSeed(0)  # of this thread
            cv2.grabCut(picture, part.copy(), None, background, np.zeros((1, 65)), 1, cv2.GC_INIT_WITH_MASK)
            cv2.grabCut(picture, part, None, background, self.colours.copy(), 1, cv2.GC_EVAL_FREEZE_MODEL)
        hints[window] = part
        count, pieces, sizes, _ = cv2.connectedComponentsWithStats(hints & 1)
        if count < 2:
            return np.zeros_like(hints)
        return (pieces == 1 + sizes[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8)


def _disc(radius: float) -> np.ndarray:
    import cv2

    side = 2 * round(radius) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def _hull(camera: Intrinsics, poses: np.ndarray, rough: np.ndarray, cluster: Cluster) -> np.ndarray:
    """Centres [V, 3] of the voxels that nearly all rough mattes contain, above the support."""
    from scipy.ndimage import label

    size = float((cluster.high - cluster.low).max())
    lower = (cluster.high + cluster.low) / 2 - size / 2
    kept = carve(camera, poses, rough * np.uint8(255), RESOLUTION, lower, size, margin_pixels=0.7, tolerance=TOLERANCE)
    pieces, count = label(kept)
    if count:  # voxels that hardly any frame sees survive carving too
        kept = pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
    centres = lower + (np.argwhere(kept) + 0.5) * (size / RESOLUTION)
    return centres[cluster.above(centres)]
