"""Every program of benchmarks/ runs from end to end on something small, and docs/results.md is what the records make of it."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from unittest.mock import create_autospec

import numpy as np
import pytest
import tcnn_model
import torch
from PIL import Image
from run_program import PROGRAMS, smoke
from scipy.spatial.transform import Rotation
from tiny_field import DENSE, tiny_bundle

from benchmarks.fuzz import make_seeds, mutate
from benchmarks.record import Table
from benchmarks.study import hinerv, paper
from benchmarks.timing import subjects
from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.capture import ingest
from nerfsem_method.capture.report.figures import Report
from nerfsem_method.codec import nsem
from nerfsem_method.errors import NerfsemError
from nerfsem_method.field.spec import Level
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.media.video import write_video
from nerfsem_method.playback.player import Player
from nerfsem_method.plugin import checkpoint
from nerfsem_method.plugin.config import trainer_config
from nerfsem_method.plugin.training import train
from nerfsem_method.scene.scene import Scene
from nerfsem_method.training import drawn, presets

WITHOUT_RECORD = {"benchmarks.__main__", "benchmarks.fuzz.make_seeds", "benchmarks.timing.steps_of"}


def test_every_program_is_run_here(root):
    files = [path.relative_to(root) for path in (root / "benchmarks").rglob("*.py") if "__main__" in path.read_text()]
    assert {".".join(path.with_suffix("").parts) for path in files} == PROGRAMS.keys() | WITHOUT_RECORD


@pytest.fixture(scope="module")
def source(vase_scene, vase_video, tmp_path_factory) -> Path:
    """Write a folder like those of the full clips, with relic.mp4, masks/ and poses_truth.json, of the small scene's frames."""
    folder = tmp_path_factory.mktemp("source")
    pictures = [np.asarray(Image.open(vase_scene.root / frame.image)) for frame in vase_scene.frames]
    write_video(folder / "relic.mp4", pictures, Fraction(15))
    shutil.copytree(vase_scene.root / "mattes", folder / "masks")
    cameras = json.loads((vase_video.parent / "vase_cameras.json").read_text())
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    matrices = [np.linalg.inv(np.vstack([pose, [0, 0, 0, 1]])) @ flip for pose in cameras["cam_from_world"][::5]]
    sizes = {"w": "width", "h": "height", "fl_x": "fx", "fl_y": "fy", "cx": "cx", "cy": "cy"}
    truth = {"convention": "OpenGL", "frames": [{"transform_matrix": matrix.tolist()} for matrix in matrices]}
    (folder / "poses_truth.json").write_text(json.dumps(truth | {key: cameras[name] for key, name in sizes.items()}))
    return folder


# What takes how long --------------------------------------------------------------------------------------------------


