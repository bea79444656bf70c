"""These tests say which frames are compared, and how features are matched."""

from __future__ import annotations

import numpy as np
from sphere_views import ring

from nerfsem_method.capture.colmap import pairs


def test_a_short_clip_is_compared_in_a_window_never_across() -> None:
    chosen = pairs.sequential_pairs(60)
    assert {(0, 1), (0, 10), (49, 59)} <= set(chosen)
    assert max(b - a for a, b in chosen) == 10
    assert len(chosen) == len(set(chosen))


def test_a_long_clip_is_also_compared_at_wider_steps() -> None:
    steps = pairs.sequential_steps(300)
    assert steps[:2] == [1, 2]
    assert steps[-1] == 24


def test_frames_of_a_dense_clip_are_compared_with_fewer_others() -> None:
    assert len(pairs.sequential_pairs(75)) < 0.7 * len(pairs.sequential_pairs(74))


def test_frames_that_show_other_sides_are_not_compared() -> None:
    assert pairs.sequential_steps(300, reach=5) == [1, 2, 3, 5]
    assert max(b - a for a, b in pairs.sequential_pairs(60, reach=2)) == 2
    poses = dict(enumerate([*ring(12), *ring(12)]))
    closing = pairs.closing_pairs(poses, 24, reach=2)
    assert {(0, 12), (5, 17)} <= set(closing) and min(b - a for a, b in closing) > 2


def test_a_clip_shorter_than_the_window_is_compared_completely() -> None:
    assert pairs.sequential_steps(4) == [1, 2, 3]


def test_the_ends_of_a_closed_turn_are_paired_and_opposite_sides_are_not() -> None:
    poses = dict(enumerate(ring(36)))
    closing = pairs.closing_pairs(poses, 36)
    assert (0, 35) in closing
    assert all(min(b - a, 36 - (b - a)) <= 3 for a, b in closing)


def test_a_half_turn_has_nothing_to_close() -> None:
    assert pairs.closing_pairs(dict(enumerate(ring(72)[:36])), 36) == []


def test_a_frame_out_of_order_is_paired_with_those_that_show_the_same() -> None:
    rng = np.random.default_rng(2)
    world = rng.integers(0, 256, (700, 128), np.uint8)
    shown = [world[10 * i : 10 * i + 60] for i in range(60)]
    shown[40] = world[35:95]  # This picture was taken between those of frames 3 and 4.
    found = pairs.alike(shown, [40])
    assert {(3, 40), (4, 40)} <= set(found)
    assert all(40 in pair and min(pair) < 10 for pair in found)


def test_photographs_in_no_order_get_one_by_what_they_show() -> None:
    rng = np.random.default_rng(4)
    drawn = rng.permutation(40)
    common = np.maximum(60 - 10 * abs(drawn[:, None] - drawn), rng.integers(0, 8, (40, 40)))
    way = drawn[pairs.by_likeness(np.maximum(common, common.T))]
    assert way.tolist() in (list(range(40)), list(range(40))[::-1])
    assert pairs.by_likeness(np.zeros((0, 0))) == [] and pairs.by_likeness(np.zeros((1, 1))) == [0]
    assert sorted(pairs.by_likeness(np.zeros((3, 3)))) == [0, 1, 2]


def test_frames_that_show_nothing_known_are_paired_with_none() -> None:
    rng = np.random.default_rng(3)
    assert pairs.alike([rng.integers(0, 256, (60, 128), np.uint8) for _ in range(40)], [7]) == []


def test_matches_are_mutual_and_unambiguous() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 256, (40, 128), np.uint8)
    order = rng.permutation(40)
    second = first[order]
    matches = pairs.mutual_matches(first, second)
    assert len(matches) == 40
    assert np.array_equal(order[matches[:, 1]], matches[:, 0])
    twice = np.concatenate([second, second[:5]])  # five features exist twice and are ambiguous
    left = set(pairs.mutual_matches(first, twice)[:, 0].tolist())
    assert left == set(range(40)) - set(order[:5].tolist())


def test_a_feature_that_exists_twice_is_ambiguous_however_long_its_descriptor_is() -> None:
    """Equal descriptors in sets of any size must come out equal to the last bit, whatever the processor adds first."""
    rng = np.random.default_rng(1)
    first = rng.integers(0, 256, (300, 128), np.uint8) // rng.integers(1, 9, (300, 1), np.uint8)
    for copies in range(1, 70, 7):
        second = np.concatenate([first, first[:copies]])
        found = set(pairs.mutual_matches(first, second)[:, 0].tolist())
        assert found.isdisjoint(range(copies)) and set(range(copies, 300)) <= found


def test_blocks_of_features_do_not_show() -> None:
    """The nearest and second-nearest are sought block by block; the matches are those of one large table."""
    rng = np.random.default_rng(4)
    size = 2 * pairs.BLOCK + 30
    first, second = rng.integers(0, 60, (2, size, 128)).astype(np.uint8)
    second[rng.permutation(size)[: size // 2]] = first[rng.permutation(size)[: size // 2]]
    a, b = first.astype(float), second.astype(float)
    similarity = (a @ b.T) / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    distance = np.sqrt(np.maximum(2 - 2 * similarity, 0))
    order = np.sort(distance, 1)
    rows = np.flatnonzero((order[:, 0] < pairs.MAX_RATIO * order[:, 1]) & (order[:, 0] < pairs.MAX_DISTANCE))
    expected = [(r, distance[r].argmin()) for r in rows if distance[:, distance[r].argmin()].argmin() == r]
    assert len(expected) > size // 4
    assert np.array_equal(pairs.mutual_matches(first, second), expected)


def test_frames_without_features_do_not_match() -> None:
    nothing = np.empty((0, 128), np.uint8)
    assert pairs.mutual_matches(nothing, np.eye(128, dtype=np.uint8)).shape == (0, 2)


def test_rotation_angle_is_in_degrees() -> None:
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    assert abs(pairs.rotation_angle(quarter) - 90) < 1e-9
