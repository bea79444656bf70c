"""`nerfsem compress` checks all it can before long work, and makes a bundle of a capture."""

import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.capture import ingest
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.capture.report.figures import Report
from nerfsem_method.capture.stages import StageFolder
from nerfsem_method.codec import nsem
from nerfsem_method.codec.background import Background
from nerfsem_method.errors import CaptureError, NerfsemError, OutputError
from nerfsem_method.evaluation import gate
from nerfsem_method.locks import locked
from nerfsem_method.pipeline import Options, compress
from nerfsem_method.plugin import checkpoint, trainer, training
from nerfsem_method.plugin.trainer import NerfsemTrainer
from nerfsem_method.scene.scene import Scene
from nerfsem_method.stopping import Stopped
from nerfsem_method.training.options import PaperOptions

pytestmark = pytest.mark.usefixtures("bare")


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
        ({"seed": -1}, NerfsemError, "--seed -1 is no seed"),
        ({"rate_weight": float("nan")}, NerfsemError, "--rate-weight nan cannot be met"),
        ({"target_psnr": float("inf")}, NerfsemError, "--target-psnr inf cannot be met"),
        ({"rate_weight": 0.0, "target_size": "20kB"}, NerfsemError, "--rate-weight 0 cannot be steered"),
        ({"rate_weight": 0.0, "target_psnr": 20.0}, NerfsemError, "--rate-weight 0 cannot be steered"),
        ({"paper": PaperOptions(paper_lambda=-1.0)}, NerfsemError, "--paper-lambda -1 cannot be met"),
        ({"target": Path("/proc/relic.nsem")}, OutputError, "/proc/relic.nsem"),
        ({"target": Path(".")}, OutputError, "folder"),
        ({"target": Path("another.mp4")}, OutputError, "another.mp4 is named like a clip.*such as .*vase.nsem"),
        ({"target": Path("ANOTHER.MP4")}, OutputError, "named like a clip"),
        ({"target": Path(__file__)}, OutputError, "is no bundle written by nerfsem"),
        ({"target_size": "small"}, NerfsemError, "such as 40kB"),
        ({"target_size": "0kB"}, NerfsemError, "such as 40kB"),
        ({"target_size": "40"}, NerfsemError, "less than any bundle takes"),
        ({"background": BackgroundOptions(crf=40)}, NerfsemError, "fp keeps no background.* add --mode pc"),
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


def test_seed_and_device_reach_the_training(captured, vase_video, tmp_path, monkeypatch):
    seen = []

    def refuse(config, tell):
        seen.append(config.machine)
        raise NerfsemError("seen")

    monkeypatch.setattr(training, "train", refuse)
    with pytest.raises(NerfsemError, match="seen"):
        compress(vase_video, tmp_path / "relic.nsem", Options(preset="smoke", seed=7, device="cpu"))
    assert (seen[0].seed, seen[0].device_type) == (7, "cpu")


def test_a_size_that_is_met_ends_well_and_the_background_counts(captured, vase_video, tmp_path, monkeypatch):
    """The training is steered to what the background leaves of the size; tests of rate control show that it gets there."""
    told = []
    run = training.train
    monkeypatch.setattr(training, "train", lambda config, tell: told.append(config.pipeline.model) or run(config, tell))
    plain, steered = tmp_path / "plain.nsem", tmp_path / "steered.nsem"
    background = BackgroundOptions(crf=47)
    compress(vase_video, plain, Options("pc", "smoke", max_steps=5, background=background))
    size = round(plain.stat().st_size * 0.98)
    compress(vase_video, steered, Options("pc", "smoke", max_steps=5, target_size=f"{size / 1e3} kB", background=background))
    assert steered.stat().st_size == pytest.approx(size, rel=0.05)
    layer = nsem.sizes(steered.read_bytes())["BACK"]
    assert layer > 500
    assert [model.target_bytes for model in told] == [None, pytest.approx(size - layer)]


def test_a_background_without_a_crf_takes_its_share_of_a_wanted_size(vase_scene):
    """A crf that is chosen stays, whatever the share."""

    def stream(crf, most):
        background = checkpoint.scene_background(vase_scene, BackgroundOptions(crf=crf), most)
        assert isinstance(background, Background)
        return len(background.stream)

    assert stream(None, 800.0) <= 800 < stream(None, None) == stream(47, 800.0)


def test_the_share_of_a_wanted_size_reaches_the_background(captured, vase_video, tmp_path, monkeypatch):
    asked = []
    made = checkpoint.scene_background
    monkeypatch.setattr(checkpoint, "scene_background", lambda *chosen: asked.append(chosen[2]) or made(*chosen))
    with pytest.raises(NerfsemError, match="out of reach"):
        compress(vase_video, tmp_path / "relic.nsem", Options("pc", "smoke", max_steps=5, target_size="2.2 kB"))
    assert asked == [pytest.approx(880)]


