"""`nerfsem compress` checks all it can before long work, and makes a bundle of a capture."""

import shutil
from pathlib import Path

import pytest

from nerfsem_method.capture import ingest
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.codec import nsem
from nerfsem_method.errors import CaptureError, NerfsemError, OutputError
from nerfsem_method.pipeline import Options, compress
from nerfsem_method.plugin import training


def test_a_video_becomes_a_bundle(captured, vase_video, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = CaptureOptions(scale="135:240")
    target = Path("out put") / "relic.nsem"
    compress(vase_video, target, Options("pc", "smoke", options, max_steps=3), Path("work"))
    assert nsem.read(target).mode == "pc"
    assert "warning: the light changes" in capsys.readouterr().out
    assert captured == [(vase_video, options, Path("work/scene"))]
    assert list(target.parent.iterdir()) == [target]
    (config,) = (tmp_path / "work/runs").rglob("config.yml")
    assert config.parent.parts[-3:-1] == ("vase", "nerfsem")


def test_without_a_work_folder_nothing_else_stays(captured, vase_video, tmp_path, monkeypatch):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    compress(vase_video, tmp_path / "relic.nsem", Options(preset="smoke", max_steps=3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["relic.nsem", "tmp"]
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"video": Path("nowhere.mp4")}, CaptureError, "nowhere.mp4"),
        ({"preset": "tiny"}, NerfsemError, "no preset 'tiny'"),
        ({"max_steps": 0}, NerfsemError, "--max-steps 0"),
        ({"target": Path("/proc/relic.nsem")}, OutputError, "/proc/relic.nsem"),
        ({"target": Path(".")}, OutputError, "folder"),
        ({"target_size": "small"}, NerfsemError, "such as 40kB"),
        ({"target_size": "0kB"}, NerfsemError, "such as 40kB"),
        ({"target_size": "20kB", "target_psnr": 30.0}, NerfsemError, "exclude each other"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_work_is_refused_before_the_capture(captured, vase_video, tmp_path, changes, error, message):
    files = {"video": vase_video, "target": tmp_path / "relic.nsem"}
    files |= {name: changes[name] for name in files.keys() & changes.keys()}
    chosen = {name: value for name, value in changes.items() if name not in files}
    with pytest.raises(error, match=message):
        compress(**files, options=Options(**{"preset": "smoke", **chosen}))
    assert not captured


def test_a_size_that_is_met_ends_well_and_the_background_counts(captured, vase_video, tmp_path, monkeypatch):
    """The training is steered to what the background leaves of the size; tests of rate control show that it gets there."""
    told = []
    monkeypatch.setattr(training, "train", lambda config, run=training.train: told.append(config.pipeline.model) or run(config))
    plain, steered = tmp_path / "plain.nsem", tmp_path / "steered.nsem"
    compress(vase_video, plain, Options("pc", "smoke", max_steps=5))
    size = round(plain.stat().st_size * 0.98)
    compress(vase_video, steered, Options("pc", "smoke", max_steps=5, target_size=f"{size / 1e3} kB"))
    assert steered.stat().st_size == pytest.approx(size, rel=0.05)
    background = nsem.sizes(steered.read_bytes())["BACK"]
    assert background > 1000
    assert [model.target_bytes for model in told] == [None, pytest.approx(size - background)]


@pytest.mark.parametrize("goal", [{"target_size": "1MB"}, {"target_psnr": 60.0}], ids=str)
def test_a_goal_out_of_reach_is_named_and_the_nearest_bundle_stays(captured, vase_scene, vase_video, goal, tmp_path):
    target, work = tmp_path / "relic.nsem", tmp_path / "work"
    shutil.copytree(vase_scene.root, work / "scene")
    with pytest.raises(NerfsemError, match="out of reach of the preset 'smoke'.*came closest with"):
        compress(vase_video, target, Options(preset="smoke", max_steps=5, **goal), work)
    assert nsem.read(target).mode == "fp"


def test_a_background_that_leaves_nothing_is_named(captured, vase_video, tmp_path):
    with pytest.raises(NerfsemError, match="the background alone takes"):
        compress(vase_video, tmp_path / "relic.nsem", Options("pc", "smoke", max_steps=3, target_size="500"))
    assert not list(tmp_path.iterdir())


def test_a_failed_run_leaves_the_old_bundle(vase_video, tmp_path, monkeypatch):
    def fail(*args):
        raise CaptureError("no motion in this clip")

    monkeypatch.setattr(ingest, "ingest", fail)
    target = tmp_path / "relic.nsem"
    target.write_bytes(b"good")
    with pytest.raises(CaptureError):
        compress(vase_video, target, Options(preset="smoke"))
    assert target.read_bytes() == b"good" and list(tmp_path.iterdir()) == [target]
