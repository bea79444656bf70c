"""Mattes are measured within a limited memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from nerfsem_method.capture.measured import load_measured


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