@pytest.mark.parametrize(
    ("options", "preset"),
    [
        (Options(), "standard"),
        (Options(target_size="12kB"), "quick"),
        (Options(target_size="30kB"), "standard"),
        (Options("pc", target_size="30kB"), "quick"),
        (Options(target_size="0.2 MB"), "archive"),
        (Options(target_psnr=30.0), "standard"),
        (Options(preset="standard", target_size="12kB"), "standard"),
    ],
    ids=str,
)
def test_a_wanted_size_chooses_the_preset_that_none_has_named(options, preset):
    assert options.chosen_preset == preset


@pytest.mark.parametrize("goal", [{"target_size": "10kB"}, {"target_psnr": 20.0}], ids=str)
def test_what_the_field_does_not_reach_a_residual_does(captured, vase_scene, vase_video, goal, tmp_path):
    """A training of five steps knows hardly more than the outline; the rest is the residual's."""
    target, work, told = tmp_path / "relic.nsem", tmp_path / "work", []
    shutil.copytree(vase_scene.root, work / "scene")
    plain = tmp_path / "plain.nsem"
    compress(vase_video, plain, Options(preset="smoke", max_steps=5), work)
    compress(vase_video, target, Options(preset="smoke", max_steps=5, **goal), work, told.append)
    held = nsem.read(target)
    assert held.residual is not None and nsem.read(plain).residual is None
    scene = Scene.load(work / "scene")
    before, after = (gate.psnr_center(scene, bundle) for bundle in (nsem.read(plain), held))
    assert before is not None and after is not None and after > before + 4
    if "target_psnr" in goal:
        assert after == pytest.approx(20.0, abs=0.3)
    else:
        assert target.stat().st_size == pytest.approx(10e3, rel=0.05)


@pytest.mark.parametrize("goal", [{"target_size": "1MB"}, {"target_psnr": 60.0}], ids=str)
def test_a_goal_out_of_reach_is_named_and_the_nearest_bundle_stays(captured, vase_scene, vase_video, goal, tmp_path):
    target, work = tmp_path / "relic.nsem", tmp_path / "work"
    shutil.copytree(vase_scene.root, work / "scene")
    with pytest.raises(NerfsemError, match="out of reach of the preset 'smoke'.*came closest with"):
        compress(vase_video, target, Options(preset="smoke", max_steps=5, **goal), work)
    assert nsem.read(target).mode == "fp"


@pytest.mark.parametrize(
    ("background", "remedy"),
    [
        (BackgroundOptions(), ", a smaller background (--background-codec av1), or --mode fp"),
        (BackgroundOptions(crf=45), ", a smaller background (a higher --background-crf or --background-codec av1), or --mode fp"),
        (BackgroundOptions("h265", crf=40), ", a smaller background (a higher --background-crf), or --mode fp"),
        (BackgroundOptions("av1"), "--target-size, or --mode fp"),
    ],
    ids=["h264", "fine h264", "fine h265", "av1"],
)
def test_a_background_that_leaves_nothing_is_named(background, remedy, captured, vase_video, tmp_path):
    """What is proposed can be done: AV1 has no crf above its default."""
    options = Options("pc", "smoke", max_steps=3, target_size="300", background=background)
    with pytest.raises(NerfsemError, match=rf"the background alone takes .*{re.escape(remedy)}$"):
        compress(vase_video, tmp_path / "relic.nsem", options)
    assert not list(tmp_path.iterdir())


def test_a_failed_run_leaves_the_old_bundle(root, vase_video, tmp_path, monkeypatch):
    def fail(*args):
        raise CaptureError("no motion in this clip")

    monkeypatch.setattr(ingest, "ingest", fail)
    target = tmp_path / "relic.nsem"
    shutil.copy(root / "tests/golden/vase.nsem", target)
    before = target.read_bytes()
    with pytest.raises(CaptureError):
        compress(vase_video, target, Options(preset="smoke"))
    assert target.read_bytes() == before and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("before", [[], ["nerfsem.log", "notes.txt"]], ids=["new", "in use"])
def test_a_refused_clip_leaves_no_work_folder_and_does_not_say_that_anything_is_kept(before, vase_video, tmp_path, monkeypatch):
    def refuse(*args):
        raise CaptureError("no motion in this clip")

    monkeypatch.setattr(ingest, "ingest", refuse)
    work = tmp_path / "nested" / "work"
    for name in before:
        work.mkdir(parents=True, exist_ok=True)
        (work / name).write_text("earlier\n")
    with pytest.raises(CaptureError) as failure:
        compress(vase_video, tmp_path / "relic.nsem", Options(preset="smoke"), work)
    assert not getattr(failure.value, "__notes__", [])
    assert [path.name for path in tmp_path.iterdir()] == ["nested"] * bool(before)
    assert not before or sorted(path.name for path in work.iterdir()) == before


@pytest.fixture
def kept_capture(vase_scene, monkeypatch):
    """A capture keeps a ready scene in the folder that it is given, and records it; the calls are counted."""
    calls = []

    def fill(video, options, folder):
        calls.append(folder)
        if not folder.exists():
            shutil.copytree(vase_scene.root, folder)
            count = len(vase_scene.frames)
            Report(count, [], "frame", 0, 0.5, 300.0, 100, 350.0, [0.2] * count, [1.0] * count, []).save(folder)
            StageFolder(folder).remember("scene", "key")
        return Scene.load(folder)

    monkeypatch.setattr(ingest, "ingest", fill)
    return calls


