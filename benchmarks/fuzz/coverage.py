"""Line coverage tells which lines of `nerfsem_method/codec` the cases reach, kernels included: they run as plain Python here."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType

from benchmarks.fuzz.mutate import case, load_seeds

ROOM = Path(__file__).resolve().parents[2] / "nerfsem_method" / "codec"
CASE_SECONDS = 20
"""A case that takes longer is left: plain Python is slow, and the compiled run has judged it."""

Report = dict[str, tuple[int, int, list[int]]]
"""For each module it holds the number of lines run, that of all lines, and the lines never run."""


class _TooSlow(BaseException):
    pass


def measure(connection: Connection, campaign: int, numbers: range) -> None:
    """Run the cases and send a Report; needs NUMBA_DISABLE_JIT=1 in the environment."""
    seen: dict[str, set[int]] = {}
    sys.settrace(_tracer(seen))
    from benchmarks.fuzz.worker import judge

    signal.signal(signal.SIGALRM, _give_up)
    seeds = load_seeds()
    for data in [*seeds, *(case(campaign, number, seeds) for number in numbers)]:
        signal.alarm(CASE_SECONDS)
        try:
            judge(data)
        except _TooSlow:
            pass
        finally:
            signal.alarm(0)
        connection.send(None)
    sys.settrace(None)
    report: Report = {}
    for path in sorted(ROOM.glob("*.py")):
        lines = _lines(path)
        run = lines & seen.get(str(path), set())
        report[path.name] = (len(run), len(lines), sorted(lines - run))
    connection.send(report)


def _give_up(*_) -> None:
    raise _TooSlow


def _tracer(seen: dict[str, set[int]]):
    """Return a trace function that notes lines of ROOM; a function all of whose lines are known is traced no more."""
    room, left = str(ROOM), {}

    def enter(frame, event, argument):
        code = frame.f_code
        if not code.co_filename.startswith(room):
            return None
        missing = left.setdefault(code, {line for _, _, line in code.co_lines() if line})
        if not missing:
            return None
        lines = seen.setdefault(code.co_filename, set())

        def step(frame, event, argument):
            lines.add(frame.f_lineno)
            missing.discard(frame.f_lineno)
            return step if missing else None

        return step(frame, event, argument)

    return enter


def _lines(path: Path) -> set[int]:
    """Return the lines with code, without those of a module's or class's docstring."""
    found: set[int] = set()
    for code in _codes(compile(path.read_text(), str(path), "exec")):
        found |= {line for _, _, line in code.co_lines() if line}
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
