"""What the object stands on is told from the object's own ledges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from sphere_views import looking_at

from nerfsem_method.capture.cameras.normalise import Similarity
from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.mattes import cluster
from nerfsem_method.capture.mattes.support import find_support
from nerfsem_method.scene.camera import Intrinsics

DISTANCE = 4.0
MARBLE, STONE = (215, 200, 175), (80, 62, 58)
TOP = -0.5
AIM = np.zeros(3)
ASKEW = Rotation.from_rotvec([0.9, -0.4, 2.0]).as_matrix()


def ring(count: int, radius: tuple[float, float], height: tuple[float, float], seed: int) -> np.ndarray:
    """Return points on an upright ring around the z axis, between two radii and two heights."""
    rng = np.random.default_rng(seed)
    angle, r = rng.uniform(0, 2 * np.pi, count), rng.uniform(*radius, count)
    return np.column_stack([r * np.cos(angle), r * np.sin(angle), rng.uniform(*height, count)])


def painted(*parts: tuple[np.ndarray, tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return points and their colours, a little different each."""
    points = np.concatenate([part for part, _ in parts])
    colours = np.concatenate([np.tile(np.array(colour, float), (len(part), 1)) for part, colour in parts])
    colours += np.random.default_rng(9).normal(0, 12, colours.shape)
    return points, colours.clip(0, 255).astype(np.uint8)


BUST = np.concatenate(
    [
        ring(400, (0.45, 0.5), (TOP, 0.2), 1),
        ring(200, (0.2, 0.5), (0.18, 0.2), 2),  # these are shoulders, a ledge of its own
        ring(300, (0.18, 0.22), (0.2, 0.9), 3),
    ]
)
RIM = ring(60, (0.5, 0.6), (TOP - 0.01, TOP), 4)
SHAFT = ring(150, (0.55, 0.6), (TOP - 0.6, TOP), 5)


def test_a_pillar_of_another_stone() -> None:
    ledge = find_support(*painted((BUST, MARBLE), (RIM, STONE), (SHAFT, STONE)), DISTANCE, AIM)
    assert ledge is not None and ledge.normal[2] > 0.99
    assert abs(ledge.height - TOP) < 0.03


def test_shoulders_are_no_support() -> None:
    assert find_support(*painted((BUST, MARBLE)), DISTANCE, AIM) is None


def test_a_pillar_of_the_same_stone_is_left_on() -> None:
    assert find_support(*painted((BUST, MARBLE), (RIM, MARBLE), (SHAFT, MARBLE)), DISTANCE, AIM) is None


def test_a_table_of_the_same_colour() -> None:
    table = ring(300, (0.5, 1.6), (TOP - 0.005, TOP + 0.005), 6)
    ledge = find_support(*painted((BUST, MARBLE), (table, MARBLE)), DISTANCE, AIM)
    assert ledge is not None and abs(ledge.height - TOP) < 0.03


def test_too_few_points() -> None:
    assert find_support(np.zeros((2, 3)), np.zeros((2, 3), np.uint8), DISTANCE, AIM) is None


def test_a_seam_between_two_stones_is_enough_where_hardly_any_rim_shows() -> None:
    ledge = find_support(*painted((BUST, MARBLE), (RIM[:5], STONE), (SHAFT, STONE)), DISTANCE, AIM)
    assert ledge is not None
    assert abs(ledge.height - TOP) < 0.04


def test_bands_of_a_vase_are_no_seams() -> None:
    """Dark bands go around a light body, and each has a sharp border that stands out a little."""
    bands = [ring(150, (0.5, 0.6), (TOP - 0.2 - low, TOP - low), 7 + index) for index, low in enumerate((0.0, 0.2, 0.4, 0.6))]
    colours = (STONE, MARBLE, STONE, MARBLE)
    assert find_support(*painted((BUST, MARBLE), *zip(bands, colours, strict=True)), DISTANCE, AIM) is None


# Noise of dense patterns: points of a plane lie off it by as much as its thickness -------------------------------------

VASE = np.concatenate([ring(60, (0.2, 0.24), (TOP, TOP + 0.2), 20), ring(300, (0.3, 0.44), (TOP + 0.2, 0.6), 21)])
ORANGE, WOOD, GREY = (150, 80, 50), (98, 72, 45), (108, 105, 101)


