"""A collection that is killed at any moment loses nothing, and does nothing twice."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from collection_work import GOLDEN, states

from nerfsem_method.cli.collection import VerifyAll
from nerfsem_method.cli.main import run
from nerfsem_method.errors import NerfsemError

KILLED = """
import sys, time
from pathlib import Path
from nerfsem_method.collection import local
from nerfsem_method.collection.compress import Means, compress
from nerfsem_method.collection.job import Outcome
from nerfsem_method.pipeline import Options
clips, out, golden = map(Path, sys.argv[1:])
def work(job, abandoned):
    with open(out.with_name("calls"), "a") as calls:
        print(job.name, file=calls)
    time.sleep(0.01)
    return Outcome(golden.read_bytes(), b"poster", None, {"warnings": []})
local.attempt = work
compress(clips, out, Options(preset="smoke"), Means(workers=2))
"""


def test_a_kill_at_any_moment_loses_nothing(tmp_path):
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    for number in range(60):
        (clips / f"{number:02}.mp4").write_text(str(number))
    command = [sys.executable, "-c", KILLED, clips, out, GOLDEN]
    for wanted in (1, 7, 20, 40):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while process.poll() is None and list(_states_of(out)).count("done") < wanted:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for path in (out / "bundles").glob("*.nsem"):
            assert path.read_bytes() == GOLDEN.read_bytes()
    assert subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0
    assert list(states(out).values()) == ["done"] * 60 and not list(out.rglob(".*partial"))
    calls = (tmp_path / "calls").read_text().split()
    assert len(calls) <= 60 + 4 * 2  # of what was done, nothing is done again: a kill costs the two that are worked on
    assert run(VerifyAll(out)) == 0


def _states_of(out: Path) -> list[str]:
    """Return all states, none while there is no collection."""
    try:
        return list(states(out).values())
    except NerfsemError:
        return []
