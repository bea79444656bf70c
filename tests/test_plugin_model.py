"""The field as nerfstudio's model: what the loss asks for, and how many rays a step takes."""

from dataclasses import replace

import pytest
import torch
from test_plugin_training import smoke

from nerfsem_method.plugin.config import FusedAdamConfig, GridAdamConfig
from nerfsem_method.plugin.dataparser import world_scale
from nerfsem_method.plugin.model import FEWEST_RAYS
from nerfsem_method.plugin.training import train
from nerfsem_method.training.filter import FilterGain
from nerfsem_method.training.objective import Prediction
from nerfsem_method.training.snapshot import measured_bytes


@pytest.fixture
def trainer(vase_scene, tmp_path):
    config = smoke(vase_scene, tmp_path, timestamp="run", max_num_iterations=1000)
    config.vis, config.logging.local_writer.enable = "none", False
    made = config.setup(local_rank=0, world_size=1)
    made.setup()
    made.pipeline.train()
    return made


@pytest.fixture
def model(trainer):
    return trainer.pipeline.model


def outputs_of(batch):
    """Return what a perfect field would give."""
    colour, alpha = batch["image"][:, :3], batch["image"][:, 3:]
    return Prediction(colour * alpha, alpha, torch.tensor(0.5), torch.tensor(8000.0))


def loss_of(model, prediction, batch):
    return model.get_loss_dict({"prediction": prediction}, batch)


def tell(trainer, step):
    for callback in trainer.callbacks:
        callback.run_callback(step)


def test_the_loss_is_zero_for_the_true_colours_and_mattes_and_for_nothing_else(trainer, model):
    tell(trainer, 0)
    _, batch = trainer.pipeline.datamanager.next_train(0)
    truth = outputs_of(batch)
    assert loss_of(model, truth, batch)["mse"] < 1e-12
    for name in ("color", "accumulation"):
        wrong = replace(truth, **{name: getattr(truth, name) + 0.1})
        assert loss_of(model, wrong, batch)["mse"] > 1e-3
    paler = replace(truth, color=truth.color + 0.1, accumulation=truth.accumulation + 0.1)  # over white it looks the same
    assert loss_of(model, paler, batch)["mse"] > 1e-3


def test_lambda_counts_bytes_against_the_error_over_all_pixels_of_the_video(trainer, model):
    _, batch = trainer.pipeline.datamanager.next_train(0)
    tell(trainer, 99)
    assert "rate" not in loss_of(model, outputs_of(batch), batch)
    tell(trainer, 101)
    losses = loss_of(model, outputs_of(batch), batch)
    share = trainer.pipeline.datamanager.candidate_share
    assert 0.05 < share < 0.9
    assert float(losses["rate"]) * share == pytest.approx(model.config.rate_weight * 1000)
    assert float(losses["sharpness"]) == pytest.approx(model.config.course.sharpness * 0.5)


def test_the_size_it_tells_is_measured_now_and_then(trainer, model):
    bundle, batch = trainer.pipeline.datamanager.next_train(0)
    tell(trainer, 200)
    outputs = model.get_outputs(bundle)

    def told(step):
        tell(trainer, step)
        return 1e3 * float(model.get_metrics_dict(outputs, batch)["kilobytes"])

    def true():
        video = trainer.pipeline.datamanager.train_dataset.scene.video
        return measured_bytes(model.field, model.cameras, video) + FilterGain.expected(model.config.course.filter_steps).bytes

    assert told(200) == pytest.approx(true(), abs=0.1)
    with torch.no_grad():  # heads of zeros cost next to nothing
        for tensor in model.field.heads.parameters():
            tensor.zero_()
    assert told(201) > true() + 20
    assert told(300) == pytest.approx(true(), abs=0.1)


def test_figures_are_new_at_the_steps_that_nerfstudio_tells_of(trainer, model):
    _, batch = trainer.pipeline.datamanager.next_train(0)
    truth = outputs_of(batch)
    every = trainer.config.logging.steps_per_log

    def told(step, prediction):
        tell(trainer, step)
        return {name: float(value) for name, value in model.get_metrics_dict({"prediction": prediction}, batch).items()}

    first = told(2 * every, replace(truth, color=truth.color + 0.1))
    assert told(2 * every + 1, replace(truth, color=truth.color + 0.2)) == first
    again = told(3 * every, replace(truth, color=truth.color + 0.2, bits=torch.tensor(16000.0)))
    assert again["psnr"] < first["psnr"] - 5 and again["kilobytes"] > first["kilobytes"] + 0.9


