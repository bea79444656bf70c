"""A voxel through which a camera sees a point of the background is empty; all others may be full."""

from __future__ import annotations

import numpy as np
import pytest

from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.mattes.fusion import Grid
from nerfsem_method.capture.mattes.sightlines import looked_through, trusted
from nerfsem_method.scene.camera import Intrinsics

CAMERA = Intrinsics(100, 100, 200.0, 200.0, 50.0, 50.0)
GRID = Grid(np.full(3, -0.5), 0.1, (10, 10, 10))
AHEAD = np.array([[1.0, 0, 0, 0.05], [0, 1.0, 0, 0.05], [0, 0, 1.0, 4.0]])
"""This camera looks along z, through the middle of the column at x, y = -0.05."""


def empty(depth: float, track: int = 3, other: bool = True, pixel: float = 50.0) -> np.ndarray:
    """Return what is empty if a point on the optical axis, at `depth`, is seen from one place in `track` frames."""
    point = np.array([[-0.05, -0.05, depth - 4.0]])
    views = np.column_stack([np.zeros(track), np.arange(track), np.full((track, 2), pixel)])
    poses = np.repeat(AHEAD[None], track, axis=0)
    model = SparseModel(CAMERA, poses, np.ones(track, bool), point, np.zeros((1, 3), np.uint8), views, 0.5, 0)
    small = GRID.cameras_for(model.cameras)
    return looked_through(GRID, np.ones(GRID.shape, bool), small, model, np.array([other]) & trusted(model))


def test_the_line_to_a_point_behind_is_empty() -> None:
    through = empty(depth=6.0)
    assert through[4, 4].all()
    assert through.sum() == through[4, 4].sum()


def test_a_line_is_half_as_wide_as_a_voxel() -> None:
    """The column is seen at pixels 47 to 52; a line takes what is seen in the half of a voxel's pixel it ends in."""
    assert empty(depth=6.0, pixel=52.0)[4, 4].all()
    assert not empty(depth=6.0, pixel=48.5)[4, 4].any()


def test_what_lies_behind_the_point_may_be_full() -> None:
    np.testing.assert_array_equal(empty(depth=4.0)[4, 4], np.arange(10) < 5)


@pytest.mark.parametrize("doubt", [{"track": 2}, {"other": False}])
def test_a_doubtful_point_tells_nothing(doubt: dict) -> None:
    assert not empty(depth=6.0, **doubt).any()
