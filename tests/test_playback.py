"""The player shows a decoded bundle with its exposure, as straight alpha or over what lies behind."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_field import tiny_bundle

from nerfsem_method.codec import nsem
from nerfsem_method.codec.tints import exposed
from nerfsem_method.errors import NerfsemError
from nerfsem_method.playback.player import WHITE, Player
from nerfsem_method.playback.torch_renderer import TorchRenderer
from nerfsem_method.playback.viewpoint import around, of_frame
from nerfsem_method.raycast.caster import Raycaster
from nerfsem_method.scene.camera import Intrinsics


@pytest.fixture(scope="module")
def made():
    return tiny_bundle()


@pytest.fixture(scope="module")
def player(made):
    return Player(made, "cpu")


def test_a_frame_has_its_exposure(made, player):
    gains = made.gains.copy()
    gains[2] = 0.5, 0.25, 1.0
    plain, dimmed = player.premultiplied(2), Player(replace(made, gains=gains), "cpu").premultiplied(2)
    assert plain[..., :3].max() > 0.2
    np.testing.assert_allclose(dimmed[..., :3], plain[..., :3] * gains[2], atol=1e-6)
    np.testing.assert_array_equal(dimmed[..., 3], plain[..., 3])


def test_no_colour_is_brighter_than_white(made):
    seen = Player(replace(made, gains=np.full_like(made.gains, 50.0)), "cpu").premultiplied(0)
    assert (seen[..., :3] <= seen[..., 3:]).all()


def test_straight_alpha_and_composition_say_the_same(player):
    straight = player.frame(1).astype(float)
    alpha = straight[..., 3:] / 255
    assert 0 < alpha.mean() < 1
    for ground in ((255, 255, 255), (0, 64, 128)):
        by_hand = straight[..., :3] * alpha + np.array(ground) * (1 - alpha)
        np.testing.assert_allclose(player.composited(1, ground), by_hand, atol=2)
        exact = player.premultiplied(1)[..., :3] * 255 + (1 - player.premultiplied(1)[..., 3:]) * np.array(ground)
        assert np.abs(player.composited(1, ground) - exact).max() < 0.501  # rounded, not cut
    plate = np.random.default_rng(0).integers(0, 256, (32, 24, 3), np.uint8)
    empty = alpha[..., 0] == 0
    np.testing.assert_array_equal(player.composited(1, plate)[empty], plate[empty])


def test_samples_are_rounded_as_the_format_says():
    """At this pixel of the vase a sample lies one unit of the last place beyond the border of a voxel that is occupied."""
    vase = nsem.read(Path(__file__).parent / "golden/vase.nsem")
    assert np.abs(Player(vase, "cpu").composited(102, WHITE)[205, 201].astype(int) - (120, 94, 82)).max() <= 2


def test_frames_are_seen_through_their_own_lens(made):
    zooms = np.array([1, 2, 2, 1, 0.5, 1])
    zoomed = replace(made, zooms=zooms)
    player = Player(zoomed, "cpu")
    for index in (0, 1, 2, 3, 4, 3):
        lens = made.camera.zoomed(zooms[index])
        picture = exposed(Raycaster(made.state, lens).picture(made.poses[index]), made.colors[index])
        np.testing.assert_array_equal(player.premultiplied(index), picture)
        np.testing.assert_array_equal(player.seen(of_frame(zoomed, index, (lens.width, lens.height))), picture)
    assert around(zoomed, 30, None, 1, (24, 32)).camera.fx == made.camera.fx


def test_a_lens_is_set_up_once_for_many_frames(made, monkeypatch):
    asked = []
    directions = Intrinsics.unit_directions
    monkeypatch.setattr(Intrinsics, "unit_directions", lambda camera: asked.append(camera.fx) or directions(camera))
    list(Player(replace(made, zooms=np.array([1, 2, 1, 2, 3, 3.0])), "cpu").frames("fp"))
    assert asked == [40, 80, 120]


def test_torch_sees_frames_through_their_own_lens(made):
    lens = made.camera.zoomed(1.5)
    renderer = TorchRenderer(made.state, made.camera, "cpu").through(lens)
    picture = Raycaster(made.state, lens).picture(made.poses[1])
    np.testing.assert_allclose(renderer.picture(made.poses[1]), picture, atol=0.2 / 255)


def test_a_part_of_the_clip(player):
    whole, part = list(player.frames("fp")), list(player.frames("fp", start=2, stop=4))
    assert len(whole) == 6 and len(part) == 2
    np.testing.assert_array_equal(part, whole[2:4])


def test_without_background_there_is_no_pc(player):
    with pytest.raises(NerfsemError, match="--mode fp"):
        next(player.frames("pc"))


def test_a_gpu_that_is_not_there_is_told_in_a_line(made, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(NerfsemError, match="no GPU"):
        Player(made, "cuda")
