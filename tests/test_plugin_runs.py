"""An imported bundle is a run that loads anywhere on this machine, without the video, and shows what the player shows."""

import errno
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from tiny_field import HEIGHT, WIDTH, opaque_bundle

from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.codec import nsem
from nerfsem_method.codec.metadata import with_metadata
from nerfsem_method.errors import BundleError, NerfsemError, OutputError
from nerfsem_method.outputs import forced
from nerfsem_method.playback.player import Player
from nerfsem_method.plugin import checkpoint
from nerfsem_method.plugin.runs import import_bundle


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Return the config.yml of a run that was imported by relative paths, and whose bundle is gone."""
    folder = tmp_path_factory.mktemp("import")
    path = folder / "tiny relic.nsem"
    nsem.write(path, opaque_bundle())
    before = os.getcwd()
    os.chdir(folder)
    try:
        config = import_bundle(path.relative_to(folder), folder.relative_to(folder) / "a run")
    finally:
        os.chdir(before)
    path.unlink()
    return config


def load(config: Path, mode: Literal["test", "inference"]) -> Any:
    """Return the run's pipeline as nerfstudio loads it."""
    from nerfstudio.utils.eval_utils import eval_setup

    return eval_setup(config, test_mode=mode)[1]


@pytest.mark.parametrize("mode", ["test", "inference"])
def test_it_loads_from_another_folder_and_renders_like_the_player(imported, mode, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pipeline = load(imported, mode)
    outputs = pipeline.model.get_outputs_for_camera(pipeline.datamanager.train_dataset.cameras[3:4])
    rendered = (outputs["rgb"].clamp(0, 1) * 255).round().numpy()
    bundle = nsem.read(imported.parent / "tiny relic.nsem")
    expected = Player(bundle, "cpu").composited(3, (255, 255, 255))
    assert np.abs(rendered - expected).max() <= 1
    assert expected.min() < 200  # not all is ground


def test_the_viewer_gets_cameras_and_pictures(imported):
    dataset = load(imported, "test").datamanager.train_dataset
    assert len(dataset) == 8 and dataset.cameras.shape == (8,)
    assert (int(dataset.cameras.width[0]), int(dataset.cameras.height[0])) == (WIDTH, HEIGHT)
    assert dataset[7]["image"].shape[-1] == 4


def test_measuring_without_source_frames_is_refused_in_a_line(imported, capsys):
    pipeline = load(imported, "test")
    for measure in (pipeline.get_average_eval_image_metrics, lambda: pipeline.get_eval_image_metrics_and_images(0)):
        with pytest.raises(SystemExit) as stop:
            measure()
        (line,) = capsys.readouterr().err.splitlines()
        assert stop.value.code == 2 and "nerfsem evaluate" in line


def test_the_checkpoint_loads_safely(imported):
    state = torch.load(imported.parent / "nerfstudio_models/step-000000000.ckpt", weights_only=True)
    assert state["step"] == 0


@pytest.mark.parametrize("mode", ["fp", "pc"])
def test_it_is_exported_again_byte_for_byte_with_its_metadata(imported, mode, tmp_path):
    described = tmp_path / "described.nsem"
    data = (imported.parent / "tiny relic.nsem").read_bytes()
    described.write_bytes(with_metadata(data, {"title": "A ball"}, nsem.KNOWN_SECTIONS))
    config = import_bundle(described, tmp_path / "run")
    again = checkpoint.export(config, tmp_path / "out", mode, BackgroundOptions())
    whole = described.read_bytes()
    assert again.name == f"tiny-{mode}.nsem"
    assert again.read_bytes() == (whole if mode == "pc" else nsem.drop_background(whole)) and len(data) < len(whole)


def test_a_background_that_is_not_there_is_not_exported(imported, tmp_path):
    nsem.write(tmp_path / "object.nsem", opaque_bundle(background=False))
    config = import_bundle(tmp_path / "object.nsem", tmp_path / "run")
    with pytest.raises(NerfsemError, match="--mode fp"):
        checkpoint.export(config, tmp_path, "pc", BackgroundOptions())


def test_a_full_disk_is_told_in_a_line(imported, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="no space left"):
        import_bundle(imported.parent / "tiny relic.nsem", tmp_path / "run")


def test_the_newest_checkpoint_is_exported(imported, tmp_path):
    config = import_bundle(imported.parent / "tiny relic.nsem", tmp_path / "run")
    first = tmp_path / "run/nerfstudio_models/step-000000000.ckpt"
    state = torch.load(first, weights_only=True)
    state["pipeline"]["_model.cameras.gains"] /= 2
    torch.save(state, first.with_name("step-000000020.ckpt"))
    newest = nsem.read(checkpoint.export(config, tmp_path, "fp", BackgroundOptions()))
    np.testing.assert_array_equal(newest.gains, np.full((8, 3), 0.5))


def test_a_residual_is_not_kept_where_the_field_has_changed(tmp_path):
    """It is what another field left."""
    golden = Path(__file__).parent / "golden/residual-fp.nsem"
    config = import_bundle(golden, tmp_path / "run")
    first = tmp_path / "run/nerfstudio_models/step-000000000.ckpt"
    state = torch.load(first, weights_only=True)
    state["pipeline"]["_model.cameras.gains"] /= 2
    torch.save(state, first.with_name("step-000000020.ckpt"))
    newest = nsem.read(checkpoint.export(config, tmp_path, "fp", BackgroundOptions()))
    assert newest.residual is None and nsem.read(golden).residual is not None


def test_a_folder_in_use_is_left_alone(imported, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="not an empty folder"), forced():
        import_bundle(imported.parent / "tiny relic.nsem", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_folder_is_filled(imported, tmp_path):
    (tmp_path / "c").mkdir()
    config = import_bundle(imported.parent / "tiny relic.nsem", tmp_path / "c")
    assert config.exists()


def test_a_damaged_bundle_leaves_nothing_behind(imported, tmp_path):
    data = bytearray((imported.parent / "tiny relic.nsem").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "bad.nsem").write_bytes(data)
    with pytest.raises(BundleError):
        import_bundle(tmp_path / "bad.nsem", tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.nsem"]


def test_a_missing_bundle_and_an_impossible_place_are_named(imported, tmp_path):
    with pytest.raises(NerfsemError, match="nowhere.nsem"):
        import_bundle(tmp_path / "nowhere.nsem", tmp_path / "run")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        import_bundle(imported.parent / "tiny relic.nsem", tmp_path / "file" / "run")


def test_force_replaces_an_earlier_import(imported, tmp_path):
    bundle = imported.parent / "tiny relic.nsem"
    config = import_bundle(bundle, tmp_path / "run")
    config.with_name("left.txt").write_text("of the earlier one")
    with pytest.raises(OutputError, match="give --force for an earlier import"):
        import_bundle(bundle, tmp_path / "run")
    with forced():
        import_bundle(bundle, tmp_path / "run")
    assert config.is_file() and not config.with_name("left.txt").exists()


@pytest.mark.parametrize("name", ["tinted-fp", "mixed-fp", "residual-fp"])
def test_bundles_of_before_are_exported_again_byte_for_byte_too(name, tmp_path):
    """The occupancy of the first is in OCCU, which is written no more."""
    golden = Path(__file__).parent / f"golden/{name}.nsem"
    again = checkpoint.export(import_bundle(golden, tmp_path / "run"), tmp_path / "out", "fp", BackgroundOptions())
    assert again.read_bytes() == golden.read_bytes()
