"""This module fills the gaps between known poses."""

from __future__ import annotations

import numpy as np

from nerfsem_method.scene.camera import camera_centres


def between(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Return the pose [3, 4] at a share of the way from one to another: constant rotation, and a straight line of the centre."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_matrix(second[:, :3] @ first[:, :3].T).as_rotvec()
    rotation = Rotation.from_rotvec(share * turn).as_matrix() @ first[:, :3]
    centres = camera_centres(np.stack([first, second]))
    return np.column_stack([rotation, -rotation @ (centres[0] + share * (centres[1] - centres[0]))])


def fill_gaps(known: dict[int, np.ndarray], count: int) -> np.ndarray:
    """Return poses [count, 3, 4]: the known ones, and between (or beyond) them constant rotation and straight motion."""
    anchors = np.array(sorted(known))
    poses = np.empty((count, 3, 4))
    for i in range(count):
        a = int(np.clip(np.searchsorted(anchors, i, side="right") - 1, 0, len(anchors) - 2))
        share = (i - anchors[a]) / (anchors[a + 1] - anchors[a])
        poses[i] = known[i] if i in known else between(known[anchors[a]], known[anchors[a + 1]], share)
    return poses
