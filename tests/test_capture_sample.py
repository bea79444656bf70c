"""These tests run the real thing, with frames, given mattes and COLMAP, on the sample clip, against its true cameras."""

from __future__ import annotations

import json
import subprocess
from contextlib import nullcontext
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pycolmap
import pytest
from scipy.spatial.transform import Rotation
from short_clip import HEIGHT, WIDTH, write_short_clip

from nerfsem_method.capture.cameras import reconstruct
from nerfsem_method.capture.cameras.poses import solve
from nerfsem_method.capture.clip import keyframes
from nerfsem_method.capture.clip.frames import extract
from nerfsem_method.capture.colmap import mapping
from nerfsem_method.capture.colmap.job import Job
from nerfsem_method.capture.colmap.solution import poses_of
from nerfsem_method.capture.ingest import ingest
from nerfsem_method.capture.mattes.given import load_mattes
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.capture.report.figures import read_report
from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.scene.camera import camera_centres
from nerfsem_method.scene.hull import carve
from nerfsem_method.scene.scene import Scene

pytestmark = pytest.mark.slow


def silent(done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which COLMAP works on the capture; unlike elsewhere, it stays."""
    return tmp_path_factory.mktemp("colmap")


@pytest.fixture(scope="module")
def captured(vase_video: Path, vase_mattes: Path, work: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconstruct, "scratch", lambda prefix: nullcontext(work))
        return ingest(vase_video, CaptureOptions(mattes=vase_mattes), tmp_path_factory.mktemp("capture") / "vase.nerfsem")


@pytest.fixture(scope="module")
def truth(vase_video: Path) -> dict:
    return json.loads((vase_video.parent / "vase_cameras.json").read_text())


def test_every_camera_is_registered_and_the_turn_is_closed(captured: Scene) -> None:
    assert {frame.source for frame in captured.frames} == {"registered"}
    assert read_report(captured.root).loop_closures > 0


def test_the_cameras_are_the_true_ones_up_to_a_similarity(captured: Scene, truth: dict) -> None:
    true = np.array(truth["cam_from_world"])
    found, real = camera_centres(captured.poses), camera_centres(true)
    found, real = found - found.mean(0), real - real.mean(0)
    turn = Rotation.align_vectors(real, found)[0]
    scale = np.sum(real * turn.apply(found)) / np.sum(found**2)
    ring = np.linalg.norm(real, axis=1).mean()
    offsets = np.linalg.norm(scale * turn.apply(found) - real, axis=1) / ring
    rest = captured.poses[:, :, :3] @ turn.as_matrix().T @ true[:, :, :3].transpose(0, 2, 1)
    degrees = np.degrees(Rotation.from_matrix(rest).magnitude())
    # Measured were 0.10 degrees (largest 0.32), 0.18 % of the ring's radius, and a focal length 0.9 % too long
    assert np.median(degrees) < 0.4 and degrees.max() < 0.9
    assert np.median(offsets) < 0.006 and offsets.max() < 0.012
    assert captured.camera.fx == pytest.approx(truth["fx"], rel=0.025)


def test_frames_between_keyframes_are_posed_against_the_model(captured: Scene, truth: dict, monkeypatch) -> None:
    count = 12
    pictures = sorted((captured.root / "frames").glob("*.png"))[:count]
    monkeypatch.setattr(keyframes, "FEWEST", 8)
    monkeypatch.setattr(keyframes, "MOST", 8)
    model = solve(pictures, None, "frame", silent)
    assert model.registered.all()
    assert set(model.views[:, 1].astype(int)) == set(range(count))
    true, found = np.array(truth["cam_from_world"])[:count, :, :3], model.poses[:, :, :3]
    steps = [rotations[1:] @ rotations[:-1].transpose(0, 2, 1) for rotations in (true, found)]
    error = np.degrees(Rotation.from_matrix(steps[0] @ steps[1].transpose(0, 2, 1)).magnitude())
    assert np.median(error) < 0.2 and error.max() < 0.6


def test_the_same_frames_give_the_same_cameras_to_the_last_bit(tmp_path: Path) -> None:
    write_short_clip(tmp_path / "relic.mp4", tmp_path / "mattes")
    (tmp_path / "frames").mkdir()
    pictures = extract(open_clip(tmp_path / "relic.mp4"), tmp_path / "frames", (WIDTH, HEIGHT), silent)
    first, second = (solve(pictures, None, "auto", silent) for _ in range(2))
    np.testing.assert_array_equal(first.poses, second.poses)
    np.testing.assert_array_equal(first.points, second.points)


def test_many_sightings_are_adjusted_to_the_same_cameras_to_the_last_bit(captured: Scene, work: Path) -> None:
    """COLMAP adjusts fewer than 50,000 coordinates by one thread, whatever it is told; the whole clip has more."""
    job = Job.read(work / "job.json")
    found = []
    for _ in range(2):
        model = pycolmap.Reconstruction(str(work / "first_incremental/0"))
        mapping.refine(job, work / "database.db", model, mapping.DRIFTING, closed=True)
        assert 2 * model.compute_num_observations() > 50_000
        found.append(poses_of(job, model))
    for frame, pose in found[0].items():
        np.testing.assert_array_equal(pose, found[1][frame])


def test_the_hull_fills_the_unit_cube_with_a_small_border(captured: Scene) -> None:
    mattes = load_mattes(captured.root / "mattes")
    hull = carve(captured.cameras, mattes, 64, np.zeros(3), 1.0)
    occupied = np.argwhere(hull)
    assert occupied.min() >= 1 and occupied.max() <= 62
    assert (np.ptp(occupied, axis=0) / 64).max() > 0.85


def test_a_still_camera_is_an_error_in_plain_words(vase_video: Path, tmp_path: Path) -> None:
    still = tmp_path / "still.mp4"
    freeze = ["-vf", "trim=end_frame=1,loop=11:1,noise=alls=4:allf=t", "-frames:v", "12"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(vase_video), *freeze, str(still)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    with pytest.raises(CaptureError, match="hardly moves"):
        ingest(still, CaptureOptions(), tmp_path / "scene")