def noisy(count: int, side: float, seed: int, noise: float = 0.003) -> np.ndarray:
    """Return points of a level square around the vase's foot, which they leave out, with a noise in shares of the distance."""
    rng = np.random.default_rng(seed)
    flat = rng.uniform(-side, side, (count, 2))
    flat = flat[np.linalg.norm(flat, axis=1) > 0.2]
    return np.column_stack([flat, rng.normal(TOP, noise * DISTANCE, len(flat))])


def test_a_table_with_a_dense_pattern_is_no_foot() -> None:
    ledge = find_support(*painted((VASE, ORANGE), (noisy(1300, 1.4, 22), WOOD)), DISTANCE, AIM)
    assert ledge is not None
    assert abs(ledge.height - TOP) < 0.01 and ledge.normal[2] > 0.9999


def test_a_thick_layer_of_few_points_is_a_support_where_no_thin_one_is() -> None:
    """Behind glass points are few and inexact, and the foot has some of the colours of what it stands on."""
    foot, bowl = ring(90, (0.2, 0.24), (TOP + 0.03, TOP + 0.2), 20), ring(500, (0.3, 0.6), (TOP + 0.2, 0.6), 21)
    top, sides = noisy(170, 0.9, 22, 0.007), ring(60, (0.9, 1.0), (TOP - 0.6, TOP - 0.05), 23)
    parts = (foot[:50], STONE), (foot[50:], (150, 140, 130)), (bowl, ORANGE), (top, (152, 143, 136)), (sides, GREY)
    ledge = find_support(*painted(*parts), DISTANCE, AIM)
    assert ledge is not None and abs(ledge.height - TOP) < 0.03


def test_other_things_on_the_table_are_no_foot() -> None:
    others = np.concatenate([ring(150, (0.0, 0.25), (TOP, TOP + 0.5), 30 + i) for i in range(3)])
    others += np.repeat([(1.2, 0.2, 0), (-0.9, 0.9, 0), (0.1, -1.3, 0)], 150, 0)
    ledge = find_support(*painted((VASE, ORANGE), (noisy(1300, 1.4, 22), WOOD), (others, GREY)), DISTANCE, AIM)
    assert ledge is not None
    assert abs(ledge.height - TOP) < 0.01 and ledge.normal[2] > 0.9999


def test_a_pedestals_top_is_not_cut_at_an_angle() -> None:
    """A plane that cuts through it has its wood above and the sides' stone below, told apart by colour like nothing else."""
    sides = ring(900, (0.55, 0.75), (TOP - 0.9, TOP), 23)
    ledge = find_support(*painted((VASE, ORANGE), (noisy(450, 0.6, 24), WOOD), (sides, GREY)), DISTANCE, AIM)
    assert ledge is not None
    assert abs(ledge.height - TOP) < 0.01 and ledge.normal[2] > 0.9997


def test_a_wide_base_below_a_slim_stem_is_the_objects_own() -> None:
    stem, top = ring(300, (0.1, 0.12), (-0.2, 0.6), 40), ring(200, (0.14, 0.5), (-0.21, -0.19), 41)
    side, table = ring(150, (0.49, 0.5), (TOP, -0.22), 42), ring(100, (0.55, 1.3), (TOP - 0.008, TOP + 0.008), 43)
    ledge = find_support(*painted((np.concatenate([stem, top, side]), ORANGE), (table, WOOD)), DISTANCE, AIM)
    assert ledge is not None and abs(ledge.height - TOP) < 0.03


def test_a_dense_top_far_around_a_foot_needs_less_colour_of_its_own() -> None:
    """In black and white a vase has some of its pedestal's greys; a base as wide as its foot might be its own."""
    dark, light, pale = (120, 120, 120), (210, 210, 210), (205, 205, 205)
    vase = ring(2000, (0.2, 0.3), (TOP, 0.8), 1)
    sides = ring(200, (0.9, 1.0), (TOP - 0.8, TOP), 3)
    for radius, found in (((0.35, 1.0), True), ((0.32, 0.37), False)):
        top = ring(700, radius, (TOP - 0.01, TOP), 2)
        ledge = find_support(*painted((vase[:1200], dark), (vase[1200:], light), (top, pale), (sides, pale)), DISTANCE, AIM)
        assert (ledge is not None and abs(ledge.height - TOP) < 0.03) == found


