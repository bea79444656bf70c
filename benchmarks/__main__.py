"""This program writes docs/results.md: for each question one table of the latest figures, and what made them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from benchmarks.record import RESULTS, Table, markdown, read

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results.md"
QUESTIONS = {
    "size": "How small at which quality?",
    "speed": "How fast, and in how much memory?",
    "capture": "Are cameras and mattes right?",
    "clips": "What happens with awkward clips?",
    "parts": "What does each part cost?",
    "reader": "Is the reader robust?",
}
INTRODUCTION = """\
# Results

`python -m benchmarks` makes this page of the records in `benchmarks/results/`, which hold further tables. Below each table stands
what made it: a command at a commit on a machine. [The decisions](decisions/README.md) say why things are so, and what failed.
FP bundles hold the object alone, PC bundles its background too. CENTER means the object's pixels, Y luma; both are in dB."""


def page(folder: Path = RESULTS) -> str:
    """Return the page that the records in `folder` make, Markdown."""
    tables = [table for path in sorted(folder.glob("*.json")) for table in read(path)]
    lines = [INTRODUCTION]
    for key, question in QUESTIONS.items():
        answers = [table for table in tables if table.question == key]
        lines += ["", f"## {question}", *(_answer(answers) if answers else ["", "No figures yet."])]
    return "\n".join(lines) + "\n"


def _answer(tables: list[Table]) -> Iterator[str]:
    """Yield one Markdown table for all tables with the same columns, and a paragraph on what made them."""
    for columns in dict.fromkeys(tuple(table.columns) for table in tables):
        alike = [table for table in tables if tuple(table.columns) == columns]
        yield from ("", *markdown(columns, [row for table in alike for row in table.rows]), "", _made_by(alike))


def _made_by(tables: list[Table]) -> str:
    """Return a paragraph, a line for each command at a commit on a machine; lines name their tables where there are several."""
    groups = [list(group) for _, group in groupby(tables, lambda table: (table.command, table.commit, table.machine))]
    lines = []
    for group in groups:
        first, titles = group[0], "; ".join(table.title for table in group)
        made = f"{titles + ': ' if len(groups) > 1 else ''}`{first.command}` at {first.commit}, {first.machine}."
        lines.append(" ".join([made, *dict.fromkeys(table.note for table in group if table.note)]))
    return "<br>".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page())
