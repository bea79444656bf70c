"""Colours beside the outline tell the object from a background alike, and the outline follows the picture's edge."""

from __future__ import annotations

import numpy as np
import pytest

from nerfsem_method.capture.mattes import colour
from nerfsem_method.capture.mattes.outline import Zones, refine

HEIGHT, WIDTH = 160, 200
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH] + 0.5
DISTANCE = np.hypot(COLUMNS - 100, ROWS - 80)
RADIUS = 50.0


def picture(object_level: float, noise: float = 2.0) -> np.ndarray:
    """Return a disc, a few levels off a wall that gets brighter from left to right by much more than that."""
    wall = 100 + 80 * COLUMNS / WIDTH
    level = np.where(DISTANCE < RADIUS, wall + object_level, wall)
    level = level + np.random.default_rng(0).normal(0, noise, level.shape)
    return np.repeat(level[..., None], 3, 2).clip(0, 255).astype(np.uint8)


def chance(radius: float, blur: float = 4.0) -> np.ndarray:
    """Return the chance of each pixel to lie on a disc, soft at its rim."""
    return (1 / (1 + np.exp((DISTANCE - radius) / blur))).astype(np.float32)


def overlap(ours: np.ndarray) -> float:
    """Return the intersection over union with the true disc."""
    true = DISTANCE < RADIUS
    return (ours & true).sum() / (ours | true).sum()


def test_neighbours_tell_what_palettes_cannot() -> None:
    colours = colour.lab(picture(12))
    zones = Zones.around(chance(RADIUS), 4, 16)
    doubtful = zones.near & ~zones.inside & ~zones.outside
    nearby = colour.local_odds(colours, zones.inside, zones.outside, 8)
    cells = colour.cells(colours)
    palettes = [colour.histogram(cells, zone) for zone in (zones.inside, zones.outside)]
    everywhere = colour.palette_odds(cells, *palettes)
    right = [((odds > 0) == (DISTANCE < RADIUS))[doubtful].mean() for odds in (nearby, everywhere)]
    assert right[0] > 0.9 > 0.75 > right[1]


def test_far_from_the_outline_neighbours_say_nothing() -> None:
    zones = Zones.around(chance(RADIUS), 4, 16)
    odds = colour.local_odds(colour.lab(picture(12)), zones.inside, zones.outside, 8)
    assert not odds[DISTANCE < 20].any()


@pytest.mark.parametrize("radius", [RADIUS - 1, RADIUS, RADIUS + 1])
def test_the_outline_moves_to_the_edge(radius: float) -> None:
    assert overlap(refine(picture(30), chance(radius)) > 127) > 0.98


def test_without_an_edge_it_stays_where_the_views_put_it() -> None:
    assert overlap(refine(picture(0), chance(RADIUS)) > 127) > 0.96


def test_a_small_shadow_is_enough_and_the_edge_is_soft() -> None:
    matte = refine(picture(40), chance(RADIUS)[::4, ::4])
    assert matte.shape == (HEIGHT, WIDTH) and matte.dtype == np.uint8
    assert overlap(matte > 127) > 0.96
    soft = (matte > 10) & (matte < 245)
    assert soft.any() and np.abs(DISTANCE[soft] - RADIUS).max() < 6


def test_a_frame_without_the_object_has_an_empty_matte() -> None:
    assert not refine(picture(30), np.zeros((40, 50), np.float32)).any()


def test_an_object_cut_by_the_frame_keeps_its_side() -> None:
    half = slice(100, None)
    matte = refine(np.ascontiguousarray(picture(30)[:, half]), np.ascontiguousarray(chance(RADIUS)[:, half]))
    assert (matte[60:100, 0] > 200).all()
