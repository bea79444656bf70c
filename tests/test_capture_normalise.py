"""The object's box becomes the unit cube, z up, whatever COLMAP's units were."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from sphere_views import CAMERA, RADIUS, looking_at, mattes_of, ring, sphere_mattes

from nerfsem_method.capture.cameras.normalise import Similarity, unit_box, upright
from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.errors import CaptureError
from nerfsem_method.scene.camera import FrameCameras, camera_centres

COLMAP_WORLD = Similarity(3.7, Rotation.from_rotvec([0.9, -0.4, 2.0]).as_matrix(), np.array([4.0, -2.0, 9.0]))
NO_POINTS = np.empty((0, 3))


def from_above(count: int, turn: float, height: float = 0.8) -> np.ndarray:
    """Return cam_from_world [count, 3, 4] of cameras so far above the origin, on an arc around it."""
    centres = [np.array([2 * np.cos(a), 2 * np.sin(a), height]) for a in np.linspace(0, turn, count, endpoint=False)]
    return np.stack([looking_at(centre, np.zeros(3)) for centre in centres])


def test_a_similarity_moves_points_and_cameras_together() -> None:
    poses = ring()
    points = np.random.default_rng(0).uniform(-0.3, 0.3, (30, 3))
    for old, new in zip(poses, COLMAP_WORLD.poses(poses), strict=True):
        before, depth = CAMERA.project(points, old)
        after, new_depth = CAMERA.project(COLMAP_WORLD.points(points), new)
        assert np.allclose(before, after)
        assert np.allclose(new_depth, 3.7 * depth)
        assert np.allclose(new[:, :3] @ new[:, :3].T, np.eye(3))


@pytest.mark.parametrize("zooms", [None, np.tile([1.0, 0.5, 1.0, 1.4], 4)])
@pytest.mark.parametrize("with_points", [True, False])
def test_the_object_fills_the_unit_cube_whatever_the_world_was(with_points: bool, zooms: np.ndarray | None) -> None:
    cameras = FrameCameras(CAMERA, ring(), zooms)
    elsewhere = COLMAP_WORLD.cameras(cameras)
    surface = np.random.default_rng(0).normal(size=(50, 3))
    surface *= RADIUS / np.linalg.norm(surface, axis=1, keepdims=True)
    points = COLMAP_WORLD.points(surface) if with_points else NO_POINTS
    units = unit_box(elsewhere, mattes_of(cameras), points)
    middle = units.points(COLMAP_WORLD.points(np.zeros((1, 3))))[0]
    radius = units.scale * COLMAP_WORLD.scale * RADIUS
    assert np.abs(middle - 0.5).max() < 0.03
    assert 0.38 < radius < 0.485  # a border of 3 %, and half a voxel and a pixel of caution, lie around it
    up = units.points(COLMAP_WORLD.points(np.array([[0, 0, 0.1]])))[0] - middle
    assert up[2] > 0.98 * np.linalg.norm(up)
    assert (camera_centres(units.cameras(elsewhere).poses).min(0) < 0).any()


def test_upright_survives_cameras_that_are_upside_down() -> None:
    poses = ring()
    poses = np.concatenate([poses[:, :, :3] @ np.diag([1.0, -1.0, -1.0]), poses[:, :, 3:]], -1)
    turned = upright(poses) @ -poses[:, 1, :3].mean(0)
    assert turned[2] > 0 and np.abs(turned[:2]).max() < 1e-4


@pytest.mark.parametrize("quarters", [0, 1, 3])
def test_pictures_that_lie_on_their_side_are_set_upright(quarters: int) -> None:
    above = from_above(20, 2 * np.pi)
    turned = Rotation.from_rotvec([0, 0, quarters * np.pi / 2]).as_matrix() @ above
    assert (upright(COLMAP_WORLD.poses(turned)) @ COLMAP_WORLD.rotation @ [0, 0, 1])[2] > 0.99


def test_a_level_turn_that_lies_on_its_side_says_where_the_axis_is() -> None:
    """Which of its two ends is up nothing tells, for the camera looks down as little as up."""
    centres = [np.array([np.cos(a), np.sin(a), 0]) for a in np.linspace(0, 2 * np.pi, 4, endpoint=False)]
    turned = [Rotation.from_rotvec([0, 0, np.pi / 2]).as_matrix() @ looking_at(centre, np.zeros(3)) for centre in centres]
    assert abs(upright(np.stack(turned))[2, 2]) > 0.99


@pytest.mark.parametrize("first", [0, 4, 14])
def test_a_camera_that_is_turned_meanwhile_leaves_up_where_it_was(first: int) -> None:
    above = from_above(20, 2 * np.pi)
    turned = Rotation.from_rotvec([0, 0, np.pi / 2]).as_matrix() @ above
    turned[:first] = above[:first]
    assert (upright(COLMAP_WORLD.poses(turned)) @ COLMAP_WORLD.rotation @ [0, 0, 1])[2] > 0.99
    assert (upright(COLMAP_WORLD.poses(turned[::-1])) @ COLMAP_WORLD.rotation @ [0, 0, 1])[2] > 0.99


@pytest.mark.parametrize("seed", range(3))
def test_steep_views_that_lie_on_their_side_do_not_turn_the_rest_over(seed: int) -> None:
    """Looked at from high above, neither rows nor columns of a picture lie along the axis, and say nothing of it."""
    rng = np.random.default_rng(seed)
    steep = np.concatenate([from_above(20, 2 * np.pi), from_above(10, 2 * np.pi, 2.2)])
    jitter = Rotation.from_rotvec(rng.normal(0, 0.03, (len(steep), 3))).as_matrix()
    turned = jitter @ Rotation.from_rotvec([0, 0, np.pi / 2]).as_matrix() @ steep
    assert (upright(COLMAP_WORLD.poses(turned)) @ COLMAP_WORLD.rotation @ [0, 0, 1])[2] > 0.9


def test_a_quarter_turn_over_an_object_is_none_around_it() -> None:
    turned = Rotation.from_rotvec([0, 0, np.pi / 2]).as_matrix() @ from_above(20, np.pi / 2)
    up = -turned[:, 1].mean(0)[:3]
    assert (upright(turned) @ up)[2] == pytest.approx(np.linalg.norm(up))


def test_mattes_of_another_video_are_recognised() -> None:
    poses = ring()
    mattes = np.zeros((len(poses), 80, 60), np.uint8)
    for index, matte in enumerate(mattes):  # the mattes show a patch that jumps from corner to corner
        y, x = [(0, 0), (60, 0), (0, 45), (60, 45)][index % 4]
        matte[y : y + 20, x : x + 15] = 255
    with pytest.raises(CaptureError, match="cameras and the mattes disagree"):
        unit_box(FrameCameras(CAMERA, poses), mattes, NO_POINTS)


def test_a_string_of_one_pixel_is_in_the_cube() -> None:
    """Of large mattes the hull is carved on smaller ones, in which such a line would be a faint shade."""
    poses, camera = ring(), CAMERA.scaled(20 * CAMERA.width, 20 * CAMERA.height)
    mattes = sphere_mattes(CAMERA, poses).repeat(20, 1).repeat(20, 2)
    ends = np.array([[0, 0, 0], [0, 0, 2 * RADIUS]])
    for matte, pose in zip(mattes, poses, strict=True):
        begin, end = camera.project(ends, pose)[0]
        steps = np.linspace(begin, end, 4000).astype(int)
        matte[steps[:, 1], steps[:, 0]] = 255
    units = unit_box(FrameCameras(camera, poses), mattes, NO_POINTS)
    tip, bottom = units.points(np.array([ends[1], [0, 0, -RADIUS]]))[:, 2]
    assert 0 < bottom < 0.1 and 0.9 < tip < 1


@pytest.mark.parametrize("arc", [60, 120, 240])
@pytest.mark.parametrize("turned", [(), (3, 7, 16, 17, 18, 19)])
def test_up_is_across_the_rows_of_a_turn_that_stays_open(arc: int, turned: tuple[int, ...]) -> None:
    """The mean of what is above in each picture leans towards the middle of the arc, by up to 40 degrees."""
    poses = COLMAP_WORLD.poses(from_above(20, np.radians(arc)))
    poses = Rotation.from_rotvec([0, 0, 0.03]).as_matrix() @ poses  # No hand is quite level.
    poses[list(turned)] = Rotation.from_rotvec([0, 0, -np.pi / 2]).as_matrix() @ poses[list(turned)]
    nothing = np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros((0, 4))
    model = SparseModel(CAMERA, poses, np.ones(20, bool), *nothing, 0.4, 0, turned=turned)
    assert (upright(model.taken) @ COLMAP_WORLD.rotation @ [0, 0, 1])[2] > 0.99
    chosen = np.arange(20) > 3
    np.testing.assert_array_equal(model.of_frames(chosen).taken, model.taken[chosen])


def test_a_camera_that_is_held_askew_for_a_while_tilts_nothing() -> None:
    poses = COLMAP_WORLD.poses(from_above(20, np.radians(150)))
    poses[:3] = Rotation.from_rotvec([0, 0, 0.6]).as_matrix() @ poses[:3]
    assert (upright(poses) @ COLMAP_WORLD.rotation @ [0, 0, 1])[2] > 0.9995
