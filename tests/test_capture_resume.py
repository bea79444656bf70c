"""A capture that is stopped at any moment goes on where it stopped, and comes to the same result.

The clip's true cameras stand in for COLMAP here.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from true_cameras import TrueCameras, shorter_clip

from nerfsem_method.capture.cameras import normalise, poses
from nerfsem_method.capture.clip.frames import MIN_FRAMES
from nerfsem_method.capture.ingest import ingest
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.capture.report import page as report_page
from nerfsem_method.files import partial_of


@pytest.fixture
def colmap(monkeypatch: pytest.MonkeyPatch) -> TrueCameras:
    cameras = TrueCameras()
    monkeypatch.setattr(poses, "solve", cameras)
    return cameras


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, CaptureOptions]:
    """This clip is as short as a clip may be, small, and captured coarsely."""
    monkeypatch.setattr(normalise, "ROUNDS", (12,))
    monkeypatch.setattr(report_page, "SHEET_FRAMES", 1)
    video, mattes = shorter_clip(tmp_path, MIN_FRAMES, "36:64")
    return video, CaptureOptions(mattes=mattes)


def written(folder: Path) -> dict[str, int]:
    """Return when each file of a folder was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_an_interrupted_capture_goes_on_where_it_stopped(clip, colmap) -> None:
    video, options = clip
    colmap.failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        ingest(video, options)
    root = video.with_name("relic.nerfsem")
    assert not (root / "scene.json").exists() and not (root / "cameras").exists()
    half_written = partial_of(root / "cameras") / "model.npz"
    half_written.parent.mkdir(exist_ok=True)
    half_written.write_bytes(b"half")
    before = written(root / "frames")
    colmap.failure = None
    ingest(video, options)
    assert written(root / "frames") == before
    assert not half_written.parent.exists()


class Killed(BaseException):
    """This ends a capture as SIGKILL does, after which nothing is cleaned up."""


def contents(root: Path) -> dict[str, bytes]:
    """Return what is in each file of a folder but its log and its lock, which after a kill nobody holds."""
    files = (path for path in root.rglob("*") if path.is_file() and path.suffix not in (".log", ".lock"))
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_a_capture_killed_at_any_moment_and_run_again_gives_the_same(clip, colmap, monkeypatch, tmp_path) -> None:
    """The capture is killed before the first, second, ... change to its folder, until there is none left to be killed before."""
    video, options = clip
    whole = contents(ingest(video, options, tmp_path / "whole").root)
    changes = {
        "rename": Path,
        "replace": Path,
        "unlink": Path,
        "mkdir": Path,
        "write_text": Path,
        "write_bytes": Path,
        "rmtree": shutil,
    }
    left = [0]

    def deadly(change):
        def instead(*args, **kwargs):
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return change(*args, **kwargs)

        return instead

    for moment in range(1, 200):
        root = tmp_path / f"killed{moment}"
        left[0] = moment
        with monkeypatch.context() as patched:
            for name, owner in changes.items():
                patched.setattr(owner, name, deadly(getattr(owner, name)))
            try:
                ingest(video, options, root)
                break
            except Killed:
                pass
        assert contents(ingest(video, options, root).root) == whole, f"killed before change {moment}"
        shutil.rmtree(root)
    assert 10 < moment < 199
