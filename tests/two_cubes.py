"""Two textured cubes stand side by side in a hall; from some sides one hides a part of the other, and what is seen is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.study.clips import FOCAL, HALL, PAIR, SIZE, Box, draw, orbit
from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.scene.camera import Intrinsics, camera_centres

FACE_POINTS, HALL_POINTS = 150, 1200
"""So many points lie on each face of a cube, and on the hall's walls."""


def write_views(folder: Path, count: int, shrink: int = 1, boxes: list[Box] = PAIR) -> tuple[list[Path], SparseModel, np.ndarray]:
    """Write `count` frames into `folder`; return their paths, what COLMAP would find, and the box [N, H, W] that a pixel shows.

    Boxes are numbered from 0; the hall is -1.
    """
    size = SIZE[0] // shrink, SIZE[1] // shrink
    full = Intrinsics(*SIZE, FOCAL, FOCAL, SIZE[0] / 2, SIZE[1] / 2)
    camera, poses = full.scaled(*size), np.stack(orbit(count))
    paths = []
    for index, picture in enumerate(draw(list(poses), boxes, HALL)):
        paths.append(folder / f"{index:06d}.png")
        Image.fromarray(picture).resize(size, Image.Resampling.BOX).save(paths[-1])
    shown = [first_hits(camera, pose, boxes)[0] for pose in poses]
    return paths, _triangulated(camera, poses, boxes), np.stack(shown)


def first_hits(camera: Intrinsics, pose: np.ndarray, boxes: list[Box]) -> tuple[np.ndarray, np.ndarray]:
    """Return which box each pixel shows, -1 for none, and its depth; both [H, W]."""
    columns, rows = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = camera.pixel_directions(np.stack([columns, rows], -1)).reshape(-1, 3)
    first, depth = _first_hit(pose, rays, boxes)
    return first.reshape(rows.shape), depth.reshape(rows.shape)


def _first_hit(pose: np.ndarray, rays: np.ndarray, boxes: list[Box]) -> tuple[np.ndarray, np.ndarray]:
    """Return which box each ray [R, 3] in camera axes meets first, -1 for none, and how far along it [R]."""
    eye = camera_centres(pose[None])[0]
    ahead = rays @ pose[:, :3]
    first, depth = np.full(len(rays), -1), np.full(len(rays), np.inf)
    for number, box in enumerate(boxes):
        with np.errstate(divide="ignore"):
            sides = (np.array(box.centre) + box.edge / 2 * np.array([[-1], [1]]) - eye)[:, None] / ahead
        enter, leave = sides.min(0).max(1), sides.max(0).min(1)
        nearer = (enter < leave) & (enter > 0) & (enter < depth)
        first[nearer], depth[nearer] = number, enter[nearer]
    return first, depth


def _triangulated(camera: Intrinsics, poses: np.ndarray, boxes: list[Box]) -> SparseModel:
    """Return a model with points on the boxes and walls, seen where nothing hides them."""
    rng = np.random.default_rng(0)
    points = [_on_surface(box, 6 * FACE_POINTS, rng) for box in boxes] + [_on_surface(HALL, HALL_POINTS, rng)]
    points, views = np.concatenate(points), []
    for index, pose in enumerate(poses):
        pixels, depth = camera.project(points, pose)
        rays = (points - camera_centres(pose[None])[0]) @ pose[:, :3].T
        free = (_first_hit(pose, rays, boxes)[1] > 0.99) & (depth > 0)
        seen = np.flatnonzero(free & (pixels >= 0).all(1) & (pixels < (camera.width, camera.height)).all(1))
        views.append(np.column_stack([seen, np.full(len(seen), index), pixels[seen]]))
    return SparseModel(
        camera, poses, np.ones(len(poses), bool), points, np.zeros((len(points), 3), np.uint8), np.concatenate(views), 0.5, 3
    )


def _on_surface(box: Box, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return points [count, 3] on the faces of a box."""
    points = rng.uniform(-1, 1, (count, 3))
    points[np.arange(count), rng.integers(0, 3, count)] = rng.choice([-1, 1], count)
    return np.array(box.centre) + box.edge / 2 * points
