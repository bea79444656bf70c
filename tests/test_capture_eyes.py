"""These tests say which films hold a picture for each eye in a frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from nerfsem_method.capture.clip.eyes import eyes

RNG = np.random.default_rng(0)
WALL = cv2.GaussianBlur(RNG.integers(0, 255, (180, 900), np.uint8), (0, 0), 1.5)
SAMPLES = 5


def films(seen_aside: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what two eyes see of a wall that passes by [S, 180, 160], the second so many pixels aside, and some noise."""
    one = np.stack([WALL[:, 60 * i : 60 * i + 160] for i in range(SAMPLES)])
    other = np.stack([WALL[:, 60 * i + seen_aside : 60 * i + seen_aside + 160] for i in range(SAMPLES)])
    return one, (other + RNG.integers(0, 6, other.shape)).clip(0, 255).astype(np.uint8)


def test_two_pictures_beside_each_other_and_above_each_other_are_known() -> None:
    assert eyes(np.concatenate(films(8), axis=2)) == "side by side"
    assert eyes(np.concatenate(films(8), axis=1)) == "top and bottom"


@pytest.mark.parametrize("aside", [40, 100, 400])
def test_other_pictures_are_those_of_one_lens(aside: int) -> None:
    assert eyes(np.concatenate(films(aside), axis=2)) == ""


@pytest.mark.parametrize("axis", [1, 2])
def test_two_things_that_are_alike_do_not_make_two_pictures(axis: int) -> None:
    """Two vases stand beside each other, or one above the other, before a wall that passes by."""
    one, other = films(400)
    vase = cv2.GaussianBlur(RNG.integers(0, 255, (90, 60), np.uint8), (0, 0), 1.5)
    for picture in (*one, *other):
        picture[50:140, 50:110] = vase
    assert eyes(np.concatenate((one, other), axis=axis)) == ""


def test_what_shows_nothing_and_a_film_that_does_so_once_are_of_one_lens() -> None:
    assert eyes(np.zeros((SAMPLES, 96, 64), np.uint8)) == ""
    once = np.concatenate(films(400), axis=2)
    once[0] = np.concatenate(films(8), axis=2)[0]
    assert eyes(once) == ""
