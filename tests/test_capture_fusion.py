"""One body is found from evidence in all views: dissenting views are outvoted, gaps in the evidence wear nothing off."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sphere_views import CAMERA, RADIUS, mattes_of, ring, sphere_mattes

from nerfsem_method.capture.mattes.fusion import BLOCK, MANY, Grid, _gather, _thickness, fuse, shadows
from nerfsem_method.scene.camera import FrameCameras, Intrinsics
from nerfsem_method.scene.hull import pixel_of

POSES = ring()
GRID = Grid.over(np.full(3, -0.5), np.full(3, 0.5), 32)
SEEN = GRID.cameras_for(FrameCameras(CAMERA, POSES))
SMALL = SEEN.camera
COLUMNS, ROWS = np.meshgrid(np.arange(SMALL.width) + 0.5, np.arange(SMALL.height) + 0.5)


def sphere_odds() -> np.ndarray:
    """Return the evidence of frames that all show the sphere."""
    return np.where(sphere_mattes(SMALL, POSES) > 0, 3.0, -3.0).astype(np.float32)


def found(odds: np.ndarray) -> np.ndarray:
    """Return the shadows of the body that this evidence gives."""
    density = fuse(GRID, np.ones(GRID.shape, bool), SEEN, odds)
    return shadows(GRID, density, SEEN)


def test_a_voxel_covers_no_more_than_a_pixel() -> None:
    nearest = 2.0 - RADIUS
    assert SMALL.fx * GRID.edge / nearest <= 1.0
    assert SMALL.width < CAMERA.width


def test_the_sphere_is_found() -> None:
    odds = sphere_odds()
    ours = found(odds) > 0.5
    overlap = (ours & (odds > 0)).sum((1, 2)) / (ours | (odds > 0)).sum((1, 2))
    assert overlap.min() > 0.9


def test_the_sphere_is_found_by_several_lenses() -> None:
    seen = FrameCameras(SMALL, POSES, np.tile([1.0, 0.5, 1.0, 2.5], 4))
    odds = np.where(mattes_of(seen) > 0, 3.0, -3.0).astype(np.float32)
    ours = shadows(GRID, fuse(GRID, np.ones(GRID.shape, bool), seen, odds), seen) > 0.5
    overlap = (ours & (odds > 0)).sum((1, 2)) / (ours | (odds > 0)).sum((1, 2))
    assert overlap.min() > 0.87


@pytest.mark.parametrize("zoom", [1.0, 2.2, 5.0])
def test_a_close_view_has_no_gaps_between_voxels(zoom: float) -> None:
    seen = FrameCameras(SMALL, POSES, np.full(len(POSES), zoom))
    shadow = shadows(GRID, np.ones(GRID.shape, np.float32), seen)
    assert (shadow[:, SMALL.height // 4 : -SMALL.height // 4, SMALL.width // 4 : -SMALL.width // 4] > 0.5).mean() > 0.99


@pytest.mark.parametrize("mute", [0, 1])
def test_many_views_are_looked_at_in_turns(mute: int) -> None:
    """Every second view says nothing, so that whoever left out the others would find nothing."""
    poses = ring(MANY)
    true = sphere_mattes(SMALL, poses) > 0
    odds = np.where(true, 3.0, -3.0).astype(np.float32)
    odds[mute::2] = 0.0
    seen = FrameCameras(SMALL, poses)
    ours = shadows(GRID, fuse(GRID, np.ones(GRID.shape, bool), seen, odds), seen) > 0.5
    assert ((ours & true).sum((1, 2)) / (ours | true).sum((1, 2))).min() > 0.85


def test_what_two_views_take_for_the_object_is_voted_out() -> None:
    odds, true = sphere_odds(), sphere_odds()
    for view in (4, 5):
        beside = (np.abs(ROWS - SMALL.cy) < 3) & (SMALL.cx < COLUMNS)
        odds[view][beside] = 3.0
    ours = found(odds)
    for view in (4, 5):
        assert ours[view][(odds[view] > 0) & (true[view] < 0)].mean() < 0.25
        assert ours[view][true[view] > 0].mean() > 0.85


def test_a_slab_along_flat_sides_goes_although_few_views_speak_against_it() -> None:
    """Around a box lies a slab of colours that are hardly told from its own; less of it is left where the body is flat."""
    half, slab = np.array([0.25, 0.25, 0.4]), np.array([0.09, 0.09, 0.0])
    box, wider = boxes(half), boxes(half + slab)
    odds = np.where(box, 3.0, np.where(wider, -0.2, -3.0)).astype(np.float32)
    left = []
    for flat in (False, True):
        density = fuse(GRID, np.ones(GRID.shape, bool), SEEN, odds, flat)
        ours = shadows(GRID, density, SEEN) > 0.5
        assert ours[box].mean() > 0.99
        left.append((ours & ~box).sum() / box.sum())
    assert left[1] < 0.13 and left[1] + 0.01 < left[0] < 0.2 < (wider & ~box).sum() / box.sum()


def boxes(half: np.ndarray) -> np.ndarray:
    """Return the silhouettes [N, H, W] bool of a box around the origin, of half the extents `half` [3]."""
    corners = half * (2 * np.indices((2, 2, 2)).reshape(3, -1).T - 1)
    silhouettes = np.zeros((len(POSES), SMALL.height, SMALL.width), np.uint8)
    for pose, silhouette in zip(POSES, silhouettes, strict=True):
        outline = cv2.convexHull(SMALL.project(corners, pose)[0].round().astype(np.int32))
        cv2.fillConvexPoly(silhouette, outline, (1,))
    return silhouettes > 0


def test_colours_that_go_wrong_within_the_outline_wear_nothing_off() -> None:
    odds = sphere_odds()
    inside = np.hypot(COLUMNS - SMALL.cx, ROWS - SMALL.cy) < 2.5
    odds[3:7, inside] = -3.0
    assert (found(odds)[3:7, inside] > 0.5).all()


def test_where_nothing_is_seen_there_is_nothing() -> None:
    odds = np.full((len(POSES), SMALL.height, SMALL.width), -3.0, np.float32)
    assert not fuse(GRID, np.ones(GRID.shape, bool), SEEN, odds).any()


def test_only_candidates_are_filled() -> None:
    upper = GRID.centres(np.indices(GRID.shape).reshape(3, -1).T)[:, 2].reshape(GRID.shape) > 0
    density = fuse(GRID, upper, SEEN, sphere_odds())
    assert density[upper].any() and not density[~upper].any()


@pytest.mark.parametrize("along", [10, 40])
def test_values_are_carried_over_to_another_grid(along: int) -> None:
    box = np.zeros(3), np.array([1.0, 0.5, 0.7])
    coarse, fine = Grid.over(*box, 20), Grid.over(*box, along)
    left = coarse.centres(np.indices(coarse.shape).reshape(3, -1).T)[:, 0].reshape(coarse.shape) < 0.5
    ours = fine.resample(left, coarse)
    assert ours.shape == fine.shape
    expected = fine.centres(np.indices(fine.shape).reshape(3, -1).T)[:, 0].reshape(fine.shape) < 0.5
    np.testing.assert_array_equal(ours, expected)


def test_the_shadow_is_soft_and_between_0_and_1() -> None:
    camera = Intrinsics(SMALL.width, SMALL.height, SMALL.fx, SMALL.fy, SMALL.cx, SMALL.cy, k1=-0.1)
    shadow = shadows(GRID, np.full(GRID.shape, 0.05, np.float32), FrameCameras(camera, POSES))
    assert shadow.min() >= 0 and 0.5 < shadow.max() <= 1
    assert len(np.unique(shadow)) > 10


@pytest.mark.parametrize(("away", "zooms"), [(0.0, None), (1e6, None), (0.0, np.tile([1.0, 0.5, 1.05, 1.3], 4))])
def test_a_voxel_throws_its_shadow_where_the_camera_sees_it(away: float, zooms: np.ndarray | None) -> None:
    """However far the origin is, and whichever lens sees it."""
    camera = Intrinsics(60, 80, 55.0, 57.0, 28.0, 43.0, k1=-0.2, k2=0.05, p1=0.01, p2=-0.02)
    origin = np.array([away, -away, 0.0])
    grid, poses = Grid.over(origin - 0.5, origin + 0.5, 32), POSES.copy()
    poses[:, :, 3] -= poses[:, :, :3] @ origin
    density = np.zeros(grid.shape, np.float32)
    cell = np.array([28, 9, 21])
    density[tuple(cell)] = 0.01
    cameras = FrameCameras(camera, poses, zooms)
    shadow = shadows(grid, density, cameras)
    rows, columns = np.indices(shadow.shape[1:]) + 0.5
    for index, mine in enumerate(shadow.astype(np.float64)):
        (u, v), depth = cameras.project(grid.centres(cell[None])[0], index)
        np.testing.assert_allclose([(mine * columns).sum(), (mine * rows).sum()], np.array([u, v]) * mine.sum(), rtol=2e-3)
        area = cameras.params[index, 0] * cameras.params[index, 1] * (grid.edge / depth) ** 2
        np.testing.assert_allclose(-np.log1p(-mine).sum(), 0.01 * area, rtol=1e-3)


def test_voxels_are_projected_as_everywhere_else() -> None:
    """Strong distortion folds back, and cameras amid the points have many behind them: what `pixel_of` refuses is not seen."""
    camera = Intrinsics(60, 80, 55.0, 57.0, 28.0, 43.0, k1=-1.5, k2=0.6, p1=0.01)
    points = np.random.default_rng(4).uniform(-1.5, 1.5, (2 * BLOCK + 77, 3))
    inside = POSES.copy()
    inside[:, :, 3] *= 0.3
    rows, columns = np.indices((80, 60)) + 0.5
    for pose in (*POSES[:3], *inside[:3]):
        seen = np.array([pixel_of(point[0], point[1], point[2], pose, np.array(camera.params), 60, 80) for point in points])
        heard = _gather(points, FrameCameras(camera, pose[None]), (columns * 100 + rows)[None].astype(np.float32))
        inner = (seen[:, 2] > 0) & (abs(seen[:, 0] - 30) < 29) & (abs(seen[:, 1] - 40) < 39)
        assert inner.any() and (seen[:, 2] == 0).any()
        np.testing.assert_allclose(heard[inner], seen[inner, 0] * 100 + seen[inner, 1], rtol=1e-4)
        assert not heard[seen[:, 2] == 0].any()


def test_what_lies_behind_the_camera_on_its_axis_is_not_seen() -> None:
    pose, points = np.eye(3, 4)[None], np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]])
    heard = _gather(points, FrameCameras(SMALL, pose), np.ones((1, SMALL.height, SMALL.width), np.float32))
    assert heard.tolist() == [0.0, 1.0]


def test_a_shadow_is_the_sum_of_its_voxels() -> None:
    cells = np.argwhere(np.ones(GRID.shape, bool))[::29]
    points, mass = GRID.centres(cells), np.random.default_rng(5).random(len(cells)).astype(np.float32)
    together = _thickness(points, mass, SEEN.of(slice(2)), GRID.edge)
    alone = [_thickness(points[i : i + 1], mass[i : i + 1], SEEN.of(slice(2)), GRID.edge) for i in range(len(cells))]
    assert len(cells) > 2 * BLOCK
    np.testing.assert_allclose(together, np.sum(alone, 0), rtol=1e-4, atol=1e-5)