@pytest.mark.parametrize(
    ("lowest", "below", "kept"),
    [
        (None, "", True), (None, "platter", False), (-0.8, "", True), (-0.8, "platter", False), (-0.8, "rod", False),
        (-0.4, "", False),
    ],
)
def test_a_foot_below_a_dark_stem_belongs_to_the_object(lowest: float | None, below: str, kept: bool) -> None:
    """It does where nothing beside it is seen, and, unless the object turns alone, nothing further down: a rod goes on."""
    bowl, foot = ring(1500, (0.45, 0.5), (0.0, 1.0), 1), ring(150, (0.1, 0.25), (-0.5, -0.45), 2)
    others = {"": (0, (0, 1)), "platter": (300, (0.3, 1.2)), "rod": (60, (0.05, 0.06))}[below]
    points = np.concatenate([bowl, foot, ring(*others, (-0.52, -0.5) if below == "platter" else (-1.2, -0.5), 3)])
    mine, sole = cluster._whole_body(points, np.array([0.0, 0.0, 1.0]), 0.1, supported=False, lowest=lowest)
    assert mine[:1500].mean() > 0.9 and bool(mine[1500:1650].mean() > 0.9) == kept and not mine[1650:].any()
    assert (sole is None) == (lowest is None or not kept) and (sole is None or -0.5 < sole < -0.48)


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize("height", [1.5, -1.5])
@pytest.mark.parametrize("table", [True, False])
def test_a_film_is_upside_down_where_the_object_stands_if_it_is_turned_over(over: bool, height: float, table: bool) -> None:
    """Nothing else tells: a statue is looked at from below, and an object cut out stands on nothing."""
    wood = noisy(1300, 1.4, 22)[: None if table else 0]
    points, colours = painted((VASE, ORANGE), (wood, WOOD))
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    poses = np.stack([looking_at(np.array([3.5 * np.cos(a), 3.5 * np.sin(a), height]), AIM) for a in angles])
    if over:
        poses = np.diag([-1.0, -1.0, 1.0]) @ poses
    views = np.array([(point, frame, 0, 0) for point in range(len(points)) for frame in range(3)], float)
    model = SparseModel(Intrinsics(100, 100, 100, 100, 50, 50), poses, np.ones(16, bool), points, colours, views, 0.4, 5)
    seen_so = over and not (table and height > 0)
    np.testing.assert_allclose(cluster.way_up(model)[2], [0, 0, -1.0 if seen_so else 1.0], atol=1e-6)


def filmed(poses: list[np.ndarray], table: bool) -> SparseModel:
    """Return a vase, on a table or on nothing, in a world that is askew, by cameras at cam_from_world [3, 4]."""
    points, colours = painted((VASE, ORANGE), (noisy(1300, 1.4, 22)[: None if table else 0], WOOD))
    count, world = len(poses), Similarity(1.0, ASKEW, np.zeros(3))
    views = np.array([(point, frame, 0, 0) for point in range(len(points)) for frame in range(3)], float)
    camera, posed = Intrinsics(100, 100, 100, 100, 50, 50), world.poses(np.stack(poses))
    return SparseModel(camera, posed, np.ones(count, bool), world.points(points), colours, views, 0.4, 5)


def over_the_top(first: float, last: float) -> list[np.ndarray]:
    """Return cameras that go over the vase, from and to so many degrees above the ground."""
    poses = []
    for angle in np.radians(np.linspace(first, last, 16)):
        back, right = np.array([np.cos(angle), 0, np.sin(angle)]), np.array([0.0, 1.0, 0.0])
        rotation = np.stack([right, np.cross(-back, right), -back])
        poses.append(np.column_stack([rotation, -rotation @ (AIM + 3.5 * back)]))
    return poses


def off(model: SparseModel) -> float:
    """Return by how many degrees the way up is wrong."""
    return float(np.degrees(np.arccos(np.clip((cluster.way_up(model) @ ASKEW)[2, 2], -1, 1))))


