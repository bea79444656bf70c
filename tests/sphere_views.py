"""A ring of cameras sees a sphere, whose silhouettes are known exactly."""

from __future__ import annotations

import numpy as np

from nerfsem_method.scene.camera import FrameCameras, Intrinsics

CAMERA = Intrinsics(60, 80, 90.0, 90.0, 30.0, 40.0)
RADIUS = 0.3


def looking_at(centre: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return cam_from_world [3, 4] of an upright camera, z up in the world."""
    forward = (target - centre) / np.linalg.norm(target - centre)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return np.column_stack([rotation, -rotation @ centre])


def ring(count: int = 16, distance: float = 2.0) -> np.ndarray:
    """Return cam_from_world [count, 3, 4] of cameras around the origin, at three heights in turn."""
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    heights = 0.4 * np.cos(3 * turn)
    return np.stack([
        looking_at(np.array([distance * np.cos(a), distance * np.sin(a), h]), np.zeros(3))
        for a, h in zip(turn, heights, strict=True)
    ])  # fmt: skip


def sphere_mattes(camera: Intrinsics, poses: np.ndarray) -> np.ndarray:
    """Return the silhouettes [N, H, W] uint8 of the sphere of RADIUS around the origin."""
    columns, rows = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = camera.pixel_directions(np.stack([columns, rows], -1))
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    closest = [np.linalg.norm(np.cross(rays, pose[:, 3]), axis=-1) for pose in poses]
    return np.where(np.stack(closest) < RADIUS, 255, 0).astype(np.uint8)


def mattes_of(cameras: FrameCameras) -> np.ndarray:
    """Return the sphere's silhouettes [N, H, W] uint8 as frames of several lenses show it."""
    frames = range(len(cameras.poses))
    return np.concatenate([sphere_mattes(cameras.camera_of(index), cameras.poses[index : index + 1]) for index in frames])
