"""This worker tests the fuzzing program's watchdog: its first case is well, its second one crashes or hangs."""

import os

from benchmarks.fuzz.worker import Verdict


def crash_or_spin(connection, seed, numbers, memory):
    """Crash if `seed` is not 0, and hang otherwise."""
    connection.send(None)
    connection.send(Verdict(numbers[0], "decoded", False, 0.0, 0))
    if seed:
        os._exit(7)
    while True:
        pass
