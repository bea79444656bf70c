"""A finished training becomes a bundle: a filter is fitted to whole frames, and a residual is what it leaves of all."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from small_disk import no_file_above
from tiny_field import DENSE, tiny_bundle
from true_scene import true_scene

from nerfsem_method.background.pictures import residuals_of
from nerfsem_method.codec import nsem
from nerfsem_method.codec.residual import MIDDLE
from nerfsem_method.errors import OutputError
from nerfsem_method.evaluation import gate
from nerfsem_method.playback.player import Player
from nerfsem_method.plugin import finishing, residual
from nerfsem_method.plugin.config import trainer_config
from nerfsem_method.plugin.residual import with_residual
from nerfsem_method.scene.scene import Scene
from nerfsem_method.training.filter import FilterGain
from nerfsem_method.training.goal import Goal

WIDTH, HEIGHT = 72, 128


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Scene:
    """Return a scene of few frames; all tests share it."""
    return true_scene(tmp_path_factory.mktemp("scene") / "vase.nerfsem", every=15, width=WIDTH, height=HEIGHT)


@pytest.fixture(scope="module")
def plain(scene):
    """Return a bundle with the scene's cameras, whose field shows something else."""
    made = tiny_bundle(DENSE, len(scene.frames))
    video = replace(made.video, width=WIDTH, height=HEIGHT, rate=Fraction(15))
    return replace(made, video=video, camera=scene.camera, poses=scene.poses)


def test_nothing_is_known_of_what_lies_beyond_a_crop(scene, plain):
    """There the picture is made up, and the field is right."""
    half = replace(scene, frames=tuple(replace(frame, window=(0.0, 0.25, 0.5, 1.0)) for frame in scene.frames))
    player = Player(plain, "cpu")
    for index in range(len(scene.frames)):
        whole, known = (residual._left(player, one, index) for one in (scene, half))
        rows, columns = slice(HEIGHT // 4, None), slice(WIDTH // 2)
        assert (known[rows, columns] == whole[rows, columns]).all()
        assert (known[: HEIGHT // 4] == MIDDLE).all() and (known[:, WIDTH // 2 :] == MIDDLE).all()
        assert (whole[:, WIDTH // 2 :] != MIDDLE).any()


def test_filter_and_poses_are_fitted_to_whole_frames_where_there_are_any(scene, plain, monkeypatch):
    fitted = []
    monkeypatch.setattr(finishing, "with_rounded_poses", lambda bundle, frame, seen, weight: fitted.append(seen) or bundle)
    monkeypatch.setattr(
        finishing, "find_filter", lambda bundle, frame, seen, steps, weight: fitted.append(seen) or FilterGain()
    )
    pipeline: Any = trainer_config("smoke").pipeline
    window = (0.0, 0.25, 0.5, 1.0)
    for cropped in (range(0), range(3), range(len(scene.frames))):
        frames = tuple(replace(frame, window=window if frame.index in cropped else None) for frame in scene.frames)
        finishing.finished(pipeline, replace(scene, frames=frames), plain, 1e-8)
    every = list(range(len(scene.frames)))
    assert fitted == [every, every, every[3:], every[3:], every, every]


def test_a_residual_that_leads_too_far_is_not_kept(scene, plain, monkeypatch):
    """Where even the coarsest is finer than was asked for, the field alone may be nearer to it."""
    monkeypatch.setattr(residual, "CRF", 12)
    monkeypatch.setattr(residual, "SPAN", (8, 12))
    before = gate.psnr_center(scene, plain)
    assert before is not None
    assert with_residual(plain, scene, Goal(psnr=before + 0.2)).residual is None
    held = with_residual(plain, scene, Goal(psnr=before + 30))
    after = gate.psnr_center(scene, held)
    assert held.residual is not None and after is not None and after > before + 1
    assert len(list(residuals_of(held))) == len(scene.frames)


def test_a_residual_that_is_larger_than_what_is_left_is_not_kept(scene, plain, monkeypatch):
    monkeypatch.setattr(residual, "CRF", 12)
    monkeypatch.setattr(residual, "SPAN", (8, 12))
    size = len(nsem.encode(plain))
    assert with_residual(plain, scene, Goal(size=1.1 * size)).residual is None
    assert with_residual(plain, scene, Goal(size=20 * size)).residual is not None


def test_a_residual_is_taken_as_soon_as_the_size_is_met(scene, plain, monkeypatch):
    """A crf makes a residual larger by more than a size's tolerance below it; on both sides there is mostly room for one."""
    asked = []
    monkeypatch.setattr(residual, "_stream", lambda bundle, scene, excess, near: asked.append((excess, near)) or b"")
    field = len(nsem.encode(plain))
    goal = Goal(size=4 * field)
    with_residual(plain, scene, goal)
    ((excess, near),) = asked
    for share, wrong in ((0.94, -1), (0.96, 0), (1.04, 0), (1.06, 1)):
        over = excess(bytes(round(share * 4 * field) - field))
        assert (over > 0) - (over < -near) == wrong and goal.met(share * 4 * field) == (wrong == 0)


def test_a_full_disk_is_told(scene, plain):
    with no_file_above(20_000), pytest.raises(OutputError, match="no space left in"):
        with_residual(plain, scene, Goal(psnr=60.0))
    assert not list(Path(tempfile.gettempdir()).glob("nerfsem-residual-*"))