@pytest.fixture
def threads() -> Iterator[None]:
    """Let torch have as many threads after the test as before."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_wider_twin_of_a_trained_field_shows_the_same_pictures():
    quick = subjects.quick_bundle()
    wider = subjects.standard_bundle(quick)
    assert wider.state.spec == presets.load("standard").field
    ours, theirs = (Player(bundle).frame(3).astype(int) for bundle in (wider, quick))
    np.testing.assert_allclose(ours, theirs, atol=1)  # longer sums may be rounded otherwise


@pytest.mark.slow
def test_speed(tmp_path, threads):
    (table,) = smoke("benchmarks.timing.speed", tmp_path, "--rehearse")
    assert len(table.rows) == 10 and all(row[2] for row in table.rows)
    assert re.fullmatch(r"\d+ threads, load .* GFLOP/s\.", table.note)


@pytest.mark.slow
def test_the_papers_experiments(bare, vase_scene, tmp_path, monkeypatch):
    """A run that goes on measures nothing twice, and need not plot the same again here."""
    config = trainer_config("smoke")
    config.data = config.pipeline.datamanager.data = vase_scene.root
    config.output_dir, config.max_num_iterations = tmp_path, 40
    bundle = checkpoint.export(train(config), tmp_path, "fp", BackgroundOptions())
    small = ["--scene", vase_scene.root, "--bundles", bundle, "--output-dir", tmp_path / "paper", "--gops", 6, "--crfs", 30, 50]
    small += ["--background-gops", 6, "--background-crfs", 45]
    (table,) = smoke("benchmarks.study.paper", tmp_path, *small)
    assert [row[0] for row in table.rows] == ["fp", "pc"] and table.rows[0][-1] == "43 % (H.264), 37.5 % (H.265)"
    kept = tmp_path / "paper/points.json"
    points = json.loads(kept.read_text())
    assert len(points) == 1 + 2 * 2 + 1 + 2 * 2 and f"pc {bundle.stem} 6 45" in points
    assert Image.open(tmp_path / "paper/plot.png").size[0] > 600
    before = kept.stat().st_mtime_ns
    with monkeypatch.context() as patch:
        patch.setattr(paper, "plot", create_autospec(paper.plot))
        smoke("benchmarks.study.paper", tmp_path, *small)
    assert kept.stat().st_mtime_ns == before
    _, table = smoke("benchmarks.study.paper", tmp_path, *small, "--background-codec", "h265")
    assert table.title.endswith("h265 behind") and table.rows[1][1].endswith("h265, GOP 6, CRF 45")
    assert json.loads(kept.read_text()).keys() - points.keys() == {f"pc {bundle.stem} 6 45 h265"}


@pytest.mark.slow
def test_backgrounds(vase_scene, tmp_path):
    levels = ["--h264", 30, "--h265", 51, "--av1", 50, 63]
    (table,) = smoke("benchmarks.study.backgrounds", tmp_path, "--scene", vase_scene.root, *levels)
    assert [row[:2] for row in table.rows] == [["h264", "30"], ["h265", "51"], ["av1", "50"], ["av1", "63"]]
    sizes = [int(row[2].replace(",", "")) for row in table.rows]
    assert sizes[0] > sizes[1] and sizes[2] > sizes[3] and float(table.rows[2][3][:5]) > float(table.rows[3][3][:5])


def test_half_cube(tmp_path):
    (table,) = smoke("benchmarks.timing.half_cube", tmp_path, "--presets", "smoke", "--steps", 1)
    assert [tuple(row[:2]) for row in table.rows] == [("smoke", "solid"), ("smoke", "shell")]
    assert float(table.rows[1][-1].removesuffix(" GB")) > 0.1


def test_collection(tmp_path):
    pytest.importorskip("distributed", reason="Dask is in the development lock: make install")
    (table,) = smoke("benchmarks.timing.collection", tmp_path, "--items", 5, "--rows", 10)
    assert [row[1].split()[1] for row in table.rows] == ["ms", "s"]


def test_tcnn_beside_plain_torch(tmp_path, monkeypatch):
    """A plain model stands in for tiny-cuda-nn."""
    monkeypatch.setitem(sys.modules, "tinycudann", tcnn_model)
    (table,) = smoke("benchmarks.timing.tcnn", tmp_path, "--presets", "smoke", "--samples", 100, "--device", "cpu")
    assert len(table.rows) == 2 and all(float(row[-1]) < 1e-3 for row in table.rows)


@pytest.mark.slow
def test_gpu_in_the_interpreter(tmp_path, monkeypatch):
    """The rate is estimated on few entries of few tables: the interpreter takes long for each."""
    pytest.importorskip("triton", reason="Triton comes with torch on Linux alone")
    gpu = importlib.import_module("benchmarks.timing.gpu")
    monkeypatch.setattr(gpu, "Course", partial(gpu.Course, rate_samples=200))
    monkeypatch.setattr(drawn, "FEWEST", 32)
    bundle = tmp_path / "tiny.nsem"
    nsem.write(bundle, tiny_bundle(replace(DENSE, volume=(Level(8, 1),), planes=(Level(16, 1),), steps=8)))
    small = ("--bundle", bundle, "--rays", 8, "--frames", 1, "--scale", 160)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    whole, kernels = smoke("benchmarks.timing.gpu", tmp_path, "--device", device, *small)
    assert len(whole.rows) == 2 and len(kernels.rows) == 4
    assert float(re.findall(r"; (\d\.\d\d)/255", whole.rows[1][0])[0]) < 1


@pytest.mark.slow
def test_memory(source, tmp_path, monkeypatch):
    """What has processes of its own is done here, where all is loaded; that their memory is measured shows with half a cube."""
    memory = importlib.import_module("benchmarks.timing.memory")
    left = []

    def here(work, place, *arguments):
        work(place, *arguments)
        folder = place.parent if place.name == "scene" else place
        left.append({path.suffix for path in folder.rglob("*.*")})
        return len(left)

    monkeypatch.setattr(memory, "peak", here)
    small = ("--preset", "smoke", "--steps", 2, "--length", 14, "--frames", 2, "--scale", 16)
    ((row,),) = [table.rows for table in smoke("benchmarks.timing.memory", tmp_path, "--source", source, *small)]
    assert row[0].startswith("memory of training on 14 frames of 45x80") and row[2] == "1.00 GB, 2.00 GB"
    assert ".ckpt" in left[0] and ".mp4" in left[1]


# What comes out, how good ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def studied(vase_scene, source, tmp_path_factory) -> tuple[Path, list[Table]]:
    """Study a scene that is captured already, and return the study's folder and its tables."""
    folder = tmp_path_factory.mktemp("rd")
    scene = Scene.load(shutil.copytree(vase_scene.root, folder / "work/scene"))
    even = [0.2] * len(scene.frames), [1.0] * len(scene.frames)
    Report(len(scene.frames), [], "frame", 0, 0.5, 300.0, 100, 350.0, *even, []).save(scene.root)
    small = ("--preset", "smoke", "--max-steps", 3, "--scale", "90:160", "--rate-weights", "1e-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest, "ingest", create_autospec(ingest.ingest, return_value=scene))
        given = ("--source", source, "--output-dir", folder)
        return folder, smoke("benchmarks.study.rate_distortion", folder / "results", *given, *small)


@pytest.mark.slow
def test_rate_distortion(studied):
    folder, (ours, parts, peers) = studied
    size = (folder / "lambda-1e-08/relic.nsem").stat().st_size
    assert ours.rows[0][1] == f"{size:,}" and sum(map(int, parts.rows[0])) == size
    assert {row[0].split()[0] for row in peers.rows} == {"x264", "x265"}


@pytest.mark.slow
def test_ablation(studied, tmp_path):
    folder, _ = studied
    parts, tables, quality = smoke("benchmarks.study.ablation", tmp_path, "--work-dir", folder / "work", "--every", 6)
    size = (folder / "lambda-1e-08/relic.nsem").stat().st_size
    assert parts.rows[-1][0] == "all" and parts.rows[-1][3] == f"{size:,}"
    assert len(tables.rows) > 2 and tables.rows[-1][0] == "all"
    real, stored = (float(row[1]) for row in quality.rows)
    assert real > 5 and abs(real - stored) < 3


def test_ablation_without_a_run(tmp_path):
    with pytest.raises(NerfsemError, match="holds no run"):
        smoke("benchmarks.study.ablation", tmp_path, "--work-dir", tmp_path)


def test_capture_of_the_truth_itself(vase_scene, source, tmp_path, monkeypatch):
    capture = importlib.import_module("benchmarks.study.capture")
    monkeypatch.setattr(capture, "ingest", create_autospec(ingest.ingest, return_value=vase_scene))
    arguments = ("--source", source, "--output-dir", tmp_path / "captured")
    (table,) = smoke("benchmarks.study.capture", tmp_path, *arguments)
    exact = ["12 of 12", "0.000, 0.000 deg", "0.000 % of the ring", "+0.00 %", "1.0000, 1.0000 in frame 0"]
    assert table.rows[0][1:6] == exact
    assert Image.open(tmp_path / "captured.png").width > 1000


def test_camera_errors_of_a_turned_camera(vase_scene, source):
    capture = importlib.import_module("benchmarks.study.capture")
    turn = Rotation.from_rotvec([0, 0, 3], degrees=True).as_matrix()
    first = replace(vase_scene.frames[0], cam_from_world=turn @ vase_scene.frames[0].cam_from_world)
    wrong = replace(vase_scene, frames=(first, *vase_scene.frames[1:]))
    errors = capture.camera_errors(wrong, json.loads((source / "poses_truth.json").read_text()))
    assert 2 < errors.rotation_max < 3.1 and errors.rotation_median < 0.5


def test_clips(source, tmp_path):
    arguments = ("--source", source, "--output-dir", tmp_path / "clips", "--only", "audio-only", "still-camera")
    sound, still = smoke("benchmarks.study.clips", tmp_path, *arguments)
    assert sound.rows[0][:2] == ["audio-only", "2"] and "no video stream" in sound.rows[0][4]
    assert still.rows[0][:2] == ["still-camera", "2"] and "the camera hardly moves" in still.rows[0][4]


@pytest.mark.slow
def test_hinerv_beside_frame_codecs(tmp_path, monkeypatch):
    """A network that is hardly trained paints something, and is found again, as the codecs' points are."""
    monkeypatch.setattr(hinerv, "PEER_NAMES", ("x264",))
    arguments = ("--sizes", "small", "--epochs", "1", "--scale", "72", "128", "--output-dir", tmp_path)
    ours, curves = smoke("benchmarks.study.hinerv", tmp_path, *arguments)
    assert "1 epochs" in ours.rows[0][0] and len(curves.rows) == len(hinerv.PAPER_CRF) + hinerv.COARSE
    assert 5 < float(ours.rows[0][2].split()[0]) < 40
    monkeypatch.setattr(hinerv.Hinerv, "_train", None)
    monkeypatch.setattr(hinerv, "PEERS", {})
    assert smoke("benchmarks.study.hinerv", tmp_path, *arguments)[0].rows == ours.rows


def test_an_unknown_clip(source, tmp_path):
    with pytest.raises(NerfsemError, match="no clip is called sunset"):
        smoke("benchmarks.study.clips", tmp_path, "--source", source, "--only", "sunset")


@pytest.mark.slow
def test_each_clip_can_be_made(source, tmp_path, monkeypatch):
    clips = importlib.import_module("benchmarks.study.clips")
    monkeypatch.setattr(clips, "orbit", lambda count, orbit=clips.orbit: orbit(2))
    for name, make in clips.clips(source).items():
        make(tmp_path / f"{name}.mp4")
        assert (tmp_path / f"{name}.mp4").stat().st_size, name
    (drawn, _) = open_clip(tmp_path / "two-objects.mp4").frames(clips.SIZE)
    assert drawn.rgb.std() > 20
    turned = [frame.rgb for frame in open_clip(tmp_path / "rotated-by-metadata.mp4").frames(clips.SIZE)]
    upright = [frame.rgb for frame in open_clip(tmp_path / "motion-blur.mp4").frames(clips.SIZE)]
    assert np.abs(np.subtract(turned, upright, dtype=float)).mean() < 10


# The reader's robustness ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_fuzz(tmp_path):
    arguments = ("--cases", 20, "--bounds-checked", 0, "--coverage", 1, "--output-dir", tmp_path / "failed")
    damaged, covered = smoke("benchmarks.fuzz.__main__", tmp_path, *arguments)
    assert damaged.rows[0][:3] == ["20", "0", "0"]
    assert sum(int(part.split()[0]) for part in damaged.rows[0][3].split(", ")) == 20
    assert 80 < float(covered.rows[0][-1].removesuffix(" %")) <= 100
    assert not (tmp_path / "failed").exists()


def test_the_seeds_are_what_their_program_makes():
    kept = {path.stem: path.read_bytes() for path in mutate.SEEDS.glob("*.nsem")}
    assert b"OCCU" in kept.pop("older-fp")
    assert make_seeds.make() == kept
