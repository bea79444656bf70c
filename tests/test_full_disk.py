"""A full disk is told in one line that names the folder, wherever it fills up, and before the work where that can be known."""

from __future__ import annotations

import errno
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from small_disk import no_file_above
from true_cameras import TrueCameras, shorter_clip

from nerfsem_method.capture.cameras import poses
from nerfsem_method.capture.clip.frames import MIN_FRAMES
from nerfsem_method.capture.ingest import ingest
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.cli.decode import Decode
from nerfsem_method.cli.main import run
from nerfsem_method.errors import CaptureError, OutputError
from nerfsem_method.files import check_writable, replacing, replacing_folder, scratch
from nerfsem_method.plugin.config import trainer_config
from nerfsem_method.plugin.training import train

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every disk says that it has no space left."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 1000))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=["no space", "no quota"])
def test_a_file_that_does_not_reach_the_disk_leaves_the_old_one(number, tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(number, os.strerror(number))

    target = tmp_path / "a.nsem"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", refuse)
    told = f"no space left in {tmp_path}.*; free some, or choose another place"
    with pytest.raises(OutputError, match=told), replacing(target) as partial:
        partial.write_bytes(b"new")
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


def test_a_folder_that_does_not_reach_the_disk_leaves_the_old_one(tmp_path):
    target = tmp_path / "frames"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(OutputError, match="no space left"), no_file_above(1000), replacing_folder(target) as partial:
        (partial / "new").write_bytes(bytes(2000))
    assert [path.name for path in target.iterdir()] == ["old"] and list(tmp_path.iterdir()) == [target]


def test_a_full_output_is_told_before_any_work(tmp_path):
    with no_file_above(1000), pytest.raises(OutputError, match=f"no space left in {tmp_path}"):
        check_writable(tmp_path / "relic.nsem")


@pytest.mark.parametrize("output", ["out.mp4", "frames"])
def test_decoding_onto_a_full_disk(output, root, tmp_path, capsys):
    verb = Decode(root / "tests/golden/dense-fp.nsem", tmp_path / output)
    assert run(verb) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    capsys.readouterr()
    with no_file_above(100):
        assert run(verb) == 2
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert complaint.startswith("nerfsem: error: no space left in") and str(tmp_path) in complaint
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        CaptureError("COLMAP stopped with exit code -6: SQLite error: database or disk is full"),
        RuntimeError("PytorchStreamWriter failed writing file data/3: No space left on device"),
    ],
    ids=["system", "COLMAP", "torch"],
)
def test_a_full_tmpdir_is_named_with_the_way_out(failure, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    told = f"^no space left in {tmp_path}; free some, or set TMPDIR to another folder$"
    with pytest.raises(OutputError, match=told), scratch("test"):
        raise failure
    assert not list(tmp_path.iterdir())


def test_other_failures_are_not_blamed_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(CaptureError, match="^no camera was found$"), scratch("test"):
        raise CaptureError("no camera was found")
    with pytest.raises(FileNotFoundError), scratch("test"):
        (tmp_path.parent / "not there").read_bytes()


def test_a_scene_folder_that_fills_up(tmp_path, monkeypatch):
    monkeypatch.setattr(poses, "solve", TrueCameras())
    video, mattes = shorter_clip(tmp_path, MIN_FRAMES, "68:120")
    with no_file_above(6000), pytest.raises(OutputError, match="no space left in .*scene"):
        ingest(video, CaptureOptions(mattes=mattes), tmp_path / "scene")
    assert not (tmp_path / "scene" / "frames").exists()


def test_a_scene_folder_without_room_for_the_frames_is_refused_before_they_are_made(tmp_path, vase_video, full):
    with pytest.raises(OutputError, match=r"no space left in .*scene for the frames: about .* MB are needed and 0\.0 MB free"):
        ingest(vase_video, CaptureOptions(), tmp_path / "scene")
    assert not list(tmp_path.iterdir())


def smoke(root: Path, folder: Path):
    config = trainer_config("smoke")
    config.data = config.pipeline.datamanager.data = root
    config.output_dir, config.max_num_iterations = folder, 3
    return config


def test_a_training_without_room_for_its_checkpoints_does_not_begin(vase_scene, tmp_path, full, capsys):
    with pytest.raises(OutputError, match="no space left in .* for checkpoints"):
        train(smoke(vase_scene.root, tmp_path))
    assert "training" not in capsys.readouterr().out and not list(tmp_path.rglob("*.ckpt"))


def test_a_checkpoint_that_does_not_fit_leaves_no_half_of_it(vase_scene, tmp_path):
    train(smoke(vase_scene.root, tmp_path / "first"))  # what numba compiles is kept from now on
    with no_file_above(20_000), pytest.raises(OutputError, match="no space left in .*nerfstudio_models"):
        train(smoke(vase_scene.root, tmp_path / "second"))
    assert not list((tmp_path / "second").rglob("nerfstudio_models/*"))
