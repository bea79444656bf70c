"""Mattes with one common fault each are read as what their owner meant, or refused in one line that says what to do."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.mattes import GivenMattes, given_mattes

COUNT, WIDTH, HEIGHT = 8, 120, 160
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]


def true(index: int) -> np.ndarray:
    """Return where the object is in a frame, bool: an ellipse that walks down."""
    return ((COLUMNS - 60) / 25) ** 2 + ((ROWS - 65 - 4 * index) / 40) ** 2 < 1


TRUE = np.stack([true(index) for index in range(COUNT)])
WHITE = TRUE * np.uint8(255)
SOFT = np.stack([cv2.GaussianBlur(matte, (5, 5), 1) for matte in WHITE])


def given(folder: Path, mattes, kind: str = "png", **options) -> GivenMattes:
    """Write a folder of mattes [H, W] and return what they are read as."""
    for index, matte in enumerate(mattes):
        Image.fromarray(matte).save(folder / f"{index}.{kind}", **options)
    return given_mattes(folder)


def read(found: GivenMattes) -> np.ndarray:
    return np.stack([found.read(index) for index in range(len(found.files))])


# Values -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fewer", [slice(0, 2), slice(0, 6)], ids=["few labels", "many labels"])
@pytest.mark.parametrize("others", [WHITE, SOFT], ids=["white", "soft"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16], ids=["8 bits", "16 bits"])
def test_labels_beside_mattes_are_mattes(others: np.ndarray, fewer: slice, kind: type, tmp_path: Path) -> None:
    mattes = others.astype(kind) * kind(np.iinfo(kind).max // 255)
    mattes[fewer] = TRUE[fewer]
    mattes[7] = 0
    expected = others.copy()
    expected[fewer] = WHITE[fewer]
    expected[7] = 0
    assert np.array_equal(read(given(tmp_path, mattes)), expected)


def test_a_label_in_the_alpha_of_some_is_what_255_is_in_that_of_others(tmp_path: Path) -> None:
    mattes = [np.dstack([np.full((HEIGHT, WIDTH, 3), 90), (TRUE, WHITE)[i % 2][i]]).astype(np.uint8) for i in range(COUNT)]
    assert np.array_equal(read(given(tmp_path, mattes)), WHITE)


def test_one_bit_beside_soft_mattes_is_white(tmp_path: Path) -> None:
    far = (ROWS < 4) & (COLUMNS < 4)
    assert np.array_equal(read(given(tmp_path, [*SOFT, far]))[8], far * 255)


def test_a_little_noise_beside_soft_mattes_is_no_label(tmp_path: Path) -> None:
    noise = (np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.01).astype(np.uint8)
    assert read(given(tmp_path, [*SOFT, noise]))[8].max() <= 1


def test_a_noisy_black_jpeg_beside_others_stays_empty(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 4, (HEIGHT, WIDTH)).astype(np.uint8)
    found = read(given(tmp_path, [*WHITE, noise, noise // 2 * TRUE[0]], "jpg", quality=95))
    assert not found[8:].any() and ((found[:8] > 127) == TRUE).mean() > 0.999


def test_void_in_some_files_leaves_the_label_of_others_one(tmp_path: Path) -> None:
    mattes = TRUE.astype(np.uint8)
    mattes[2][cv2.dilate(mattes[2], np.ones((3, 3))) > mattes[2]] = 255
    assert np.array_equal(read(given(tmp_path, mattes)), WHITE)


@pytest.mark.parametrize("most", [150, 200, 240])
@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_dim_mattes_are_stretched(kind: str, most: int, tmp_path: Path) -> None:
    found = read(given(tmp_path, (SOFT * (most / 255)).round().astype(np.uint8), kind))
    assert ((found > 127) != TRUE).mean() < 0.01 and np.median(found[TRUE]) > 240


def test_dim_depths_and_pictures_are_no_mattes(tmp_path: Path) -> None:
    depth = np.where(TRUE, 100 + ROWS // 2, 60).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 150, TRUE.shape).astype(np.uint8)
    vague = np.stack([cv2.GaussianBlur(matte, (0, 0), 25) for matte in WHITE])
    for name, mattes in (("depth", depth), ("noise", noise), ("cut out", noise * TRUE), ("vague", vague)):
        (tmp_path / name).mkdir()
        with pytest.raises(CaptureError, match="pictures, no mattes"):
            given(tmp_path / name, mattes)
