"""These tests say what capture makes of clips that stand still for a while, come in any order or show something else between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from make_clips import pictures
from PIL import Image

from nerfsem_method.capture.clip.legible import dim_share, legible, noise
from nerfsem_method.capture.clip.motion import look
from nerfsem_method.capture.clip.tones import Tones

RNG = np.random.default_rng(0)
FADE = np.clip((np.arange(120)[:, None] - 30) / 40, 0, 1)
WALL = 128 + FADE * RNG.integers(-127, 127, (120, 500))
for left in np.cumsum(RNG.integers(25, 45, 12)):
    WALL[8:18, left : left + 10] = 90  # What a plain wall has of edges is seldom at one place of the frame.
SIGN = RNG.integers(0, 255, (16, 16)).astype(np.uint8)


def walk(folder: Path, steps: list[int], sign: bool) -> list[Path]:
    """Write what a camera sees that has gone so many steps along a wall in each frame, with noise, and return the files."""
    paths = []
    for number, step in enumerate(steps):
        picture = WALL[:, 4 * step : 4 * step + 80] + RNG.normal(0, 2, (120, 80))
        if sign:
            picture[96:112, 60:76] = SIGN
        paths.append(folder / f"{number:06d}.png")
        Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(paths[-1])
    return paths


PAUSES = {
    "in the middle": [*range(20), *[20] * 40, *range(21, 40)],
    "at both ends": [*[0] * 60, *range(40), *[39] * 10],
    "and the way back": [*range(20), *[20] * 60, *range(20)[::-1]],
}


@pytest.mark.parametrize("kind", PAUSES)
def test_a_pause_of_the_camera_is_neither_a_turntable_nor_a_logo(kind: str, tmp_path: Path) -> None:
    seen = look(walk(tmp_path, PAUSES[kind], sign=False))
    assert not seen.nothing and not seen.turntable and not seen.overlays()


def test_a_logo_is_found_beside_a_pause(tmp_path: Path) -> None:
    ((left, top, *_),) = look(walk(tmp_path, PAUSES["in the middle"], sign=True)).overlays()
    assert left > 0.7 and top > 0.75


def test_a_clip_that_never_moves_stands_still(tmp_path: Path) -> None:
    assert look(walk(tmp_path, [0] * 100, sign=False)).nothing


def hidden(kind: str, picture: np.ndarray) -> np.ndarray:
    """Return a picture [H, W, 3] uint8 as a bad camera would have taken it."""
    if kind == "noise":
        return (picture + RNG.normal(0, 20, picture.shape)).clip(0, 255).astype(np.uint8)
    if kind == "flat tones":
        return (110 + 0.2 * picture).astype(np.uint8)
    height, width = picture.shape[:2]
    y, x = np.mgrid[-1 : 1 : 1j * height, -1 : 1 : 1j * width]
    return (picture * np.exp(-1.2 * (x**2 + y**2))[..., None]).astype(np.uint8)


@pytest.fixture(scope="module")
def sound(vase_video: Path) -> list[np.ndarray]:
    """Return some frames of the sample clip."""
    return pictures(vase_video)[::12]


@pytest.mark.parametrize("kind", ["noise", "dark rims", "flat tones"])
def test_what_hides_features_is_taken_away_for_colmap(kind: str, sound: list[np.ndarray], tmp_path: Path) -> None:
    frames = [tmp_path / f"{number:06d}.png" for number in range(len(sound))]
    for path, picture in zip(frames, sound, strict=True):
        Image.fromarray(hidden(kind, picture)).save(path)
    before = [np.asarray(Image.open(path).convert("L")) for path in frames]
    copies = legible(frames, tmp_path / "copies")
    assert [path.name for path in copies] == [path.name for path in frames] and copies != frames
    after = [np.asarray(Image.open(path)) for path in copies]
    if kind == "noise":
        assert max(map(noise, after)) < 0.3 * min(map(noise, before))
    elif kind == "flat tones":
        assert np.std(before) < 15 and np.std(after) > 30
    else:
        assert np.mean([*map(dim_share, before)]) > 0.2 and max(map(dim_share, after)) == 0


def test_tones_are_those_between_black_bars(sound: list[np.ndarray]) -> None:
    greys = [hidden("flat tones", picture).mean(-1).astype(np.uint8) for picture in sound]
    barred = [np.pad(grey, ((200, 200), (0, 0))) for grey in greys]
    assert Tones.of(barred) == Tones.of(greys) and Tones.of(greys).flat


def test_tones_of_one_grey_are_not_torn_apart(sound: list[np.ndarray]) -> None:
    grey = (sound[0][..., 0] // 100).astype(np.uint8)
    assert Tones.of([grey]).flat and np.ptp(Tones.of([grey]).spread(grey)) <= 5 * np.ptp(grey)


def test_brighter_pictures_of_a_flat_clip_keep_their_lights(sound: list[np.ndarray]) -> None:
    dim, bright = ((factor * sound[0].mean(-1)).astype(np.uint8) for factor in (0.2, 0.3))
    tones = Tones.of([dim, dim, bright, bright])
    assert tones.flat and (tones.spread(bright) == 255).mean() < 0.02


@pytest.mark.parametrize("bars", [(0, 0), (0, 200), (200, 0)], ids=["none", "beside", "above and below"])
def test_sound_frames_are_seen_as_they_are(bars: tuple[int, int], sound: list[np.ndarray], tmp_path: Path) -> None:
    frames = [tmp_path / f"{number:06d}.png" for number in range(len(sound))]
    for path, picture in zip(frames, sound, strict=True):
        Image.fromarray(np.pad(picture, [(own, own) for own in (*bars, 0)])).save(path)
    assert legible(frames, tmp_path / "copies") == frames and not (tmp_path / "copies").exists()


def test_noise_is_found_between_bars(sound: list[np.ndarray]) -> None:
    grey = hidden("noise", sound[0]).mean(-1).astype(np.uint8)
    assert noise(np.pad(grey, ((0, 0), (500, 500)))) == pytest.approx(noise(grey), rel=0.05) and noise(grey) > 5


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_black_frame_with_a_line_of_light_is_dim(rows: int) -> None:
    frame = np.zeros((720, 1280), np.uint8)
    frame[:rows] = 40
    assert dim_share(frame) == 1 and noise(frame) < 1


def test_dark_rims_are_no_black_bars(tmp_path: Path, sound: list[np.ndarray]) -> None:
    frames = [tmp_path / f"{number:06d}.png" for number in range(10)]
    for number, path in enumerate(frames):
        shown = np.roll(sound[number % len(sound)], 7 * number, axis=1)
        Image.fromarray(hidden("dark rims", shown)).save(path)
    assert not [box for box in look(frames).overlays() if box[0] == 0 and box[2] == 1]
