"""Carving finds a sphere whose silhouettes are known exactly."""

from __future__ import annotations

import numpy as np
import pytest
from sphere_views import CAMERA, RADIUS, mattes_of, ring, sphere_mattes

from nerfsem_method.scene.camera import FrameCameras, Intrinsics
from nerfsem_method.scene.hull import carve, dilate


def voxel_radii(resolution: int) -> np.ndarray:
    axis = (np.arange(resolution) + 0.5) / resolution - 0.5
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    return np.sqrt(x * x + y * y + z * z)


@pytest.mark.parametrize("k1", [0.0, -0.3])
def test_a_sphere_is_found_where_it_is(k1: float) -> None:
    camera = Intrinsics(60, 80, 90.0, 90.0, 30.0, 40.0, k1=k1)
    poses = ring()
    hull = carve(FrameCameras(camera, poses), sphere_mattes(camera, poses), 32, np.full(3, -0.5), 1.0)
    radii = voxel_radii(32)
    assert hull[radii < RADIUS].all()
    assert not hull[radii > RADIUS + 0.12].any()


def test_frames_of_several_lenses_show_one_sphere() -> None:
    cameras = FrameCameras(CAMERA, ring(), np.tile([1.0, 0.5, 1.4, 2.5], 4))
    hull, radii = carve(cameras, mattes_of(cameras), 32, np.full(3, -0.5), 1.0), voxel_radii(32)
    assert hull[radii < RADIUS].all()
    assert not hull[radii > RADIUS + 0.12].any()


def test_the_axes_are_x_y_z() -> None:
    poses = ring()
    hull = carve(FrameCameras(CAMERA, poses), sphere_mattes(CAMERA, poses), 20, np.array([0.0, -0.5, -0.5]), 1.0)
    occupied = np.argwhere(hull)
    assert occupied[:, 0].max() < 9  # the box starts at the sphere's centre in x alone
    assert occupied[:, 1].min() < 6 < 13 < occupied[:, 1].max()


def test_a_bad_matte_is_outvoted_up_to_the_tolerance() -> None:
    poses = ring()
    mattes = sphere_mattes(CAMERA, poses)
    mattes[3] = 0
    assert not carve(FrameCameras(CAMERA, poses), mattes, 16, np.full(3, -0.5), 1.0, tolerance=0.05).any()
    assert carve(FrameCameras(CAMERA, poses), mattes, 16, np.full(3, -0.5), 1.0, tolerance=0.07).any()


def half_turned(poses: np.ndarray, seeing: int) -> np.ndarray:
    """Return the poses with all cameras but the first `seeing` turned away."""
    turned = poses.copy()
    turned[seeing:] = np.diag([-1.0, 1.0, -1.0]) @ poses[seeing:]
    return turned


def test_what_too_few_views_see_is_not_kept() -> None:
    poses = ring()
    everything = np.full((len(poses), 80, 60), 255, np.uint8)
    for seeing in (0, 2, 3):
        cameras = FrameCameras(CAMERA, half_turned(poses, seeing))
        assert carve(cameras, everything, 8, np.full(3, -0.2), 0.4).any() == (seeing == 3)


def test_the_tolerance_is_a_share_of_the_views_that_see_a_voxel() -> None:
    poses = half_turned(ring(), 4)
    mattes = np.full((len(poses), 80, 60), 255, np.uint8)
    for missed, kept in ((1, True), (2, False)):
        mattes[:missed] = 0
        assert carve(FrameCameras(CAMERA, poses), mattes, 8, np.full(3, -0.2), 0.4, tolerance=0.3).any() == kept


def test_the_margin_is_a_disc() -> None:
    matte = np.zeros((1, 21, 21), np.uint8)
    matte[0, 10, 10] = 255
    rows, columns = np.mgrid[:21, :21] - 10
    assert np.array_equal(dilate(matte, 4.0)[0], rows**2 + columns**2 <= 16)


def test_the_margin_stays_inside_the_frame() -> None:
    matte = np.zeros((1, 5, 7), np.uint8)
    matte[0, 0, 6] = matte[0, 4, 0] = 200
    grown = dilate(matte, 2.0)[0]
    assert grown[0, 4] and grown[2, 6] and grown[4, 2] and not grown[2, 3]


def test_mattes_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        carve(FrameCameras(CAMERA, ring(4)), np.zeros((4, 10, 10), np.uint8), 8, np.zeros(3), 1.0)
