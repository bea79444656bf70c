"""Each item has a process of its own: what happens to it happens to that item alone, and it never outlives its caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_collection import SMALL_OPTIONS, write_posed
from untouched import untouched

from nerfsem_method.codec import nsem
from nerfsem_method.collection import attempt as attempts
from nerfsem_method.collection.attempt import attempt
from nerfsem_method.collection.job import Job
from nerfsem_method.locks import LOCK, hold

PATIENCE = 120.0
"""What has not happened after so many seconds never will."""


def job(source: Path, tmp_path: Path, **changes) -> Job:
    """Return a job with a clip, in a folder of its own."""
    return Job("a", str(source), None, SMALL_OPTIONS, str(tmp_path / "page.html"), **{"work": str(tmp_path / "work"), **changes})


def never() -> bool:
    """Say that somebody waits."""
    return False


@pytest.mark.slow
def test_an_item_becomes_a_bundle_a_poster_and_figures(vase_scene, tmp_path):
    scan = write_posed(tmp_path / "scan", vase_scene)
    with untouched(scan):
        made = attempt(job(scan, tmp_path, threads=2), never)
    assert made.bundle is not None and made.poster is not None, made.reason
    assert nsem.decode(made.bundle).video.frames == made.facts["frames"] == len(vase_scene.frames)
    assert made.poster[8:12] == b"WEBP" and made.facts["psnr_center"] > 5 and made.seconds > 0


def test_a_broken_clip_is_a_reason_that_lasts_and_files_may_be_sent_along(tmp_path):
    sent = job(Path("clip/broken.mp4"), tmp_path, files=(("clip/broken.mp4", b"nothing"),))
    made = attempt(sent, never)
    assert made.bundle is None and made.lasting and "broken.mp4 is not a video" in made.reason
    assert (tmp_path / "work/input/clip/broken.mp4").read_bytes() == b"nothing"


@pytest.fixture
def endless(tmp_path, monkeypatch) -> Path:
    """Have an endless program with a child in the place of an item's, and return where it writes their numbers."""
    program = tmp_path / "endless.py"
    program.write_text(
        "import os, subprocess, sys, threading, time\n"
        "from nerfsem_method.collection import child\n"
        "def work(job, folder):\n"
        "    other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"    open({str(tmp_path / 'numbers.new')!r}, 'w').write(f'{{os.getpid()}} {{other.pid}}')\n"
        f"    os.rename({str(tmp_path / 'numbers.new')!r}, {str(tmp_path / 'numbers')!r})\n"
        "    time.sleep(600)\n"
        "child._do = work\n"
        "child.main()\n"
    )
    files = {name: getattr(attempts.child, name) for name in ("FINDINGS", "BUNDLE", "POSTER", "PAGE")}
    monkeypatch.setattr(attempts, "child", SimpleNamespace(__name__="endless", **files))
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "numbers"


def numbers(path: Path) -> list[int]:
    """Wait until the program has written the numbers of its processes, and return them."""
    _wait(path.exists)
    return [int(number) for number in path.read_text().split()]


def _wait(reached) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _gone(number: int) -> bool:
    """Return whether a process has ended; one that nobody has asked for its exit code has."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("way", ["killed", "abandoned"])
def test_a_process_that_ends_early_takes_its_children_along(way, endless, tmp_path):
    waiting, made = threading.Event(), []
    thread = threading.Thread(target=lambda: made.append(attempt(job(tmp_path, tmp_path), waiting.is_set)))
    thread.start()
    own, other = numbers(endless)
    if way == "killed":
        os.kill(own, signal.SIGKILL)
    else:
        waiting.set()
    thread.join(PATIENCE)
    _wait(lambda: _gone(own) and _gone(other))
    assert made[0].bundle is None and not made[0].lasting and "was killed" in made[0].reason
    descriptor = hold(tmp_path / "work" / LOCK)
    assert descriptor is not None
    os.close(descriptor)


def test_a_process_does_not_outlive_a_caller_that_is_killed(endless, tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from nerfsem_method.collection import attempt as attempts\n"
        "attempts.child.__name__ = 'endless'\n"
        "from nerfsem_method.collection.job import Job\n"
        "from nerfsem_method.pipeline import Options\n"
        f"attempts.attempt(Job('a', 'x', None, Options(), 'p', work={str(tmp_path / 'work')!r}), lambda: False)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    caller = subprocess.Popen([sys.executable, "-c", code], env=environment)
    own, other = numbers(endless)
    caller.kill()
    caller.wait()
    _wait(lambda: _gone(own) and _gone(other))
