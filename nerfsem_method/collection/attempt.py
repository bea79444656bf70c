"""This module tries one item on the machine that it runs on: a fresh process does the work, and is looked after until it ends."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from nerfsem_method.collection import child
from nerfsem_method.collection.job import Job, Outcome
from nerfsem_method.errors import NerfsemError, OutputError, one_line
from nerfsem_method.files import refusal, writing
from nerfsem_method.locks import LOCK, hold

LOG = "item.log"
"""What the process says goes into this file of the job's folder."""
LOG_TAIL = 20_000
"""So many bytes of it come back."""
LOOK_SECONDS = 0.5
"""So often it is asked whether somebody still waits for the outcome."""
LEAVE_SECONDS = 30.0
"""A process whose caller was killed ends within moments; so long its folder is waited for."""
_THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def attempt(job: Job, abandoned: Callable[[], bool]) -> Outcome:
    """Return what comes of a job; when it is `abandoned`, its process is ended, and the outcome is of no interest.

    What goes wrong is told in the outcome, never raised, but for a mistake of ours.
    """
    started, folder = time.monotonic(), Path(job.work)
    try:
        with writing(folder), _held(folder) as descriptor:
            code = _run(_prepared(job, folder), folder, descriptor, abandoned)
            outcome = _outcome(folder, code)
    except NerfsemError as error:
        outcome = Outcome(reason=one_line(error))
    except OSError as error:
        outcome = Outcome(reason=refusal(error))
    return replace(outcome, seconds=time.monotonic() - started)


@contextmanager
def _held(folder: Path) -> Iterator[int]:
    """Hold the job's folder once a process that worked there before has gone, and yield the descriptor that holds it.

    The job's process inherits it: the folder is free when that has ended, too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LEAVE_SECONDS
    while (descriptor := hold(folder / LOCK)) is None:
        if time.monotonic() > deadline:
            raise OutputError(f"another process is at work in {folder}; wait for its end")
        time.sleep(0.05)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _prepared(job: Job, folder: Path) -> Job:
    """Return the job for its process, with the files that were sent along put into its folder."""
    for name in (child.FINDINGS, child.BUNDLE, child.POSTER, child.PAGE, LOG):
        (folder / name).unlink(missing_ok=True)
    if not job.files:
        return job
    inputs = folder / "input"
    for name, data in job.files:
        path = inputs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    mattes = job.mattes and str(inputs / job.mattes)
    return replace(job, source=str(inputs / job.source), mattes=mattes, files=())


def _run(job: Job, folder: Path, descriptor: int, abandoned: Callable[[], bool]) -> int:
    """Run the job's process to its end, and return its exit code."""
    command = [sys.executable, "-m", child.__name__]
    own = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **dict.fromkeys(_THREADS, str(job.threads))}
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, env={**os.environ, **own},
            start_new_session=True, pass_fds=(descriptor,),
        )  # fmt: skip
        assert process.stdin is not None
        try:
            with suppress(BrokenPipeError):  # it has ended already, and its exit code says how
                process.stdin.write(pickle.dumps(job))
                process.stdin.flush()
            _await(process, abandoned)
        finally:
            _end(process, process.stdin)
    return process.returncode


def _await(process: subprocess.Popen[bytes], abandoned: Callable[[], bool]) -> None:
    while not abandoned():
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_SECONDS)
            return


def _end(process: subprocess.Popen[bytes], lifeline: IO[bytes]) -> None:
    """End the process, if it has not ended, and all that it has started and left behind."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(BrokenPipeError):
        lifeline.close()
    process.wait()


def _outcome(folder: Path, code: int) -> Outcome:
    """Return what the process has left."""
    log = (folder / LOG).read_bytes()[-LOG_TAIL:].decode(errors="replace")
    if code or not (folder / child.FINDINGS).exists():
        return Outcome(reason=_death(code, log), log=log)
    found = json.loads((folder / child.FINDINGS).read_text())
    bundle, poster, page = (_content(folder / name) for name in (child.BUNDLE, child.POSTER, child.PAGE))
    return Outcome(bundle, poster, page, found["facts"], found["reason"], found["lasting"], log)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _death(code: int, log: str) -> str:
    """Return in words how a process ended that left nothing."""
    if code == -signal.SIGKILL:
        return (
            "its process was killed, as the system does where memory runs out; take fewer --workers or smaller frames (--scale)"
        )
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    last = next((line for line in reversed(log.splitlines()) if line.strip()), "it said nothing")
    return f"its process ended with {how}: {last}"
