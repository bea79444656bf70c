"""The worker is the process that decodes cases; it may crash or hang without harm to the campaign."""

from __future__ import annotations

import os
import resource
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection

from benchmarks.fuzz.mutate import case, load_seeds

PAGE = resource.getpagesize()


@dataclass(frozen=True)
class Verdict:
    """A verdict tells how one case ended: decoded, refused (a named error), or failed (anything else).

    `seconds` are of CPU; `memory` is in bytes, above what the process had before its first case.
    """

    number: int
    outcome: str
    failed: bool
    seconds: float
    memory: int


def judge(data: bytes) -> tuple[str, bool]:
    """Return how one file ends, and whether that is a failure; what decodes is coded again, which must end well or by name."""
    from nerfsem_method.codec import nsem
    from nerfsem_method.codec.container import unpack
    from nerfsem_method.codec.metadata import metadata_of, with_metadata
    from nerfsem_method.errors import BundleError

    try:
        held = nsem.decode(data)
        described = with_metadata(data, {"title": "relic"}, nsem.KNOWN_SECTIONS)
        metadata_of(unpack(described, nsem.KNOWN_SECTIONS))
    except BundleError as error:
        text = str(error)
        return type(error).__name__, not text or not text.isprintable()
    except BaseException as error:
        return f"{type(error).__name__} in decode: {error}", True
    try:
        again = nsem.decode(nsem.encode(held))
    except BundleError:
        return "decoded, refused to encode", False
    except BaseException as error:
        return f"{type(error).__name__} in encode: {error}", True
    same = all((a == b).all() for a, b in zip(held.state.tables, again.state.tables, strict=True))
    return ("decoded", False) if same else ("the tables change when coded again", True)


def serve(connection: Connection, campaign: int, numbers: Iterable[int], memory: int) -> None:
    """Judge cases and send a Verdict for each; None comes first, when the seeds have decoded, and None last."""
    seeds = load_seeds()
    warnings.simplefilter("error")
    for seed in seeds:
        outcome, failed = judge(seed)
        if failed or outcome != "decoded":
            raise SystemExit(f"a seed does not decode: {outcome}")
    idle = _address_space()
    resource.setrlimit(resource.RLIMIT_AS, (idle + memory, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resident = _peak_resident()
    connection.send(None)
    for number in numbers:
        data = case(campaign, number, seeds)
        started = time.process_time()
        outcome, failed = judge(data)
        seconds = time.process_time() - started
        connection.send(Verdict(number, outcome, failed, seconds, _peak_resident() - resident))
    connection.send(None)


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * PAGE


def _peak_resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def cpu_seconds(process: int) -> float:
    """Return the CPU time in seconds that a process has used."""
    with open(f"/proc/{process}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
