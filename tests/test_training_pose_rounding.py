"""Poses of a finished field are as exact as its pictures ask for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_codec_cameras import rotation
from tiny_field import DENSE, tiny_bundle

from nerfsem_method.codec import nsem
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.playback.player import Player
from nerfsem_method.raycast.caster import Raycaster
from nerfsem_method.training.pose_rounding import COARSER, with_rounded_poses

SEEN = list(range(0, 40, 2))
ASKED = [0, 6, 10, 16, 22, 28, 32, 38]
"""So eight frames are spread evenly over those that were trained on."""


def off_the_grid(frames: int = 40) -> Bundle:
    """Return a bundle whose poses are no round numbers and whose frames are darker than its field."""
    made = tiny_bundle(DENSE, frames)
    shift = np.random.default_rng(0).normal(size=(frames, 3)) * 1e-2
    poses = made.poses + np.pad(shift[..., None], ((0, 0), (0, 0), (3, 0)))
    poses[:, :, :3] = poses[:, :, :3] @ rotation(1, 0.0123)
    width, height = 96, 128
    video = replace(made.video, width=width, height=height)
    return replace(made, video=video, camera=made.camera.scaled(width, height), poses=poses, gains=made.gains * 0.7)


def error(made: Bundle, clip: dict[int, np.ndarray]) -> float:
    """Return the mean squared error over white that a player of the bundle makes in a clip of straight RGBA, uint8."""
    player, errors = Player(made, "cpu"), []
    for index, frame in clip.items():
        shown, alpha = player.premultiplied(index).astype(float), frame[..., 3:] / 255
        wanted = frame[..., :3] / 255 * alpha + 1 - alpha
        errors.append(np.square(shown[..., :3] + 1 - shown[..., 3:] - wanted).mean())
    return float(np.mean(errors))


@pytest.mark.parametrize("price", [0.0, 1e-8, 1e-7, 1e-6, 1.0])
def test_poses_are_as_coarse_as_the_price_of_a_byte_makes_them(price: float) -> None:
    """What is kept costs least by a player's pictures, of the frames that were trained on alone."""
    bundle, asked = off_the_grid(), []
    player = Player(bundle, "cpu")
    clip = {index: player.frame(index) for index in ASKED}
    made = with_rounded_poses(bundle, lambda index: asked.append(index) or clip[index], SEEN, price)
    assert asked == ASKED
    tried = [bundle.quantised(coarser) for coarser in COARSER]
    sizes = [len(nsem.encode(each)) for each in tried]
    costs = [error(each, clip) + price * size for each, size in zip(tried, sizes, strict=True)]
    np.testing.assert_array_equal(made.poses, tried[int(np.argmin(costs))].poses)


def test_frames_of_other_lenses_are_looked_at_through_these(monkeypatch) -> None:
    made = replace(off_the_grid(), zooms=np.where(np.arange(40) % 3, 1.0, 2.0))
    clip = {index: Player(made, "cpu").frame(index) for index in ASKED}
    held, asked, through = made.quantised(), [], Raycaster.through
    monkeypatch.setattr(Raycaster, "through", lambda caster, camera: asked.append(camera) or through(caster, camera))
    rounded = with_rounded_poses(made, clip.__getitem__, SEEN, 0.0)
    assert asked == [held.camera_of(index) for index in ASKED] and {camera.fx for camera in asked} == {160, 320}
    assert rounded.zooms is not None and (rounded.zooms == made.zooms).all()


@pytest.mark.parametrize("coarser", COARSER)
def test_coarse_poses_are_written_as_they_are(coarser: float) -> None:
    """A decoder holds them, and a bundle that is written again has the same bytes."""
    made = off_the_grid().quantised(coarser)
    data = nsem.encode(made)
    np.testing.assert_array_equal(nsem.decode(data).poses, made.poses)
    assert nsem.encode(nsem.decode(data)) == data == nsem.encode(made.quantised())
