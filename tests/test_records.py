"""docs/results.md is what the records of the programs in benchmarks/ make of it, and every decision stands in its index."""

from __future__ import annotations

import re
from dataclasses import replace

from benchmarks.__main__ import PAGE, QUESTIONS, page
from benchmarks.record import RESULTS, Table, keep, read, write


def test_a_newer_table_takes_the_place_of_the_one_with_its_title(tmp_path):
    first, second = (Table(title, ("a", "b"), [["1", "\u00b12"]], "speed") for title in ("first", "second"))
    keep(tmp_path, "benchmarks.timing.speed", first, second)
    keep(tmp_path, "benchmarks.timing.speed", replace(first, rows=[["3", "4"]]))
    tables = read(tmp_path / "speed.json")
    assert [(table.title, table.rows) for table in tables] == [("first", [["3", "4"]]), ("second", [["1", "\u00b12"]])]
    assert all(table.command.startswith("python -m benchmarks.timing.speed") and table.commit for table in tables)
    assert re.search(r"\d+ cores, \d+ GiB", tables[0].machine)
    assert '"rows": [\n    ["3", "4"]\n   ]' in (tmp_path / "speed.json").read_text()


def test_tables_with_the_same_columns_are_one_on_the_page(tmp_path):
    made = {"command": "make bench", "commit": "0123456", "machine": "a machine"}
    one = Table("one", ("a",), [["1"]], "speed", **made)
    two = Table("two", ("a",), [["2"]], "speed", "Noisy.", **made | {"commit": "89abcde"})
    write(tmp_path, "benchmarks.timing.speed", [one, two, replace(one, title="no answer", question=None, rows=[["3"]])])
    text = page(tmp_path)
    assert "| a |\n|---|\n| 1 |\n| 2 |\n\none: `make bench` at 0123456, a machine.<br>two: `make bench` at 89abcde" in text
    assert "89abcde, a machine. Noisy.\n" in text
    assert "| 3 |" not in text and text.count("No figures yet.") == len(QUESTIONS) - 1


def test_the_page_is_what_the_records_make_of_it():
    assert PAGE.read_text() == page(), "run: python -m benchmarks"
    assert len(PAGE.read_text().splitlines()) <= 100


def test_every_figure_names_its_command_commit_and_machine():
    tables = [table for path in RESULTS.glob("*.json") for table in read(path)]
    assert {table.question for table in tables} == {*QUESTIONS, None}
    for table in tables:
        assert table.command and re.match(r"[0-9a-f]{7}", table.commit) and table.machine, table.title
        assert all(len(row) == len(table.columns) for row in table.rows), table.title


def test_every_decision_has_a_number_and_stands_in_the_index(root):
    pages = sorted(path.name for path in (root / "docs/decisions").glob("[0-9]*.md"))
    assert [int(name[:3]) for name in pages] == list(range(1, len(pages) + 1))
    index = (root / "docs/decisions/README.md").read_text()
    assert re.findall(r"\((\d{3}-[a-z0-9-]+\.md)\)", index) == pages
