"""Mattes are measured within a limited memory, and pictures are kept in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nerfsem_method.capture.measured import load_measured
from nerfsem_method.media import pictures


def test_mattes_that_fit_are_as_they_are_and_others_shrink(tmp_path: Path) -> None:
    names = [f"{index:06d}.png" for index in range(5)]
    matte = np.zeros((60, 40), np.uint8)
    matte[20:40, 10:30] = 255
    for name in names:
        Image.fromarray(matte).save(tmp_path / name)
    assert np.array_equal(load_measured(tmp_path, names[:2]), np.stack([matte, matte]))
    small = load_measured(tmp_path, names, most=5 * 30 * 20)
    assert small.shape == (5, 30, 20) and small.nbytes <= 5 * 30 * 20
    assert np.abs(small.mean((1, 2)) - matte.mean()).max() < 1


def test_kept_pictures_are_decoded_once_unless_their_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = np.full((6, 8), 10, np.uint8), np.full((6, 8), 20, np.uint8)
    folder = tmp_path / "partial"
    folder.mkdir()
    pictures.write_picture(folder / "a.png", first)
    pictures.write_picture(folder / "b.png", second)
    monkeypatch.setattr(pictures, "MOST_KEPT", first.nbytes)
    with pictures.keeping_pictures():
        kept = pictures.read_picture(folder / "a.png", grey=True)
        assert np.array_equal(kept, first) and not kept.flags.writeable
        folder = folder.rename(tmp_path / "whole")
        assert pictures.read_picture(folder / "a.png", grey=True) is kept
        one, other = (pictures.read_picture(folder / "b.png", grey=True) for _ in range(2))
        assert one is not other and np.array_equal(one, second)
        pictures.write_picture(folder / "a.png", np.vstack([second, second]))
        assert pictures.read_picture(folder / "a.png", grey=True).shape == (12, 8)
    assert pictures.read_picture(folder / "a.png", grey=True).flags.writeable