@pytest.mark.parametrize(("first", "last"), [(0, 180), (5, 175), (12, 168), (170, 30), (10, 95), (20, 140)])
@pytest.mark.parametrize("roll", [1.0, -1.0])
def test_what_carries_an_object_tells_the_way_up_to_a_camera_that_goes_over_it(first: int, last: int, roll: float) -> None:
    poses = [np.diag([roll, roll, 1.0]) @ pose for pose in over_the_top(first, last)]
    assert off(filmed(poses, table=True)) < 0.1
    assert off(filmed(poses, table=False)) > 30  # The pictures alone do not tell.


def test_pictures_that_tell_the_way_up_are_believed() -> None:
    """A support on a slope is one, and so is a wall behind a relief that is filmed from below and above."""
    around = [looking_at(3.5 * np.array([np.cos(a), np.sin(a), 0.5]) + AIM, AIM) for a in np.linspace(0, 6, 16)]
    sloping = Rotation.from_rotvec([0.15, 0, 0])
    model = filmed([np.column_stack([pose[:, :3] @ sloping.as_matrix(), pose[:, 3]]) for pose in around], table=True)
    assert np.degrees(sloping.magnitude()) - 1 < off(model) < np.degrees(sloping.magnitude()) + 1
    relief = over_the_top(60, 120)
    assert off(filmed(relief, table=True)) > 80


def seen_from_around(points: np.ndarray, colours: np.ndarray, aim: float, distance: float = 3.5) -> SparseModel:
    """Return a model of points that all see, by cameras on a ring that look at this height of the axis."""
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    centres = [np.array([distance * np.cos(a), distance * np.sin(a), aim + 0.3 * distance]) for a in angles]
    poses = np.stack([looking_at(centre, np.array([0, 0, aim])) for centre in centres])
    views = np.array([(point, frame, 0, 0) for point in range(len(points)) for frame in range(3)], float)
    return SparseModel(Intrinsics(100, 100, 100, 100, 50, 50), poses, np.ones(16, bool), points, colours, views, 0.4, 5)


@pytest.mark.parametrize(("aim", "distance"), [(0.0, 3.5), (1.3, 3.5), (-0.02, 1.15)], ids=["amid", "above", "near"])
def test_the_object_is_found_whole_where_cameras_look_above_it_or_stand_near(aim: float, distance: float) -> None:
    """Low in all pictures, or in those of a wide lens, it is beyond what lies near their target otherwise."""
    statue, table = ring(3000, (0.1, 0.14), (TOP, 0.6), 20), noisy(1500, 0.6, 22, 0.0008)
    model = seen_from_around(*painted((statue, ORANGE), (table, WOOD)), aim, distance)
    found = cluster.find(model)
    assert found is not None and found.mine[: len(statue)].mean() > 0.9 and not found.mine[len(statue) :].any()
    assert abs(found.height - TOP) < 0.02


def test_points_of_a_thick_layer_are_none_of_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    foot, bowl = ring(90, (0.2, 0.24), (TOP + 0.03, TOP + 0.2), 20), ring(500, (0.3, 0.6), (TOP + 0.2, 0.6), 21)
    top, sides = noisy(170, 0.9, 22, 0.007), ring(60, (0.9, 1.0), (TOP - 0.6, TOP - 0.05), 23)
    parts = (bowl, ORANGE), (foot[:50], STONE), (foot[50:], (150, 140, 130)), (top, (152, 143, 136)), (sides, GREY)
    model = seen_from_around(*painted(*parts), 0.0, DISTANCE / 1.044)
    found = cluster.find(model)
    assert found is not None and np.isfinite(found.height) and found.mine[590 : 590 + len(top)].mean() < 0.02


def test_what_lies_flat_beside_the_object_is_none_of_it() -> None:
    """A shadow does. What the object's points stand on is its own however low, as is what stands higher."""
    model = seen_from_around(*painted((VASE, ORANGE), (noisy(1300, 1.4, 22), WOOD)), 0.0)
    found = cluster.find(model)
    assert found is not None
    positions = np.array([(0.8, 0.3, TOP + 0.03), (0.1, 0.0, TOP + 0.03), (0.43, 0.0, TOP + 0.03), (0.8, 0.3, TOP + 0.2)])
    assert found.above(positions).tolist() == [False, True, True, True]
    assert not found.above(positions - [0, 0, 0.05])[:3].any()
