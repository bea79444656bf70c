"""This module runs COLMAP in a process of its own, and makes one progress of what that process tells."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.capture.colmap.job import STAGES, UNTIL
from nerfsem_method.errors import CaptureError
from nerfsem_method.log import LOG, see

LOG_TAIL = 3
"""So many last lines of COLMAP's log fit into the one line of an error."""

AGAIN = 0.001
"""What is done again, nobody knows how often, leads so far of the way that is left, so that it is seen to go on."""


def run_worker(work: Path, advance: Advance) -> None:
    """Run COLMAP on `work`/job.json and pass on its progress."""
    # The search path goes along, because the caller may run from a source tree. COLMAP's logger leaves files in TMPDIR. Pairs are
    # matched side by side, so that threads within one of them would only be in each other's way.
    own = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TMPDIR": str(work), "OPENBLAS_NUM_THREADS": "1"}
    environment = {**os.environ, **own}
    command = [sys.executable, "-m", "nerfsem_method.capture.colmap.worker", str(work / "job.json")]
    with (
        (work / "colmap.log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as process,
    ):
        try:
            told = Told()
            for line in process.stdout or ():
                advance(round(100 * told.reached(line)), 100)
        except BaseException:  # no orphan may go on computing, not even after Ctrl-C
            process.kill()
            raise
    words = (work / "colmap.log").read_text(errors="replace").strip()
    LOG.info("COLMAP's process: %s", words)
    if process.returncode:
        tail = " | ".join(words.splitlines()[-LOG_TAIL:])
        raise CaptureError(f"COLMAP stopped with exit code {process.returncode}: {tail or 'no message'}{see()}")


class Told:
    """What COLMAP's process has told: it solves once or more often, and goes through its stages each time.

    A stage may come back, for photographs are tried in more than one order, but what is reached does not.
    """

    def __init__(self) -> None:
        self._start, self._stop, self._share = 0.0, 1.0, 0.0

    def reached(self, line: str) -> float:
        """Return the share of COLMAP's work that is done after a line, which goes into the log if it tells no progress."""
        found = re.fullmatch(r"(\w+) (\d+) (\d+)\s*", line)
        if found is None or found[1] not in (UNTIL, *STAGES):
            LOG.info("COLMAP's process says: %s", line.rstrip())
            return self._share
        done = min(int(found[2]) / max(int(found[3]), 1), 1.0)
        if found[1] == UNTIL:
            self._start, self._stop = self._share, max(done, self._share)
            return self._share
        before = sum(list(STAGES.values())[: list(STAGES).index(found[1])])
        known = STAGES["features"] if self._start else 0.0  # Features are sought once.
        within = (before + STAGES[found[1]] * done - known) / (1 - known)
        reached = self._start + (self._stop - self._start) * within
        self._share = max(reached, self._share + AGAIN * (self._stop - self._share))
        return self._share
