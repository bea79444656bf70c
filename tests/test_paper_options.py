"""The paper's knobs, in its units, reach the bundle, and any decoder reads what they make."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from nerfsem_method.background import streams
from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.cli.export import Export
from nerfsem_method.codec import nsem
from nerfsem_method.codec.background import Background
from nerfsem_method.errors import NerfsemError
from nerfsem_method.pipeline import Options, compress
from nerfsem_method.playback.player import Player
from nerfsem_method.plugin import checkpoint
from nerfsem_method.plugin.config import NerfsemTrainerConfig, trainer_config
from nerfsem_method.plugin.scene_hull import scene_hull
from nerfsem_method.plugin.training import train
from nerfsem_method.training import presets
from nerfsem_method.training.occupancy import CONSERVATIVE
from nerfsem_method.training.options import PaperOptions
from nerfsem_method.training.radiance import RadianceField

pytestmark = pytest.mark.usefixtures("bare")


def smoke(scene, folder):
    """Return a training of some steps."""
    config = trainer_config("smoke")
    config.data = config.pipeline.datamanager.data = scene.root
    config.output_dir, config.max_num_iterations = folder, 6
    return config


@pytest.mark.parametrize("features", [1, 2, 4, 8])
def test_the_number_of_features_reaches_the_bundle(features, captured, vase_video, tmp_path):
    target = tmp_path / "relic.nsem"
    compress(vase_video, target, Options(preset="smoke", max_steps=30, paper=PaperOptions(features_per_level=features)))
    state = nsem.read(target).state
    assert {table.features for table in state.spec.tables} == {features}
    assert Player(nsem.read(target), "cpu").frame(0)[..., 3].any()


@pytest.mark.parametrize("levels", [0, 1, 2, 3])
def test_contexts_read_as_many_levels_as_they_may_and_any_decoder_follows(levels, vase_scene, tmp_path):
    config = smoke(vase_scene, tmp_path)
    config.pipeline.model.paper = PaperOptions(context_levels=levels)
    config.pipeline.model.course = replace(config.pipeline.model.course, rate_from=0.0)
    path = checkpoint.export(train(config), tmp_path, "fp", BackgroundOptions())
    state = nsem.read(path).state
    spec = state.spec
    for index in range(len(spec.volume) + len(spec.planes)):
        weights = state.contexts[f"{spec.context_name(index)}.0.weight"].integers
        previous = spec.previous(index)
        unread = sum(spec.tables[p].features for p in previous[: max(len(previous) - levels, 0)])
        read = sum(spec.tables[p].features for p in previous)
        assert not weights[:, :unread].any()
        assert read == unread or weights[:, unread:read].any()


def test_the_papers_lambda_is_ours_in_another_unit():
    """MSE + lambda * bits / N equals MSE + weight * bytes, N being the number of features of the tables."""
    spec = presets.load("paper").field
    assert spec.values == 9995472
    bits = 3.2e5
    weight = PaperOptions(paper_lambda=4e-3).rate_weight(spec)
    assert weight is not None and weight * bits / 8 == pytest.approx(4e-3 * bits / spec.values)
    assert PaperOptions(paper_lambda=4e-3, features_per_level=1).rate_weight(spec) == pytest.approx(2 * weight)
    assert PaperOptions().rate_weight(spec) is None


def test_the_papers_lambda_steers_a_training(vase_scene, tmp_path):
    config = smoke(vase_scene, tmp_path)
    config.pipeline.model.paper = PaperOptions(paper_lambda=2e-3)
    (kept,) = (train(config).parent / "nerfstudio_models").iterdir()
    weight = torch.load(kept, weights_only=True)["pipeline"]["_model.rate_weight"].item()
    assert weight == pytest.approx(8 * 2e-3 / config.pipeline.model.spec.values)


def test_the_density_decides_where_asked(vase_scene, tmp_path):
    """Only voxels of the hull in which the density exceeds the threshold are left, whatever rays have seen."""
    config = smoke(vase_scene, tmp_path)
    config.max_num_iterations = 40
    config.pipeline.model.paper = PaperOptions(occupancy_by="density", density_threshold=1e-3)
    path = checkpoint.export(train(config), tmp_path, "fp", BackgroundOptions())
    field = RadianceField.from_state(nsem.read(path).state)
    hull = scene_hull(vase_scene, 32)
    dense = field.occupancy.occupied.numpy()
    assert (dense == hull).mean() > 0.99, "such a threshold keeps everything"
    field.estimate_density()
    known = field.occupancy.density
    field.occupy_by_density(float(known[known > 0].median()) / CONSERVATIVE)
    kept = field.occupancy.occupied.numpy()
    assert 0.2 * hull.sum() < kept.sum() < 0.8 * hull.sum() and not (kept & ~hull).any()


def test_the_published_fill_reaches_the_bundle(captured, vase_scene, vase_video, tmp_path):
    """The paper's plate is flat up to the outline; ours continues the background there, which is other bytes and other pixels."""
    plates = []
    for fill in ("rim", "mean"):
        target = tmp_path / f"{fill}.nsem"
        compress(vase_video, target, Options("pc", "smoke", max_steps=2, background=BackgroundOptions(crf=10, fill=fill)))
        background = nsem.read(target).background
        assert isinstance(background, Background)
        plates.append(next(streams.decode(background.stream, 90, 160, 12)).astype(int))
    matte = np.asarray(Image.open(vase_scene.root / vase_scene.frames[0].matte).convert("L"))
    inside, fill = cv2.erode((matte > 127).astype(np.uint8), np.ones((3, 3))) > 0, background.fill.astype(int)
    rim, mean = (np.abs(plate - fill)[inside] for plate in plates)
    assert mean.mean() < 4 < rim.mean() - mean.mean()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"paper": PaperOptions(paper_lambda=0.0)}, "--paper-lambda 0 gives no rate a price"),
        ({"paper": PaperOptions(density_threshold=-1.0)}, "--density-threshold -1 keeps every voxel"),
        ({"paper": PaperOptions(paper_lambda=1e-3), "rate_weight": 1e-8}, "one thing in two units"),
        ({"paper": PaperOptions(features_per_level=8), "preset": "standard"}, "larger than a bundle may hold"),
    ],
    ids=["lambda", "threshold", "units", "features"],
)
def test_knobs_that_cannot_be_meant_are_refused_first(changes, message, captured, vase_video, tmp_path):
    with pytest.raises(NerfsemError, match=message):
        compress(vase_video, tmp_path / "relic.nsem", Options(**{"preset": "smoke", **changes}))
    assert not captured


def test_ns_train_and_ns_export_know_the_PaperOptions():
    import tyro

    words = "--pipeline.model.paper.features-per-level 2 --pipeline.model.paper.paper-lambda 0.004"
    made = tyro.cli(NerfsemTrainerConfig, default=trainer_config("paper"), args=words.split())
    assert made.pipeline.model.paper == PaperOptions(features_per_level=2, paper_lambda=0.004)
    assert yaml.load(yaml.dump(made), Loader=yaml.Loader) == made
    files = ["--load-config", "a.yml", "--output-dir", "out"]
    exported = tyro.cli(Export, args=[*files, "--mode", "pc", "--background-fill", "mean"])
    assert exported.background.fill == "mean"
