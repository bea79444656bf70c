"""Given mattes that do not show the object which the cameras see, or single ones, are told before the training."""

from __future__ import annotations

import numpy as np
import pytest

from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.mattes.given import disagreement
from nerfsem_method.media.naming import Naming
from nerfsem_method.scene.camera import Intrinsics

COUNT, WIDTH, HEIGHT, RADIUS = 12, 60, 90, 12
MIDDLES = np.column_stack([30 + 10 * np.sin(np.arange(COUNT)), np.linspace(20, 70, COUNT)])
"""The object, a disc, walks through the frames here, in pixels."""
NAMING = Naming(range(COUNT))


def discs(middles: np.ndarray) -> np.ndarray:
    """Return mattes [N, H, W] uint8 of discs around `middles` [N, 2]."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return np.stack([255 * ((columns - x) ** 2 + (rows - y) ** 2 < RADIUS**2) for x, y in middles]).astype(np.uint8)


@pytest.fixture(scope="module")
def model() -> SparseModel:
    """Return a model of 200 points on the disc, which move with it, and 200 around it, which do not; each is seen four times."""
    rng = np.random.default_rng(0)
    views = []
    for point in range(400):
        first = rng.integers(0, COUNT - 3)
        on_disc = rng.uniform(0, 0.95 * RADIUS) * np.array([np.cos(point), np.sin(point)])
        beside = np.array([rng.uniform(0, 4), rng.uniform(0, HEIGHT)])
        for frame in range(first, first + 4):
            views.append([point, frame, *(MIDDLES[frame] + on_disc if point < 200 else beside)])
    poses, nothing = np.zeros((COUNT, 3, 4)), np.zeros((400, 3))
    camera = Intrinsics(WIDTH, HEIGHT, 60.0, 60.0, 30.0, 45.0)
    return SparseModel(camera, poses, np.ones(COUNT, bool), nothing, nothing.astype(np.uint8), np.array(views), 0.5, 3)


def test_right_mattes_are_not_complained_of_at_any_size(model):
    mattes = discs(MIDDLES)
    assert disagreement(mattes, model, NAMING) == []
    assert disagreement(mattes.repeat(2, 1).repeat(2, 2), model, NAMING) == []


ORDERS = {
    "as texts are sorted": sorted(range(COUNT), key=lambda index: str(index + 1)),
    "one frame late": np.roll(np.arange(COUNT), 1),
    "by twos": np.argsort(np.arange(COUNT) % 2, kind="stable"),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_mattes_in_another_order_are_told(order, model):
    (line,) = disagreement(discs(MIDDLES)[order], model, NAMING)
    assert line.startswith("the mattes do not move with the object") and "in their order" in line


WRONG = {"shifted": discs(MIDDLES + 8), "cut": discs(MIDDLES * [1, 0.8])}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_mattes_of_another_picture_are_told(wrong, model):
    assert "do not move with the object" in disagreement(wrong, model, NAMING)[0]


LYING = {
    "mirrored": discs(MIDDLES)[:, :, ::-1],
    "turned by 180 degrees": discs(MIDDLES)[:, ::-1, ::-1],
    "flipped top to bottom": discs(MIDDLES)[:, ::-1],
    "in reverse order": discs(MIDDLES)[::-1],
}


@pytest.mark.parametrize("way", LYING)
def test_mattes_that_lie_otherwise_than_the_frames_are_told(way, model):
    (line,) = disagreement(LYING[way], model, NAMING)
    assert line == f"the mattes would fit the frames if they were {way}: give them as the frames are"


def test_all_ways_in_which_mattes_would_fit_are_named(model):
    """Along the middle row what is turned looks like what is mirrored."""
    shift = MIDDLES - np.array([0, HEIGHT / 2])
    views = model.views.copy()
    views[:, 3] -= shift[views[:, 1].astype(int), 1]
    (line,) = disagreement(discs(MIDDLES - shift * [0, 1])[:, :, ::-1], SparseModel(**{**vars(model), "views": views}), NAMING)
    assert "if they were turned by 180 degrees, or mirrored:" in line


def test_mattes_that_would_meet_no_point_fit_in_no_way(model):
    """Turned, these mattes lie where no point is, which agrees with nothing."""
    aside = np.column_stack([15 + 3 * np.sin(np.arange(COUNT)), 22 + 3 * np.cos(2 * np.arange(COUNT))])
    views = model.views[model.views[:, 0] < 200].copy()
    views[:, 2:] += (aside - MIDDLES)[views[:, 1].astype(int)]
    (line,) = disagreement(np.roll(discs(aside), 5, 0), SparseModel(**{**vars(model), "views": views}), NAMING)
    assert "do not move with the object" in line


def test_single_wrong_mattes_are_named_and_their_neighbours_are_not(model):
    mattes = discs(MIDDLES)
    mattes[4], mattes[9] = 0, 255
    assert disagreement(mattes, model, NAMING) == ["the mattes of frames 4, 9 show something else than all others"]


def test_mattes_that_are_empty_in_part_of_the_clip_are_named(model):
    mattes = discs(MIDDLES)
    mattes[3:7] = 0
    assert disagreement(mattes, model, NAMING) == ["the mattes of frames 3-6 show something else than all others"]


def test_where_nothing_is_seen_nothing_is_said(model):
    few = SparseModel(**{**vars(model), "views": model.views[:10]})
    assert disagreement(discs(MIDDLES[::-1]), few, NAMING) == []
