"""A training inside this process: it leaves a run that resumes and exports, and it says what it does."""

from dataclasses import replace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.codec import nsem
from nerfsem_method.errors import OutputError
from nerfsem_method.plugin import checkpoint, training
from nerfsem_method.plugin import trainer as trainer_module
from nerfsem_method.plugin.config import trainer_config
from nerfsem_method.plugin.trainer import NerfsemTrainer, ProgressWriter
from nerfsem_method.plugin.training import train
from nerfsem_method.training.rate_control import LEAST, MOST

STEPS = 6


def smoke(scene, folder, **changes):
    config = trainer_config("smoke")
    config.data = config.pipeline.datamanager.data = scene.root
    config.output_dir, config.max_num_iterations = folder, STEPS
    for name, value in changes.items():
        setattr(config, name, value)
    return config


@pytest.fixture(scope="module")
def run(vase_scene, tmp_path_factory):
    """Train shortly; return the config.yml."""
    return train(smoke(vase_scene, tmp_path_factory.mktemp("outputs"), timestamp="first"))


def test_the_run_lies_where_ns_train_would_put_it(run):
    assert run.parent.parts[-3:] == ("vase", "nerfsem", "first")
    assert [path.name for path in (run.parent / "nerfstudio_models").iterdir()] == [f"step-{STEPS - 1:09d}.ckpt"]


def test_its_checkpoint_loads_safely(run):
    state = torch.load(run.parent / f"nerfstudio_models/step-{STEPS - 1:09d}.ckpt", weights_only=True)
    assert {"pipeline", "optimizers", "schedulers"} <= state.keys()


def test_it_resumes(run, vase_scene, tmp_path):
    load_dir = run.parent / "nerfstudio_models"
    again = train(smoke(vase_scene, tmp_path, timestamp="second", load_dir=load_dir, max_num_iterations=2))
    assert (again.parent / f"nerfstudio_models/step-{STEPS + 1:09d}.ckpt").exists()


@pytest.mark.parametrize("mode", ["fp", "pc"])
def test_it_exports_a_bundle(run, vase_scene, mode, tmp_path):
    path = checkpoint.export(run, tmp_path, mode, BackgroundOptions())
    assert path.name == f"vase-{mode}.nsem"
    decoded = nsem.read(path)
    assert decoded.mode == mode and decoded.state.spec == trainer_config("smoke").pipeline.model.spec
    assert decoded.video.frames == len(decoded.poses) == len(vase_scene.frames)
    assert decoded.filter is not None, "so blurred a picture is worth a filter"


def test_an_export_replaces_a_bundle_and_nothing_else(run, tmp_path):
    for _ in range(2):
        path = checkpoint.export(run, tmp_path, "fp", BackgroundOptions())
    path.write_text("my notes")
    with pytest.raises(OutputError, match="is no bundle written by nerfsem"):
        checkpoint.export(run, tmp_path, "fp", BackgroundOptions())
    assert path.read_text() == "my notes"


def test_nothing_of_it_stays_in_the_process(run):
    assert not training.CONSOLE.quiet
    assert not any(isinstance(entry, ProgressWriter) for entry in trainer_module.writer.EVENT_WRITERS)


def test_the_line_of_progress_tells_steps_loss_and_size():
    told = []
    shown = ProgressWriter(lambda *facts: told.append(facts), 50)
    shown.write_scalar("Train Loss", torch.tensor(0.25, requires_grad=True), 11)
    shown.write_scalar_dict("Train Metrics Dict", {"psnr": torch.tensor(21.0), "kilobytes": 12.34}, 11)
    shown.write_scalar("Train Iter (time)", 0.1, 12)
    assert told[-1] == (13, 50, "step 13 of 50  loss 0.25000  21.0 dB  12.3 kB")
    shown.write_scalar("Train Total (time)", 9.0, 50)
    assert told[-1][0] == 50


class Killed(BaseException):
    """A process dies here."""