@pytest.fixture
def stopped(monkeypatch):
    """Return a function that compresses and is stopped once the training has kept a checkpoint."""
    keep = NerfsemTrainer.save_checkpoint

    def keep_and_stop(self, step):
        keep(self, step)
        raise Stopped(signal.SIGTERM)

    def run(*args, **options):
        with monkeypatch.context() as patch, pytest.raises(Stopped) as stop:
            patch.setattr(trainer, "SAVE_SECONDS", 0.0)
            patch.setattr(NerfsemTrainer, "save_checkpoint", keep_and_stop)
            compress(*args, **options)
        return stop.value

    return run


def test_a_compression_that_was_stopped_goes_on_to_the_same_bundle(kept_capture, stopped, vase_video, tmp_path):
    folder = tmp_path / "new"
    target, work, said = folder / "relic.nsem", folder / "relic.nsem-work", []
    options = Options(preset="smoke", max_steps=70)
    stop = stopped(vase_video, target, options)
    assert stop.__notes__ == ["run the same command again to go on", f"what is done is kept in {work}"]
    assert [path.name for path in folder.iterdir()] == [work.name] and "ends: stopped" in (work / "nerfsem.log").read_text()
    compress(vase_video, target, options, tell=said.append)
    assert said[:2] == [f"going on with what an earlier command left in {work}", "the training goes on after step 64 of 70"]
    assert list(folder.iterdir()) == [target]
    compress(vase_video, tmp_path / "whole.nsem", options)
    assert target.read_bytes() == (tmp_path / "whole.nsem").read_bytes()


def test_other_options_begin_another_training_and_a_finished_one_is_used_again(kept_capture, stopped, vase_video, tmp_path):
    work, said = tmp_path / "work", []
    stopped(vase_video, tmp_path / "a.nsem", Options(preset="smoke", max_steps=70), work)
    for steps in (66, 66):
        compress(vase_video, tmp_path / "b.nsem", Options(preset="smoke", max_steps=steps), work, said.append)
    assert [line for line in said if "training" in line] == ["the training is done already"]
    assert work.is_dir() and len(list((work / "runs").rglob("config.yml"))) == 2


def test_work_that_failed_after_a_stage_is_kept_and_named(kept_capture, vase_video, tmp_path):
    with pytest.raises(NerfsemError, match="the background alone takes") as failure:
        compress(vase_video, tmp_path / "relic.nsem", Options("pc", "smoke", max_steps=3, target_size="500"))
    assert failure.value.__notes__ == [f"what is done is kept in {tmp_path / 'relic.nsem-work'}"]


def test_two_compressions_of_one_bundle_do_not_meet(captured, vase_video, tmp_path):
    work = tmp_path / "relic.nsem-work"
    work.mkdir()
    with locked(work), pytest.raises(OutputError, match="is at work in .*relic.nsem-work"):
        compress(vase_video, tmp_path / "relic.nsem", Options(preset="smoke"))
    assert not captured and work.is_dir()


def test_somebody_elses_folder_is_not_worked_in(captured, vase_video, tmp_path):
    thesis = tmp_path / "relic.nsem-work" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.touch()
    with pytest.raises(OutputError, match="holds other files"):
        compress(vase_video, tmp_path / "relic.nsem", Options(preset="smoke"))
    assert not captured and thesis.exists()


@pytest.mark.parametrize("name", [b"x" * 250, b"2024-11-14T22:57:44", b"sch\xf6n"], ids=["long", "colons", "Latin-1"])
def test_bundles_may_have_odd_names(name, kept_capture, vase_video, tmp_path):
    target = tmp_path / os.fsdecode(name + b".nsem")
    compress(vase_video, target, Options(preset="smoke", max_steps=3))
    assert nsem.read(target).mode == "fp" and list(tmp_path.iterdir()) == [target]


def test_a_bundle_behind_a_link_is_replaced_there(kept_capture, root, vase_video, tmp_path):
    real, link = tmp_path / "store" / "relic.nsem", tmp_path / "relic.nsem"
    real.parent.mkdir()
    shutil.copy(root / "tests/golden/dense-fp.nsem", real)
    link.symlink_to(real)
    compress(vase_video, link, Options(preset="smoke", max_steps=3))
    assert link.is_symlink() and nsem.read(real).video.name == "vase.mp4"
    assert list(real.parent.iterdir()) == [real]


@pytest.mark.parametrize("way", ["same", "link", "hard link"])
def test_a_clip_is_never_replaced_by_its_bundle(way, captured, vase_video, tmp_path):
    clip, target = Path(shutil.copy(vase_video, tmp_path / "relic.mp4")), tmp_path / "relic.nsem"
    if way == "same":
        target = clip
    else:
        target.symlink_to(clip) if way == "link" else target.hardlink_to(clip)
    with pytest.raises(OutputError, match="is the input itself"):
        compress(clip, target, Options(preset="smoke"))
    assert clip.read_bytes() == vase_video.read_bytes() and not captured
