"""These tests run COLMAP on small clips that strangers send, against the true cameras of their frames."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from make_clips import pictures
from PIL import Image, ImageDraw
from scipy.spatial.transform import Rotation

from nerfsem_method.capture.cameras.poses import solve
from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.clip.frames import extract
from nerfsem_method.media.clip.door import open_clip

pytestmark = pytest.mark.slow


def silent(done: int, total: int) -> None:
    pass


def solved(video: Path, folder: Path, count: int | None = None) -> SparseModel:
    """Return the cameras of a clip's first `count` frames, or of all."""
    clip = open_clip(video)
    return solve(extract(clip, folder, (clip.width, clip.height), silent)[:count], None, "auto", silent)


def degrees_off(model: SparseModel, vase_video: Path) -> np.ndarray:
    """Return how far the rotations of the frames with a pose are from the true ones, once the two worlds are turned alike."""
    truth = json.loads((vase_video.parent / "vase_cameras.json").read_text())["cam_from_world"]
    true = Rotation.from_matrix(np.array(truth)[: len(model.poses)][model.posed][:, :, :3])
    found = Rotation.from_matrix(model.poses[model.posed][:, :, :3])
    turn = (found.inv() * true).mean()
    return np.degrees((found * turn * true.inv()).magnitude())


def test_a_logo_does_not_move_the_cameras_and_is_placed(cases: Path, vase_video: Path, tmp_path: Path) -> None:
    """Measured were 0.70 degrees, 1.76 at most; without the mask, and with still matches kept, it is 1.16 and 2.65, which this
    test notices. Of the whole turn it is 0.36 and 0.64, and 1.17 and 2.82 without either remedy.
    """
    model = solved(cases / "overlay/logo60.mp4", tmp_path, 30)
    assert model.registered.all() and len(model.overlays) == 1
    left, top, *_ = model.overlays[0]
    assert left > 0.7 and top > 0.75
    off = degrees_off(model, vase_video)
    assert np.median(off) < 0.9 and off.max() < 2.2


def test_a_black_frame_has_no_pose_and_the_others_have(cases: Path, vase_video: Path, tmp_path: Path) -> None:
    model = solved(cases / "black-frame/fade.mp4", tmp_path, 14)
    assert np.flatnonzero(~model.posed).tolist() == [0]
    assert np.median(degrees_off(model, vase_video)) < 0.6


def test_a_flash_title_cards_and_a_faded_end_have_no_pose(cases: Path, vase_video: Path, tmp_path: Path) -> None:
    """Cards match each other in every feature; they are an island beside the model."""
    card = Image.new("RGB", (270, 480), "black")
    for row in range(40, 440, 30):
        ImageDraw.Draw(card).text((40, row), f"Amphora {row}: red figures", fill="white")
    frames = [Image.fromarray(picture) for picture in pictures(cases / "base/base20.mp4")]
    shown = [*frames[:5], Image.new("RGB", card.size, "white"), *frames[5:10], card, card, card, *frames[10:16]]
    shown.append(Image.new("RGB", card.size, "black"))
    paths = [tmp_path / f"{number:06d}.png" for number in range(len(shown))]
    for path, picture in zip(paths, shown, strict=True):
        picture.save(path)
    model = solve(paths, None, "auto", silent)
    lost = [5, 11, 12, 13, 20]
    assert np.flatnonzero(~model.registered).tolist() == lost
    others = np.setdiff1d(np.arange(len(shown)), lost)
    true_frames = replace(model, poses=model.poses[others], registered=model.registered[others])
    assert np.median(degrees_off(true_frames, vase_video)) < 0.6
