"""Carving against silhouettes that are known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from nerfsem_method.hull import carve, dilate
from nerfsem_method.scene import Intrinsics

CAMERA = Intrinsics(60, 80, 90.0, 90.0, 30.0, 40.0)
RADIUS = 0.3


def looking_at(centre: np.ndarray, target: np.ndarray) -> np.ndarray:
    """cam_from_world [3, 4] of an upright camera, z up in the world."""
    forward = (target - centre) / np.linalg.norm(target - centre)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return np.column_stack([rotation, -rotation @ centre])


def ring(count: int = 16, distance: float = 2.0) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    heights = 0.4 * np.cos(3 * turn)
    return np.stack([
        looking_at(np.array([distance * np.cos(a), distance * np.sin(a), h]), np.zeros(3))
        for a, h in zip(turn, heights, strict=True)
    ])  # fmt: skip


def sphere_mattes(camera: Intrinsics, poses: np.ndarray) -> np.ndarray:
    """Silhouettes [N, H, W] of the sphere of RADIUS around the origin."""
    columns, rows = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = camera.pixel_directions(np.stack([columns, rows], -1))
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    closest = [np.linalg.norm(np.cross(rays, pose[:, 3]), axis=-1) for pose in poses]
    return np.where(np.stack(closest) < RADIUS, 255, 0).astype(np.uint8)


def voxel_radii(resolution: int) -> np.ndarray:
    axis = (np.arange(resolution) + 0.5) / resolution - 0.5
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    return np.sqrt(x * x + y * y + z * z)


@pytest.mark.parametrize("k1", [0.0, -0.3])
def test_a_sphere_is_found_where_it_is(k1: float) -> None:
    camera = Intrinsics(60, 80, 90.0, 90.0, 30.0, 40.0, k1=k1)
    poses = ring()
    hull = carve(camera, poses, sphere_mattes(camera, poses), 32, np.full(3, -0.5), 1.0)
    radii = voxel_radii(32)
    assert hull[radii < RADIUS].all()
    assert not hull[radii > RADIUS + 0.12].any()


def test_the_axes_are_x_y_z() -> None:
    poses = ring()
    hull = carve(CAMERA, poses, sphere_mattes(CAMERA, poses), 20, np.array([0.0, -0.5, -0.5]), 1.0)
    occupied = np.argwhere(hull)
    assert occupied[:, 0].max() < 9  # the box starts at the sphere's centre in x alone
    assert occupied[:, 1].min() < 6 < 13 < occupied[:, 1].max()


def test_a_bad_matte_is_outvoted_up_to_the_tolerance() -> None:
    poses = ring()
    mattes = sphere_mattes(CAMERA, poses)
    mattes[3] = 0
    assert not carve(CAMERA, poses, mattes, 16, np.full(3, -0.5), 1.0, tolerance=0.05).any()
    assert carve(CAMERA, poses, mattes, 16, np.full(3, -0.5), 1.0, tolerance=0.07).any()


def test_what_too_few_views_see_is_not_kept() -> None:
    poses = ring()
    everything = np.full((len(poses), 80, 60), 255, np.uint8)
    hull = carve(CAMERA, poses, everything, 8, np.array([40.0, 40.0, 40.0]), 1.0)
    assert not hull.any()


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
        carve(CAMERA, ring(4), np.zeros((4, 10, 10), np.uint8), 8, np.zeros(3), 1.0)
