"""nerfstudio sees each preset as a method, with its learning rates, names of runs and command line."""

import importlib.metadata
import io
from pathlib import Path

import pytest
import torch
import yaml

from nerfsem_method.errors import NerfsemError
from nerfsem_method.plugin import config
from nerfsem_method.plugin.config import DecaySchedulerConfig, trainer_config
from nerfsem_method.plugin.dataparser import ObjectVideoDataParserConfig
from nerfsem_method.training import presets


def test_the_learning_rate_falls_evenly_to_nothing():
    scheduler = DecaySchedulerConfig(max_steps=50).setup()
    factors = [scheduler.factor(step) for step in range(60)]
    assert factors == pytest.approx([1 - step / 50 for step in range(50)] + [0] * 10)


def test_learning_rates_that_are_told_otherwise_are_refused_with_what_to_do(tmp_path, monkeypatch):
    text = (presets.folder() / "smoke.toml").read_text().replace("[learning_rates]", '[learning_rates]\ndecay = "cosine"')
    (tmp_path / "mine.toml").write_text(text)
    monkeypatch.setattr(presets, "folder", lambda: tmp_path)
    with pytest.raises(NerfsemError, match="learning rates fall evenly to nothing: take decay out"):
        presets.load("mine")


def test_checkpoints_of_optimizer_and_scheduler_load_safely():
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimizer = trainer_config("smoke").optimizers["grids"]["optimizer"].setup(params=[parameter])
    scheduler = DecaySchedulerConfig(max_steps=9).setup().get_scheduler(optimizer, lr_init=0.1)
    for _ in range(4):
        optimizer.step()
        scheduler.step()
    file = io.BytesIO()
    torch.save({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, file)
    file.seek(0)
    scheduler.load_state_dict(torch.load(file, weights_only=True)["scheduler"])
    assert scheduler.last_epoch == 4


@pytest.mark.parametrize("preset", presets.names())
def test_every_preset_is_a_configuration(preset):
    made = trainer_config(preset)
    named = {"quick": "nerfsem-quick", "archive": "nerfsem-archive", "paper": "nerfsem-paper"}
    assert made.method_name == named.get(preset, "nerfsem")
    assert made.max_num_iterations == presets.load(preset).steps
    assert set(made.optimizers) == {"grids", "heads", "contexts"}
    assert all(type(group["optimizer"].lr) is float for group in made.optimizers.values())
    assert made.pipeline.model.spec == presets.load(preset).field


def test_configurations_share_nothing():
    first, second = trainer_config("smoke"), trainer_config("smoke")
    first.pipeline.datamanager.dataparser.data = Path("elsewhere")
    first.optimizers["grids"]["optimizer"].lr = 7.0
    assert second.pipeline.datamanager.dataparser.data == Path()
    assert second.optimizers["grids"]["optimizer"].lr != 7.0


def test_a_configuration_survives_its_yaml():
    made = trainer_config("smoke")
    assert yaml.load(yaml.dump(made), Loader=yaml.Loader) == made


def test_a_run_of_when_rates_fell_otherwise_still_loads():
    told = "final: 0.1\n      max_steps: 60\n      shape: exponential"
    old = yaml.load(yaml.dump(trainer_config("smoke")).replace("max_steps: 60", told), Loader=yaml.Loader)
    assert old.optimizers["heads"]["scheduler"].shape == "exponential"
    for group in old.optimizers.values():
        optimizer = group["optimizer"].setup(params=[torch.nn.Parameter(torch.zeros(3))])
        assert group["scheduler"].setup().get_scheduler(optimizer, lr_init=0.1).get_last_lr() == [group["optimizer"].lr]


def test_an_unknown_preset_is_named_with_its_neighbours():
    with pytest.raises(NerfsemError, match="'tiny'.*quick.*standard"):
        trainer_config("tiny")


@pytest.mark.parametrize("broken", ["steps = 3", "learning_rates = 3", "this is no toml", "[field]\nvolume = 3"])
def test_a_broken_preset_is_named(broken, tmp_path, monkeypatch):
    (tmp_path / "mine.toml").write_text(broken)
    monkeypatch.setattr(presets, "folder", lambda: tmp_path)
    with pytest.raises(NerfsemError, match="mine.toml is not valid"):
        presets.load("mine")


@pytest.mark.parametrize(
    ("data", "name"),
    [("relic.mp4", "relic"), ("some clips/my relic.mp4", "my relic"), ("relic.nerfsem", "relic"), ("x/y.nsem", "y")],
)
def test_a_run_is_named_after_its_video(data, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(data).parent.mkdir(exist_ok=True)
    Path(data).touch()
    made = trainer_config("quick")
    made.data = made.pipeline.datamanager.data = Path(data)
    made.timestamp = "now"
    assert made.get_base_dir() == Path("outputs") / name / "nerfsem-quick" / "now"


def test_a_name_given_by_hand_stays():
    made = trainer_config("quick")
    made.data, made.experiment_name = Path("relic.mp4"), "mine"
    assert made.get_base_dir().parts[1] == "mine"


def test_the_learning_rates_fall_over_the_steps_asked_for():
    made = trainer_config("smoke")
    made.max_num_iterations = 7
    made.data, made.timestamp = Path("relic.mp4"), "now"
    groups = made.setup(local_rank=0, world_size=1).config.optimizers.values()
    assert [group["scheduler"].max_steps for group in groups] == [7, 7, 7]


def installed(group: str) -> set[str]:
    try:
        distribution = importlib.metadata.distribution("nerfsem")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("nerfsem is not installed, only on the path")
    return {entry.name for entry in distribution.entry_points if entry.group == group}


def test_nerfstudio_finds_methods_and_parser_by_their_entry_points():
    assert installed("nerfstudio.method_configs") == {"nerfsem", "nerfsem-quick", "nerfsem-archive", "nerfsem-paper"}
    assert installed("nerfstudio.dataparser_configs") == {"nerfsem-data"}
    for name in ("nerfsem", "nerfsem_quick", "nerfsem_archive", "nerfsem_paper"):
        assert getattr(config, name).config.method_name == name.replace("_", "-")


def test_ns_train_reads_our_options():
    installed("nerfstudio.method_configs")
    import tyro
    from nerfstudio.configs.method_configs import AnnotatedBaseConfigUnion

    words = "nerfsem-quick --data relic.mp4 --max-num-iterations 5 nerfsem-data --holdout-every 8"
    made = tyro.cli(AnnotatedBaseConfigUnion, args=[*words.split(), "--capture.segmenter", "birefnet"])
    assert isinstance(made, config.NerfsemTrainerConfig) and made.max_num_iterations == 5
    parser = made.pipeline.datamanager.dataparser
    assert isinstance(parser, ObjectVideoDataParserConfig)
    assert (parser.holdout_every, parser.capture.segmenter) == (8, "birefnet")


def test_bad_input_ends_nerfstudio_s_commands_in_one_line(tmp_path, capsys):
    pipeline = trainer_config("smoke").pipeline
    pipeline.datamanager.data = tmp_path / "nowhere.mp4"
    with pytest.raises(SystemExit) as stop:
        pipeline.setup(device="cpu")
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "nowhere.mp4 does not exist; name" in line
