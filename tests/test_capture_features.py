"""These tests say how much of a frame is looked at for features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest
from scipy import ndimage

from nerfsem_method.capture.colmap import matching
from nerfsem_method.capture.colmap.job import Job
from nerfsem_method.media.pictures import write_picture

COUNT = 3


def found(folder: Path, pictures: list[np.ndarray]) -> list[int]:
    """Return how many features are found in each of some pictures [H, W]."""
    folder.mkdir()
    names = [f"{number:06d}.png" for number in range(len(pictures))]
    for name, picture in zip(names, pictures, strict=True):
        write_picture(folder / name, np.repeat(picture[..., None], 3, 2))
    job = Job(str(folder), str(folder), names, max(pictures[0].shape), None, False, False, str(folder))
    matching.extract(job, folder / "database.db")
    with pycolmap.Database.open(str(folder / "database.db")) as database:
        assert database.num_images() == len(names)
        return [len(matching.read_features(database, matching.image_id(database, name))[0]) for name in names]


def textured(height: int, width: int) -> list[np.ndarray]:
    """Return pictures of a textured wall."""
    noise = np.random.default_rng(0).normal(size=(COUNT, height, width))
    return [(128 + 250 * ndimage.gaussian_filter(own, 2)).clip(0, 255).astype(np.uint8) for own in noise]


def framed(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a picture in the middle of black bars."""
    whole = np.zeros((height, width), np.uint8)
    top, left = (height - picture.shape[0]) // 2, (width - picture.shape[1]) // 2
    whole[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return whole


@pytest.mark.parametrize("height, width", [(480, 854), (640, 480)], ids=["beside", "above and below"])
def test_bars_around_a_small_picture_take_none_of_its_features(tmp_path: Path, height: int, width: int) -> None:
    small = textured(160, 140)
    alone = found(tmp_path / "small", small)
    within = found(tmp_path / "framed", [framed(picture, height, width) for picture in small])
    assert all(0.9 * a < b < 1.3 * a for a, b in zip(alone, within, strict=True))


def test_large_frames_with_enough_to_see_are_looked_at_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = [framed(picture, 480, 854) for picture in textured(300, 400)]
    asked = found(tmp_path / "large", large)
    monkeypatch.setattr(matching, "FEW_FEATURES", 10**6)
    doubled = found(tmp_path / "doubled", large)
    assert all(a < 0.8 * b for a, b in zip(asked, doubled, strict=True))
