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


# Lines around the frame -------------------------------------------------------------------------------------------------


def framed(matte: np.ndarray, width: int) -> np.ndarray:
    return np.pad(matte[width:-width, width:-width], width, constant_values=255)


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("lined", [slice(None), slice(0, 2)], ids=["all", "two"])
def test_a_white_line_around_the_frame_is_black(lined: slice, width: int, tmp_path: Path) -> None:
    mattes = WHITE.copy()
    mattes[lined] = [framed(matte, width) for matte in mattes[lined]]
    found = given(tmp_path, mattes)
    assert np.array_equal(read(found), WHITE)
    assert found.remarks == ["the mattes have a white line around the frame, which is taken for black"]


def test_a_line_in_lossy_files_and_around_an_empty_matte_is_black(tmp_path: Path) -> None:
    found = read(given(tmp_path, [framed(matte, 2) for matte in (*WHITE, 0 * WHITE[0])], "jpg", quality=80))
    assert not (found[8] > 60).any() and ((found[:8] > 127) == TRUE).mean() > 0.995


def test_a_line_in_large_frames_is_told_by_pixels_and_not_by_looks(tmp_path: Path) -> None:
    large = [cv2.resize(matte, (1080, 1440), interpolation=cv2.INTER_NEAREST) for matte in WHITE[:3]]
    found = given(tmp_path, [framed(matte, 2) for matte in large])
    assert np.array_equal(read(found), large)


def test_an_object_that_the_border_cuts_goes_on_under_the_line(tmp_path: Path) -> None:
    cut = np.roll(WHITE, 60, axis=1)
    cut[:, :60] = 0
    found = read(given(tmp_path, [framed(matte, 2) for matte in cut]))
    assert (found != cut).sum() < 6 * COUNT and found[:, -1].any(axis=1).all()


@pytest.mark.parametrize("margin", [3, 12])
def test_an_inverted_matte_of_what_nearly_fills_the_frame_has_no_line(margin: int, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="white around something black.*invert"):
        given(tmp_path, [framed(np.zeros_like(WHITE[0]), margin)] * 4)


# Outlines ---------------------------------------------------------------------------------------------------------------


def outline(matte: np.ndarray, width: int) -> np.ndarray:
    curves, _ = cv2.findContours(matte, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(matte), curves, -1, (255,), width)


OUTLINES = [(kind, size) for kind in ("thin", "wide", "broken", "cut by the frame", "one is filled") for size in (1, 6)]


@pytest.mark.parametrize(("kind", "size"), [*OUTLINES, ("soft", 6)])
def test_outlines_are_told_with_the_remedy(kind: str, size: int, tmp_path: Path) -> None:
    solid = [(cv2.resize(matte, (WIDTH * size, HEIGHT * size)) > 127).astype(np.uint8) for matte in WHITE]
    if kind == "cut by the frame":
        solid = [matte[: 65 * size] for matte in solid]
    curves = [outline(matte, 1 + size if kind == "wide" else 1) for matte in solid]
    if kind == "cut by the frame":
        curves = [curve[:-3] for curve in curves]
    elif kind == "broken":
        for curve in curves:
            curve[65 * size] = 0
    elif kind == "soft":
        curves = [cv2.GaussianBlur(curve, (3, 3), 0) for curve in curves]
    elif kind == "one is filled":
        curves = [*curves, *curves[:4], solid[0]]
    (remark,) = given(tmp_path, curves).remarks
    assert "mere outlines" in remark and "fill them, unless" in remark


def hoop(index: int, tube: float, tilt: float = 0.9) -> np.ndarray:
    """Return a ring of which the tube has this share of its diameter, 400 pixels, and that turns to its edge."""
    narrow = abs(np.cos(index * np.pi / COUNT)) * tilt + 1 - tilt
    rows, columns = np.mgrid[:480, :480]
    return (abs(np.hypot((columns - 240) / narrow, rows - 240) - 200) * narrow < tube * 200).astype(np.uint8) * 255


@pytest.mark.parametrize("tube", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("tilt", [0, 0.9], ids=["from above", "turning"])
def test_rings_are_objects(tube: float, tilt: float, tmp_path: Path) -> None:
    rings = np.stack([hoop(index, tube, tilt) for index in range(COUNT)])
    assert np.array_equal(read(given(tmp_path, rings)), rings)


def test_wires_cups_and_poles_are_objects(tmp_path: Path) -> None:
    cage, cup, pole = np.zeros((3, 480, 480), np.uint8)
    for step in range(100, 381, 70):
        cv2.line(cage, (step, 100), (step, 380), (255,), 2)
        cv2.line(cage, (100, step), (380, step), (255,), 2)
    cv2.ellipse(cup, (300, 240), (150, 150), 0, 0, 360, (255,), 4)
    cup[100:380, 100:150] = 255
    pole[:, 200:203] = 255
    for name, matte in (("cage", cage), ("cup", cup), ("pole", pole)):
        (tmp_path / name).mkdir()
        assert np.array_equal(read(given(tmp_path / name, [matte] * 3)), [matte] * 3)
