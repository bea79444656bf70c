"""A record holds the latest figures of one program: tables, each with the command, the commit and the machine that made it.

Programs print their tables and keep them here; `python -m benchmarks` turns all records into docs/results.md. The figures of
commands that keep no record, which are nerfsem's own verbs, `make demo` and `.ci/run`, are entered by hand, in nerfsem.json.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from nerfsem_method.files import replacing

RESULTS = Path(__file__).parent / "results"
"""The records of this checkout lie in this folder, as <program>.json."""


@dataclass(frozen=True)
class Table:
    """A table holds figures of one kind; a newer one of the same title replaces it in the record.

    `question` is the key of that question of docs/results.md which it answers; a table without one stays in the record alone.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    question: str | None = None
    note: str = ""
    command: str = ""
    commit: str = ""
    machine: str = ""


def keep(folder: Path, program: str, *tables: Table) -> None:
    """Print tables that the module `program` has just made, and put them into its record in `folder`. Raises OutputError."""
    made_by = {"command": _command(program), "commit": _commit(), "machine": _machine()}
    kept = {table.title: table for table in read(folder / f"{program.rpartition('.')[2]}.json")}
    for table in tables:
        print("\n".join([f"{table.title}:", "", *markdown(table.columns, table.rows), "", table.note]))
        kept[table.title] = replace(table, **made_by)
    write(folder, program, list(kept.values()))


def read(path: Path) -> list[Table]:
    """Return the tables of a record; none where there is no such file."""
    return [Table(**table) for table in json.loads(path.read_text())["tables"]] if path.exists() else []


def write(folder: Path, program: str, tables: Sequence[Table]) -> None:
    """Write the record of the module `program`, one row of a table a line. Raises OutputError."""
    text = json.dumps({"program": program, "tables": [asdict(table) for table in tables]}, indent=1, ensure_ascii=False)
    strings = r'\[(?:\s+"(?:[^"\\]|\\.)*",?)+\s+\]'
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{program.rpartition('.')[2]}.json") as partial:
        partial.write_text(re.sub(strings, lambda found: json.dumps(json.loads(found[0]), ensure_ascii=False), text) + "\n")


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|", *("| " + " | ".join(row) + " |" for row in rows)]


def _command(program: str) -> str:
    return shlex.join(["python", "-m", program, *sys.argv[1:]])


def _commit() -> str:
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True).stdout.strip()


def _machine() -> str:
    """Name processor, cores, memory and, where a program has asked torch for one, the GPU."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    torch = sys.modules.get("torch")
    gpu = torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else "no GPU"
    return f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {gpu}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown processor"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor")
