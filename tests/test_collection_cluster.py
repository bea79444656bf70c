"""A cluster brings a collection to its end although workers are killed, the client is killed, and the disk is full once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import light_item
import pytest
from small_collection import SMALL_OPTIONS, write_clips

from nerfsem_method.background.sound import read_sound
from nerfsem_method.codec import nsem
from nerfsem_method.collection.cluster import Cluster
from nerfsem_method.collection.compress import Means, compress
from nerfsem_method.collection.job import Outcome
from nerfsem_method.collection.status import status
from nerfsem_method.errors import NerfsemError
from nerfsem_method.playback.player import Player

dask = pytest.importorskip("dask", reason="Dask is in the development lock: make install")
distributed = pytest.importorskip("distributed", reason="Dask is in the development lock: make install")
PATIENCE = 600.0
"""What has not happened after so many seconds never will."""
SETTINGS = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "200ms",
}
"""No worker looks at itself a hundred times a second."""
CLIENT = """
import errno, os, sys
from pathlib import Path
from nerfsem_method.cli.main import run
from nerfsem_method.cli.collection import CompressAll
from nerfsem_method.pipeline import Options
clips, out, scheduler, full_once = sys.argv[1:]
real, refused = os.fsync, [] if full_once == "full" else [True]
def fsync(descriptor):
    if not refused and "/bundles/" in os.readlink(f"/proc/self/fd/{descriptor}"):
        refused.append(True)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    real(descriptor)
os.fsync = fsync
options = Options(preset="smoke", max_steps=40)
raise SystemExit(run(CompressAll(Path(clips), Path(out), options, scheduler=scheduler)))
"""


@pytest.fixture(scope="module")
def cluster():
    """Yield a cluster of two worker processes, each of one thread; those that are killed come back.

    What their items' processes need to show a bundle is compiled before: they would all compile it at once.
    """
    Player(nsem.read(light_item.READY), "cpu").frame(0)
    with (
        dask.config.set(SETTINGS),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", preload=light_item.__name__
        ) as started,
    ):
        yield started


def states(out: Path) -> list[str]:
    """Return all states, none while there is no collection."""
    try:
        return [item["state"] for item in status(out)["items"]]
    except NerfsemError:
        return []


def wait(reached) -> None:
    """Wait until something is reached."""
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def items_at_work(worker: int | None = None) -> int:
    """Return how many processes of items there are, of one worker's process or anywhere."""
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            found += light_item.__name__.encode() in (folder / "cmdline").read_bytes() and worker in (None, parent)
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_twelve_clips_a_killed_worker_a_killed_client_and_a_full_disk(cluster, vase_video, tmp_path):
    clips, out = write_clips(tmp_path, vase_video), tmp_path / "out"
    assert SMALL_OPTIONS.max_steps == 40

    def client(disk: str = "") -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", CLIENT, clips, out, cluster.scheduler_address, disk])

    first = client("full")
    (worker,) = [each.process.process.pid for name, each in cluster.workers.items() if name == 0]
    wait(lambda: states(out).count("done") >= 1 and items_at_work(worker))
    os.kill(worker, signal.SIGKILL)
    wait(lambda: states(out).count("done") >= 3)
    first.kill()
    assert first.wait() == -signal.SIGKILL
    bundles = list((out / "bundles").rglob("*.nsem"))
    for path in bundles:
        read_sound(path)
    before = {path: path.stat().st_mtime_ns for path in bundles}
    assert client().wait(PATIENCE) == 2  # two clips are broken
    found = {item["name"]: item for item in status(out)["items"]}
    assert sorted(item["state"] for item in found.values()) == ["done"] * 10 + ["failed"] * 2, found
    assert "is not a video" in found["cut off.mp4"]["reason"] and "at least 8 frames" in found["few"]["reason"]
    after = {path: path.stat().st_mtime_ns for path in (out / "bundles").rglob("*.nsem")}
    assert len(after) == 10 and sum(after[path] == before[path] for path in before) >= len(before) - 1
    assert client().wait(PATIENCE) == 2
    assert after == {path: path.stat().st_mtime_ns for path in (out / "bundles").rglob("*.nsem")}
    for path in after:
        read_sound(path)
        assert (path.read_bytes() == light_item.READY.read_bytes()) == (path.name.removesuffix(".nsem") in light_item.LIGHT)
    wait(lambda: not items_at_work())


def instead(job, slots) -> Outcome:
    """Stand for the work on a worker; files are there when they are sent along."""
    assert [name for name, _ in job.files] in ([], [job.source]), job
    if job.name == "lost.mp4":
        os._exit(9)
    return Outcome(light_item.READY.read_bytes(), facts={"warnings": [], "sent": len(job.files)})


@pytest.mark.parametrize("send", [False, True])
def test_tasks_come_back_and_one_that_kills_its_workers_stops_no_other(send, cluster, tmp_path, monkeypatch):
    from nerfsem_method.collection import compress as command

    monkeypatch.setattr(command, "Cluster", lambda *given: Cluster(*given, work=instead))
    monkeypatch.setattr("nerfsem_method.collection.course.TRIES", 1)
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    for name in ("a", "b", "lost"):
        (clips / f"{name}.mp4").write_text(name)
    means = Means(scheduler=cluster.scheduler_address, send=send)
    with pytest.raises(NerfsemError, match="1 of 3 items failed"):
        compress(clips, out, SMALL_OPTIONS, means, tell=lambda line: None)
    found = {item["name"]: item for item in status(out)["items"]}
    assert [item["state"] for item in found.values()] == ["done", "done", "failed"]
    assert "its worker was lost" in found["lost.mp4"]["reason"] and found["a.mp4"]["facts"]["sent"] == send


def work_and_tell_where(job, slots) -> Outcome:
    """Stand for the work on a worker, for long enough that the other one is asked, too."""
    time.sleep(0.2)
    return Outcome(light_item.READY.read_bytes(), facts={"warnings": [], "worker": distributed.get_worker().address})


async def have_a_kiln(dask_worker) -> None:
    await dask_worker.set_resources(KILN=1)


def test_items_go_where_the_resources_are_that_they_ask_for(cluster, tmp_path, monkeypatch):
    from nerfsem_method.collection import compress as command

    monkeypatch.setattr(command, "Cluster", lambda *given: Cluster(*given, work=work_and_tell_where))
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in range(6):
        (clips / f"{name}.mp4").write_text(str(name))
    with distributed.Client(cluster) as client:
        client.wait_for_workers(2)
        chosen, _ = client.scheduler_info()["workers"]
        client.run(have_a_kiln, workers=[chosen])
    for resources, seen in (("KILN=1",), 1), ((), 2):
        out, means = tmp_path / f"out{seen}", Means(scheduler=cluster.scheduler_address, resources=resources)
        compress(clips, out, SMALL_OPTIONS, means, tell=lambda line: None)
        workers = {item["facts"]["worker"] for item in status(out)["items"]}
        assert len(workers) == seen and chosen in workers


def test_a_scheduler_that_is_not_there_and_resources_that_are_none():
    with pytest.raises(NerfsemError, match="NAME=NUMBER"):
        Cluster("tcp://127.0.0.1:1", ["GPU"])
    with pytest.raises(NerfsemError, match="no scheduler answers at .*dask scheduler"):
        Cluster("what:ever")
