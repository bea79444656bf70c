"""Half pictures that were scaled as if they were whole ones are noticed, and no other frames are."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from make_clips import pictures

from nerfsem_method.capture.clip.comb import FEWEST, comb, scaled_comb


@pytest.fixture(scope="module")
def turn(vase_video: Path) -> list[np.ndarray]:
    """Return grey frames of a camera that walks around a vase."""
    return [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures(vase_video)[:24]]


def woven(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Return frames whose odd rows are those of the next one."""
    odd = np.arange(len(frames[0]))[:, None] % 2 == 1
    return [np.where(odd, after, before) for before, after in pairwise(frames)]


def scaled(frames: list[np.ndarray], rows: int) -> list[np.ndarray]:
    return [cv2.resize(frame, (frame.shape[1], rows), interpolation=cv2.INTER_CUBIC) for frame in frames]


def told(frames: list[np.ndarray]) -> bool:
    return scaled_comb(np.array([comb(frame) for frame in frames]))


@pytest.mark.parametrize("rows", [360, 400, 720])
def test_woven_frames_that_were_scaled_are_noticed(turn, rows) -> None:
    assert told(scaled(woven(turn), rows))


@pytest.mark.parametrize("rows", [360, 480, 720])
def test_whole_frames_are_not(turn, rows) -> None:
    assert not told(scaled(turn, rows))


def test_a_picture_that_is_bright_above_hides_no_comb(turn) -> None:
    bright = np.linspace(150, 0, 360)[:, None]
    assert told([(0.4 * frame + bright).astype(np.uint8) for frame in scaled(woven(turn), 360)])


def test_it_is_the_same_comb_in_nearly_all_frames_or_none(turn) -> None:
    combs = np.array([comb(frame) for frame in scaled(woven(turn), 360)])
    out, period = combs.T
    assert scaled_comb(combs) and not scaled_comb(np.column_stack([0.2 * out, period]))
    assert not scaled_comb(np.column_stack([out, np.where(np.arange(len(out)) < 2, period + 0.1, period)]))
    lost = np.where(np.arange(len(out))[:, None] < FEWEST, combs, np.nan)
    assert scaled_comb(lost) and not scaled_comb(lost[1:])


def test_a_black_frame_has_no_comb() -> None:
    assert comb(np.zeros((64, 48), np.uint8))[0] == 0
