"""The published field, made small, trains, round-trips and plays as the preset `paper` does; its knobs reach the bundle."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_field import HASHED, ball, orbit, tiny_state
from true_scene import true_scene

from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.codec import nsem, walk
from nerfsem_method.errors import FieldTooLarge
from nerfsem_method.field.spec import Level
from nerfsem_method.playback.player import Player
from nerfsem_method.plugin import checkpoint
from nerfsem_method.plugin.config import NerfsemTrainerConfig, trainer_config
from nerfsem_method.plugin.training import train
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.scene.scene import Video
from nerfsem_method.training import presets, rate
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.conductor import Conductor, TrainingClip
from nerfsem_method.training.course import Course
from nerfsem_method.training.radiance import RadianceField
from nerfsem_method.training.snapshot import measured_bytes, snapshot

STEPS = 50
VIDEO = Video("relic.mp4", 8, 8, 2, Fraction(30), "ab" * 32)
TWIN = replace(
    presets.load("paper").field,
    volume=tuple(Level(n, 2) for n in (4, 5, 7, 9, 11, 14, 17, 21, 26, 32, 40, 48)),
    planes=tuple(Level(n, 2) for n in (16, 24, 36, 54)),
    log2_volume_limit=12,
    log2_plane_limit=10,
    occupancy=32,
    steps=64,
)
"""This is the published field with finer levels left out: 12 + 4 levels of which the finest are hashed, width 160, a colour a
sample, positional encoding."""


def twin_config(scene, folder: Path) -> NerfsemTrainerConfig:
    """Return the preset `paper` with the small field, for a training of seconds."""
    config = trainer_config("paper")
    config.data = config.pipeline.datamanager.data = scene.root
    config.output_dir, config.max_num_iterations = folder, STEPS
    config.pipeline.datamanager.train_num_rays_per_batch = 2048
    model = config.pipeline.model
    model.spec, model.sample_budget = TWIN, 6000
    model.course = replace(model.course, rate_samples=2000, carve_every=0.1, fewest_steps=10, align_at=())
    return config


def test_a_small_twin_of_the_published_field_trains_and_decodes(tmp_path):
    scene = true_scene(tmp_path / "vase.nerfsem", every=5, width=135, height=240)
    config = twin_config(scene, tmp_path)
    assert sum(table.hashed for table in TWIN.tables) == 12 and not TWIN.tables[0].hashed
    path = checkpoint.export(train(config), tmp_path, "fp", BackgroundOptions())
    read = nsem.read(path)
    assert read.state.spec == TWIN and read.filter is None
    largest = max(np.abs(tensor.integers).max() for tensor in read.state.heads.values())
    assert 256 <= largest < 768, "10 bits with sign when the steps were fixed, and what training adds to that"
    assert nsem.sizes(path.read_bytes())["HEAD"] > 0.7 * path.stat().st_size, "the heads are most of such a bundle"
    player = Player(read, "cpu")
    frame = player.frame(0).astype(int)
    shown = scene.frames[0]
    source = np.asarray(Image.open(scene.root / shown.image).convert("RGB"), int)
    matte = np.asarray(Image.open(scene.root / shown.matte).convert("L"))
    inside = matte > 127
    error = np.abs(frame[..., :3] - source)[inside].mean()
    assert error < 0.4 * np.abs(255 - source[inside]).mean()
    assert frame[..., 3][inside].mean() > 170 > 60 > frame[..., 3][matte == 0].mean()


def test_a_hull_too_large_for_a_bundle_trains_and_is_frozen_to_what_one_holds(monkeypatch):
    """The initial hull is solid: no bundle has to hold it, and the last occupancy is as large as one may."""
    monkeypatch.setattr(walk, "MAX_VERTICES", 6000)
    torch.manual_seed(0)
    field = RadianceField(HASHED, ball(HASHED.occupancy, 0.5, 1.0))
    cameras = CameraPath(Intrinsics(8, 8, 8.0, 8.0, 4.0, 4.0), orbit(2))
    assert not walk.fits(HASHED, field.occupancy.occupied.numpy())
    with pytest.raises(FieldTooLarge, match="level of 20.*until the occupancy is frozen"):
        nsem.encode(snapshot(field, cameras, VIDEO))
    table_bytes = field.rate.bits(field.grids, 10**6, np.random.default_rng(0)).item() / 8
    assert 500 < measured_bytes(field, cameras, VIDEO) - table_bytes < 3000, "heads, contexts and cameras are encoded"
    field.occupancy.seen.copy_(torch.rand(field.occupancy.seen.shape))
    field.freeze(0.1, 0.02)
    kept = field.occupancy.occupied
    assert walk.fits(HASHED, kept.numpy()) and kept.any()
    assert field.occupancy.seen[kept].min() > 0.2, "what contributes least has gone"
    nsem.decode(nsem.encode(snapshot(field, cameras, VIDEO)))


def test_a_part_of_the_entries_estimates_the_rate_of_all(monkeypatch):
    """Under a large hull the tables take turns; each turn is as good an estimate, and all entries stay coded."""
    field = RadianceField.from_state(tiny_state(HASHED))

    def bits():
        return field.rate.bits(field.grids, 10**6, np.random.default_rng(0)).item()

    whole, coded = bits(), field.grids.coded.clone()
    monkeypatch.setattr(rate, "LISTED", 4000)
    parts, listed = [], []
    for _ in range(8):
        field.rate.set_occupancy(field.grids, field.occupancy.occupied.numpy())
        parts.append(bits())
        listed.append(field.rate.layouts[3].entries)
        assert torch.equal(field.grids.coded, coded)
        assert len(field.rate.layouts[3].vertices) < 5000
    assert len(np.unique(np.concatenate(listed))) == field.rate.counts[3] > 1.5 * len(listed[0])
    assert np.mean(parts) == pytest.approx(whole, rel=0.03)
    assert all(part == pytest.approx(whole, rel=0.15) for part in parts) and len(set(parts)) > 1


def test_a_training_that_goes_on_lists_the_same_part(monkeypatch):
    """Where the tables take turns, a field that was loaded has had fewer of them than the one that was stopped."""
    monkeypatch.setattr(rate, "LISTED", 4000)
    clip = TrainingClip(VIDEO, torch.zeros(0, 8, 8, 4, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64), ())

    def conducted():
        field = RadianceField.from_state(tiny_state(HASHED))
        cameras = CameraPath(Intrinsics(8, 8, 8.0, 8.0, 4.0, 4.0), orbit(2))
        return field, Conductor(field, cameras, torch.tensor(1.0), Course(), 100, clip)

    (stopped, first), (loaded, second) = conducted(), conducted()
    stopped.rate.set_occupancy(stopped.grids, stopped.occupancy.occupied.numpy())
    first.kilobytes(8000.0)
    part = stopped.rate.layouts[3].entries
    assert not np.array_equal(loaded.rate.layouts[3].entries, part)
    second.remember(first.memory())
    assert np.array_equal(loaded.rate.layouts[3].entries, part)
    assert second.memory() == first.memory()
