"""Models of COLMAP are made here without pictures: a ring of cameras sees points on a ball and on the walls around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pycolmap
from sphere_views import ring

WIDTH, HEIGHT, FOCAL = 270, 480, 560.0
BALL, WALLS = 0.5, 6.0
"""The ball's radius, and that of the walls; cameras stand two units from the middle."""


def drawn(
    focal_lengths: Sequence[float], islands: Sequence[int] = (), seed: int = 0, wide: float = 1.0, fisheye: bool = False
) -> pycolmap.Reconstruction:
    """Return the model of frames that were taken with these focal lengths, which says that all had their mean.

    The frames `islands` see points of their own alone; pictures are stretched to so many times their width. A `fisheye` shows
    points as far from the middle as their angle is wide.
    """
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(1200, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = directions * np.where(np.arange(len(directions)) < 600, BALL, WALLS)[:, None]
    model = pycolmap.Reconstruction()
    params = [float(np.mean(focal_lengths)), WIDTH / 2, HEIGHT / 2, 0.0]
    size = {"width": WIDTH, "height": HEIGHT}
    model.add_camera_with_trivial_rig(pycolmap.Camera(camera_id=1, model="SIMPLE_RADIAL", params=params, **size))
    tracks: dict[tuple[int, bool], list[tuple[int, int]]] = {}
    for frame, (pose, focal) in enumerate(zip(ring(len(focal_lengths)), focal_lengths, strict=True)):
        local = points @ pose[:, :3].T + pose[:, 3]
        beside = np.linalg.norm(local[:, :2], axis=1, keepdims=True)
        reach = np.arctan2(beside, local[:, 2:]) / beside if fisheye else 1 / local[:, 2:]
        pixels = focal * local[:, :2] * reach * (wide, 1) + (WIDTH / 2, HEIGHT / 2)
        inside = (local[:, 2] > 0) & (pixels > 0).all(1) & (pixels < (WIDTH, HEIGHT)).all(1)
        centre = -pose[:, :3].T @ pose[:, 3]
        faces = ((centre - points) * directions).sum(1) * np.where(np.arange(len(points)) < 600, 1, -1) > 0
        seen = np.flatnonzero(inside & faces)
        keypoints = pixels[seen] + rng.normal(0, 0.2, (len(seen), 2))
        image = pycolmap.Image(name=name(frame), keypoints=keypoints, camera_id=1, image_id=frame + 1)
        at = pycolmap.Rigid3d(pycolmap.Rotation3d(pose[:, :3]), pose[:, 3])
        model.add_image_with_trivial_frame(image, at)
        for index, point in enumerate(seen.tolist()):
            tracks.setdefault((point, frame in islands), []).append((frame + 1, index))
    for (point, _), sightings in sorted(tracks.items()):
        track = pycolmap.Track()
        for sighting in sightings:
            track.add_element(*sighting)
        model.add_point3D(points[point], track)
    return model


def name(frame: int) -> str:
    """Return the name of a frame's file."""
    return f"{frame:06d}.png"