def steered(scene, folder, said) -> bytes:
    """Return the bundle of a training whose lambda is steered throughout; `said` gets its remarks."""
    config = smoke(scene, folder, timestamp="run", max_num_iterations=56)
    config.pipeline.model.target_bytes = 2000.0
    config.pipeline.model.course = replace(config.pipeline.model.course, align_at=(0.2, 0.6), refresh_steps=8)
    return checkpoint.export(train(config, said.append), folder, "fp", BackgroundOptions()).read_bytes()


@pytest.fixture(scope="module")
def whole(vase_scene, tmp_path_factory) -> bytes:
    """Return the bundle of such a training that nobody stops."""
    said = []
    bundle = steered(vase_scene, tmp_path_factory.mktemp("whole"), said)
    assert not said
    return bundle


@pytest.mark.parametrize("last", [7, 47], ids="before step {}".format)
def test_a_training_that_was_stopped_goes_on_to_the_same_bytes(last, whole, vase_scene, tmp_path, monkeypatch):
    """It is stopped before the occupancy is final, and after the heads are quantised."""

    def trained() -> bytes:
        return steered(vase_scene, tmp_path, said)

    said: list[str] = []
    keep = NerfsemTrainer.save_checkpoint

    def keep_and_die(self, step):
        keep(self, step)
        if step == last:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module, "SAVE_SECONDS", 0.0)
        patch.setattr(NerfsemTrainer, "save_checkpoint", keep_and_die)
        with pytest.raises(Killed):
            trained()
    assert trained() == whole
    assert said == [f"the training goes on after step {last + 1} of 56"]
    assert trained() == whole
    assert said[1:] == ["the training is done already"]


def test_the_size_it_tells_is_that_of_the_file(vase_scene, tmp_path, monkeypatch):
    told = []
    listen = lambda self, name, facts, step: told.append(facts["kilobytes"]) if "Metrics" in name else None  # noqa: E731
    monkeypatch.setattr(ProgressWriter, "write_scalar_dict", listen)
    run = train(smoke(vase_scene, tmp_path, max_num_iterations=40))
    size = checkpoint.export(run, tmp_path, "fp", BackgroundOptions()).stat().st_size
    assert float(told[-1]) == pytest.approx(size / 1e3, rel=0.1)  # the tables still change quickly
    assert float(told[0]) != float(told[-1])


def test_a_goal_moves_lambda_and_lambda_moves_the_size(bare, vase_scene, tmp_path):
    """Goals that nothing meets take lambda to the ends of its range, which a checkpoint keeps."""
    sizes = []
    for goal, end in ((1.0, MOST * 1e-8), (1e9, LEAST)):
        config = smoke(vase_scene, tmp_path / str(goal), timestamp="run", max_num_iterations=80)
        config.pipeline.model.target_bytes = goal
        config.pipeline.model.course = replace(config.pipeline.model.course, steer_every=0.1)
        run = train(config)
        (kept,) = (run.parent / "nerfstudio_models").iterdir()
        weight = torch.load(kept, weights_only=True)["pipeline"]["_model.rate_weight"].item()
        assert weight == pytest.approx(end)
        sizes.append(checkpoint.export(run, tmp_path, "fp", BackgroundOptions()).stat().st_size)
    assert sizes[0] < 0.95 * sizes[1]


def test_nerfstudios_evaluations_run_through_and_are_logged(vase_scene, tmp_path, monkeypatch):
    """`ns-train ... --vis tensorboard` asks for losses and metrics of evaluation rays, of an image and of all images."""
    monkeypatch.setattr(trainer_module.writer, "EVENT_WRITERS", [])
    config = smoke(vase_scene, tmp_path, timestamp="run", vis="tensorboard", max_num_iterations=4)
    config.steps_per_eval_batch = config.steps_per_eval_image = config.steps_per_eval_all_images = 2
    config.logging.local_writer.enable, config.logging.steps_per_log = False, 1
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    trainer.train()
    log = EventAccumulator(str(config.get_base_dir()))
    log.Reload()
    scalars = set(log.Tags()["scalars"])
    assert {"Eval Loss", "Eval Loss Dict/mse", "Eval Metrics Dict/psnr", "Train Metrics Dict/kilobytes"} <= scalars
    assert {"Eval Images Metrics/psnr", "Eval Images Metrics Dict (all images)/psnr"} <= scalars
    assert log.Tags()["images"]
