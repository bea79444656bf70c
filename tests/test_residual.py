"""A residual is what a field leaves of its clip: it is kept as a stream, and the decoded frames have it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_field import lighter_and_darker, ramps, tiny_bundle

from nerfsem_method.background.pictures import residuals_of
from nerfsem_method.cli.info import Info
from nerfsem_method.cli.verify import Verify
from nerfsem_method.codec import nsem
from nerfsem_method.codec.filter import Filter
from nerfsem_method.codec.residual import MIDDLE, STEP, TAG, picture_of, with_difference
from nerfsem_method.errors import CorruptBundle
from nerfsem_method.field.state import QuantisedTensor
from nerfsem_method.playback.player import Player

BEFORE = (*nsem.FIELD_SECTIONS, *nsem.OCCUPANCIES, nsem.ZOOMS, nsem.TINTS, nsem.FILTER, *nsem.BACKGROUNDS)
"""Readers that came before the residual know these sections."""
CHANGE = 24
"""Each frame of the `path` bundle is so many grey levels lighter, or darker, than its field."""


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    """Return a bundle whose frames take turns to be lighter and darker than its field."""
    path, made = tmp_path_factory.mktemp("residual") / "relic.nsem", tiny_bundle()
    nsem.write(path, replace(made, background=ramps(made.video), residual=lighter_and_darker(made.video, CHANGE)))
    return path


def sign(index: int) -> int:
    return 1 if index % 2 else -1


def test_differences_of_any_size_come_back():
    wanted = np.arange(-254, 256, 2)[None, :, None].repeat(3, 2)
    shown = np.concatenate([np.full((1, 255, 3), 0.5), np.ones((1, 255, 1))], -1).astype(np.float32)
    changed = with_difference(shown, picture_of(wanted))
    assert np.allclose(changed[..., :3] * 255, np.clip(127.5 + wanted, 0, 255), atol=1e-3)


def test_what_is_transparent_stays_so():
    shown = np.array([[[0, 0, 0, 0], [0.2, 0.2, 0.2, 0.5]]], np.float32)
    for value in (0, 255):
        changed = with_difference(shown, np.full((1, 2, 3), value, np.uint8))
        assert (changed[..., 3] == shown[..., 3]).all() and (changed[0, 0] == 0).all()
        assert changed.min() >= 0 and (changed[..., :3] <= changed[..., 3:]).all()


def test_what_is_half_transparent_changes_by_half():
    shown = np.array([[[0.2, 0.2, 0.2, 0.5]]], np.float32)
    changed = with_difference(shown, picture_of(np.full((1, 1, 3), CHANGE)))
    assert np.allclose(changed[..., :3], 0.2 + 0.5 * CHANGE / 255, atol=1e-6)


def test_it_is_added_after_the_filter(path):
    weights = np.arange(-36, 36, dtype=np.int32).reshape(2, 4, 3, 3)
    kept = Filter(QuantisedTensor(weights, -6), QuantisedTensor(weights.reshape(4, 2, 3, 3), -8))
    read = replace(nsem.read(path), filter=kept)
    for index, picture in enumerate(residuals_of(read)):
        sharp = Player(replace(read, residual=None), "cpu").premultiplied(index)
        assert (Player(read, "cpu").premultiplied(index) == with_difference(sharp, picture)).all()
    plain = Player(replace(read, filter=None, residual=None), "cpu").premultiplied(0)
    assert (plain != Player(replace(read, residual=None), "cpu").premultiplied(0)).any()


def test_a_player_shows_it_in_any_order(path):
    whole, bare = (Player(bundle, "cpu") for bundle in (nsem.read(path), replace(nsem.read(path), residual=None)))
    for index in (3, 4, 4, 1, 5, 0):
        field, shown = bare.premultiplied(index), whole.premultiplied(index)
        solid = (field[..., 3] > 0.9) & (abs(field[..., :3].mean(-1) - 0.5) < 0.3)
        assert solid.sum() > 20
        assert 255 * (shown - field)[solid][:, :3].mean() == pytest.approx(sign(index) * CHANGE, abs=3)
    assert (whole.frame(2)[..., 3] == bare.frame(2)[..., 3]).all()


def test_several_threads_may_ask_for_frames(path):
    player = Player(nsem.read(path), "cpu")
    wanted = [player.premultiplied(index) for index in range(6)]
    indices = [0, 5, 2, 4, 1, 3] * 4
    with ThreadPoolExecutor(3) as pool:
        for index, shown in zip(indices, pool.map(player.premultiplied, indices), strict=True):
            assert (shown == wanted[index]).all()


def test_damage_is_told_again_and_frames_before_it_are_shown(path):
    read = nsem.read(path)
    assert read.residual is not None
    player = Player(replace(read, residual=read.residual[: len(read.residual) // 2]), "cpu")
    for _ in range(2):
        with pytest.raises(CorruptBundle, match="the residual"):
            player.premultiplied(5)
    assert (player.premultiplied(0) == Player(read, "cpu").premultiplied(0)).all()


def test_a_fresh_process_decodes_it_from_the_middle(path, tmp_path):
    command = [path, tmp_path / "frames", "--mode", "fp", "--frames", "2:5"]
    subprocess.run([sys.executable, "-m", "nerfsem_method.cli.main", "decode", *command], check=True, capture_output=True)
    whole = Player(nsem.read(path), "cpu")
    for index in (2, 3, 4):
        shown = np.asarray(Image.open(tmp_path / f"frames/{index:06d}.png")).astype(int)
        assert np.abs(shown - whole.composited(index, (255, 255, 255))).max() <= 1


def test_it_is_told_and_sound_and_stays_when_the_background_goes(path, capsys):
    Verify((path,)).run()
    Info((path,)).run()
    assert "residual, AV1" in capsys.readouterr().out
    held = nsem.decode(nsem.drop_background(path.read_bytes()))
    assert held.mode == "fp" and held.residual == nsem.read(path).residual
    assert nsem.encode(nsem.read(path)) == path.read_bytes()


def test_readers_of_before_show_the_field_alone(path):
    """They pass over a section that they do not know by its lower case."""
    assert TAG in {section.tag for section in nsem.unpack(path.read_bytes(), BEFORE)}


@pytest.mark.parametrize("spoil", [lambda data: b"", lambda data: data[1:]])
def test_what_is_no_stream_is_refused(path, spoil):
    read = nsem.read(path)
    forged = nsem.pack(nsem.sections(replace(read, residual=spoil(read.residual))))
    with pytest.raises(CorruptBundle, match="the residual holds no stream of av1"):
        nsem.decode(forged)


def test_a_residual_that_is_cut_is_refused_by_verify(path, tmp_path):
    read = nsem.read(path)
    assert read.residual is not None
    forged = replace(read, residual=read.residual[: len(read.residual) // 2])
    (tmp_path / "short.nsem").write_bytes(nsem.pack(nsem.sections(forged)))
    with pytest.raises(CorruptBundle, match="the residual"):
        Verify((tmp_path / "short.nsem",)).run()


def test_a_residual_of_another_day_shows_the_same_pictures():
    """Encoders change and give other bytes; what was once written stays what it is."""
    read = nsem.read(Path(__file__).parent / "golden/residual-fp.nsem")
    for index, picture in enumerate(residuals_of(read)):
        assert np.abs(picture.astype(int) - MIDDLE - sign(index) * CHANGE / STEP).max() <= 2