@pytest.mark.parametrize("budget", [8000, 20000])
def test_a_step_takes_about_as_many_samples_as_it_may(trainer, model, monkeypatch, budget):
    monkeypatch.setattr(model.config, "sample_budget", budget)
    taken = []
    step = model.field.step
    monkeypatch.setattr(model.field, "step", lambda *given: taken.append(step(*given)) or taken[-1])
    for number in range(10, 22):
        tell(trainer, number)
        bundle, _ = trainer.pipeline.datamanager.next_train(number)
        model.get_outputs(bundle)
    assert len(taken[-1].samples.rays) == pytest.approx(budget, rel=0.2)


def test_an_exposure_scales_the_colours_of_its_frame(trainer, model):
    bundle, _ = trainer.pipeline.datamanager.next_train(3)
    bundle = bundle[:FEWEST_RAYS]
    frames = bundle.camera_indices[:, 0]
    seen = []
    for gain in (2.0, 1.0):
        model.cameras.gains[5] = gain
        torch.manual_seed(0)
        seen.append(model.get_outputs(bundle)["prediction"].color)
    bright, plain = seen
    torch.testing.assert_close(bright, plain * torch.where(frames == 5, 2.0, 1.0)[:, None])
    assert plain[frames == 5].max() > 0


def test_training_and_evaluation_speak_one_protocol(trainer, model):
    """nerfstudio asks for losses and metrics of evaluation batches, too; these are of the refined cameras, with their gains."""
    datamanager = trainer.pipeline.datamanager
    bundle, batch = datamanager.next_eval(1)
    model.eval()
    with torch.no_grad():
        outputs = model.get_outputs(bundle)
        terms, metrics = model.get_loss_dict(outputs, batch), model.get_metrics_dict(outputs, batch)
        model.cameras.gains.fill_(0.5)
        darker = model.get_outputs(bundle)
    model.train()
    assert set(terms) == {"mse", "sharpness"} and set(metrics) == {"psnr"}
    torch.testing.assert_close(darker["prediction"].color, 0.5 * outputs["prediction"].color)


def test_its_pictures_are_over_white_in_nerfstudios_world(trainer, model, vase_scene):
    bundle, _ = trainer.pipeline.datamanager.next_train(4)
    bundle = replace(bundle, metadata={})  # as a viewer's rays come
    scale = world_scale(vase_scene)
    model.eval()
    with torch.no_grad():
        seen = model.get_outputs(bundle)
        away = model.get_outputs(replace(bundle, directions=-bundle.directions))
        rendering = model.field.render(bundle.origins / scale + 0.5, bundle.directions)
    model.train()
    assert torch.equal(away["rgb"], torch.ones_like(away["rgb"])) and not away["accumulation"].any()
    torch.testing.assert_close(seen["rgb"], rendering.color + 1 - rendering.accumulation[:, None])
    solid = rendering.accumulation >= 0.5
    mean = (rendering.depth / rendering.accumulation)[solid] * scale
    torch.testing.assert_close(seen["depth"][solid, 0], mean, atol=0.1 * scale, rtol=0)
    assert solid.any() and away["depth"].min() > 1.9  # cameras are up to 1 from the origin: nothing is hidden by what is empty


def test_cameras_and_exposures_are_refined_when_the_course_says_so(vase_scene, tmp_path):
    config = smoke(vase_scene, tmp_path, timestamp="run", max_num_iterations=40)
    config.pipeline.model.course = replace(config.pipeline.model.course, align_at=(0.2, 0.6))
    run = train(config)
    (kept,) = (run.parent / "nerfstudio_models").iterdir()
    state = torch.load(kept, weights_only=True)["pipeline"]
    assert state["_model.cameras.tint_weights"].any()
    assert not torch.equal(state["_model.cameras.poses"], torch.from_numpy(vase_scene.poses))


def test_clipped_gradients_and_another_optimiser_are_nerfstudios_own(vase_scene, tmp_path):
    """The tables' own optimiser keeps its gradients to itself, which must take nothing from what a user may ask for."""

    def theta(name, optimizer):
        config = smoke(vase_scene, tmp_path, timestamp=name, max_num_iterations=4)
        config.optimizers["grids"]["optimizer"] = optimizer
        (kept,) = (train(config).parent / "nerfstudio_models").iterdir()
        return torch.load(kept, weights_only=True)["pipeline"]["_model.field.grids.theta"]

    plain, other = theta("plain", GridAdamConfig(lr=0.02)), theta("other", FusedAdamConfig(lr=0.02))
    assert (plain - other).abs().mean() < 1e-4
    assert (theta("clipped", GridAdamConfig(lr=0.02, max_norm=1e-9)) - plain).abs().max() > 1e-3
