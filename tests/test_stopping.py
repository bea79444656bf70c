"""Ctrl-C and SIGTERM end a command in one line: nothing stays in TMPDIR, no child runs on, and one folder has one process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nerfsem_method.cli.main import run
from nerfsem_method.errors import NerfsemError, OutputError
from nerfsem_method.files import replacing, replacing_folder, scratch
from nerfsem_method.locks import LOCK, locked
from nerfsem_method.stopping import Stopped, advise, stoppable, undisturbed

PATIENCE = 120.0
"""A process that has not come so far after so many seconds never will."""


class Signalled:
    """This verb is sent a signal while it works in a temporary folder."""

    def __init__(self, number: signal.Signals, *advice: str) -> None:
        self.number, self.advice = number, advice

    def run(self) -> None:
        with scratch("test") as folder:
            (folder / "half").touch()
            try:
                signal.raise_signal(self.number)
            except KeyboardInterrupt as stop:
                for advice in self.advice:
                    advise(stop, advice)
                raise


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_is_one_line_a_code_and_an_empty_tmpdir(number, code, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = signal.getsignal(number)
    assert run(Signalled(number)) == code
    assert capsys.readouterr().err == "nerfsem: stopped\n"
    assert not list(tmp_path.iterdir()) and signal.getsignal(number) is before


def test_the_line_says_once_how_to_go_on(capsys):
    assert run(Signalled(signal.SIGTERM, "run it again", "run it again", "it is in\nwork")) == 143
    assert capsys.readouterr().err == "nerfsem: stopped; run it again; it is in work\n"


def test_an_impatient_second_signal_does_not_disturb_the_clearing_away():
    cleared = []
    with pytest.raises(Stopped), stoppable():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            cleared.append(True)
    assert cleared


def test_a_signal_waits_while_a_process_is_begun():
    done = []
    with pytest.raises(Stopped) as stop, stoppable():
        with undisturbed():
            signal.raise_signal(signal.SIGTERM)
            done.append("begun")
        done.append("not stopped")
    assert done == ["begun"] and stop.value.number == signal.SIGTERM
    with pytest.raises(Stopped), stoppable():
        signal.raise_signal(signal.SIGTERM)
    with undisturbed():
        pass


def test_a_signal_that_the_caller_ignores_stays_ignored():
    """`nohup` has the hang-up ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def _stopped(words: list[object], number: signal.Signals, temporary: Path, reached) -> tuple[int, str]:
    """Run nerfsem, send it a signal as soon as it has `reached` something, and return its exit code and last line.

    Raises AssertionError where a child runs on.
    """
    temporary.mkdir()
    command = [sys.executable, "-m", "nerfsem_method.cli.main", *map(str, words)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )  # fmt: skip
    until = time.monotonic() + PATIENCE
    while process.poll() is None and not reached(process.pid) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(number)
    complaints = process.communicate(timeout=PATIENCE)[1]
    with pytest.raises(ProcessLookupError):  # a child whose input has ended takes a moment to go, too
        while time.monotonic() < until + PATIENCE:
            os.killpg(process.pid, 0)
            time.sleep(0.02)
    return process.returncode, complaints.splitlines()[-1]


def test_a_decoding_that_is_stopped_leaves_nothing(root, tmp_path):
    output, temporary = tmp_path / "out", tmp_path / "tmp"
    output.mkdir()
    words = ["decode", root / "tests/golden/vase.nsem", output / "relic.mp4"]
    children = "/proc/{0}/task/{0}/children"
    if not Path(children.format(os.getpid())).exists():
        pytest.skip("this system does not tell the children of a process")
    begun = lambda pid: Path(children.format(pid)).read_text()  # noqa: E731 (ffmpeg takes the frames)
    assert _stopped(words, signal.SIGTERM, temporary, begun) == (143, "nerfsem: stopped")
    assert not list(output.iterdir()) and not list(temporary.iterdir())


def test_a_capture_that_is_stopped_while_colmap_works_keeps_its_stages(vase_video, vase_mattes, tmp_path):
    scene, temporary = tmp_path / "scene", tmp_path / "tmp"
    words = ["capture", vase_video, scene, "--mattes", vase_mattes, "--scale", "34:60"]
    begun = lambda pid: list(temporary.glob("nerfsem-colmap-*/*/job.json"))  # noqa: E731
    code, line = _stopped(words, signal.SIGINT, temporary, begun)
    assert (code, line) == (130, "nerfsem: stopped; run the same command again to go on")
    assert not list(temporary.iterdir())
    assert {path.name for path in scene.iterdir()} == {"frames", "mattes", "capture.json", "nerfsem.log"}
    told = (scene / "nerfsem.log").read_text()
    assert "frames: done in" in told and "cameras (COLMAP): stopped after" in told and "ends: stopped" in told


# locks ----------------------------------------------------------------------------------------------------------------

HOLDER = "import sys; from pathlib import Path; from nerfsem_method.locks import locked\n"
HOLDER += "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def other(tmp_path):
    """Start another process that holds a folder, and return it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_process_in_a_folder_is_told_of_the_first_and_a_dead_one_is_no_obstacle(other, tmp_path):
    told = f"process {other.pid} is at work in {tmp_path}; wait for its end, or name another"
    with pytest.raises(OutputError, match=told), locked(tmp_path):
        pass
    other.kill()
    other.wait()
    assert (tmp_path / LOCK).exists()  # what a killed process left
    with locked(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("writer", [replacing, replacing_folder])
def test_two_writers_of_one_output_do_not_meet(writer, tmp_path):
    with writer(tmp_path / "relic") as partial:
        if writer is replacing:
            partial.write_bytes(b"first")
        with pytest.raises(OutputError, match="another process is writing .*relic"), writer(tmp_path / "relic"):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["relic"]


def test_a_folder_is_let_go_of_when_the_work_fails(tmp_path):
    for _ in range(2):
        with pytest.raises(NerfsemError, match="no object"), locked(tmp_path):
            raise NerfsemError("no object")
