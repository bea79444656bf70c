"""A program of benchmarks/ is run as its command line would run it, with a folder of its own for the record."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import tyro

from benchmarks.record import Table

PROGRAMS = {
    "benchmarks.timing.speed": "Speed",
    "benchmarks.timing.gpu": "Gpu",
    "benchmarks.timing.memory": "Memory",
    "benchmarks.timing.half_cube": "HalfCube",
    "benchmarks.timing.tcnn": "Tcnn",
    "benchmarks.timing.by_turns": "ByTurns",
    "benchmarks.timing.steps": "Steps",
    "benchmarks.timing.collection": "Collection",
    "benchmarks.study.rate_distortion": "RateDistortion",
    "benchmarks.study.ablation": "Ablation",
    "benchmarks.study.paper": "Paper",
    "benchmarks.study.backgrounds": "Backgrounds",
    "benchmarks.study.capture": "CaptureStudy",
    "benchmarks.study.clips": "Clips",
    "benchmarks.study.hinerv": "Hinerv",
    "benchmarks.study.oracles": "OracleStudy",
    "benchmarks.study.parts": "PartsStudy",
    "benchmarks.fuzz.__main__": "Fuzz",
}
"""These programs keep a record, and each is run below, but for ByTurns and Steps, which have files of tests of their own; the
values are their classes."""


def smoke(program: str, results: Path, *arguments: object) -> list[Table]:
    """Run a program as its command line would, and return the tables of its record."""
    module = importlib.import_module(program)
    parsed = tyro.cli(getattr(module, PROGRAMS[program]), args=[*map(str, arguments), "--results", str(results)])
    assert not parsed.run()
    record = json.loads((results / f"{module.PROGRAM.rpartition('.')[2]}.json").read_text())
    assert record["program"] == program.removesuffix(".__main__")
    return [Table(**table) for table in record["tables"]]
