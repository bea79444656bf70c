"""Two sources that do nothing stand in for the two that capture by turns."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.record import read
from benchmarks.timing.by_turns import ByTurns
from nerfsem_method.errors import NerfsemError


def source_that(does: str, root: Path) -> Path:
    """Write a source whose command line does this."""
    package = root / "nerfsem_method/cli"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "main.py").write_text(does)
    return root


def test_both_sources_have_their_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(source_that("print('done')", tmp_path / "this"))
    ByTurns(source_that("sum(range(10**6))", tmp_path / "older"), turns=2, results=tmp_path).run()
    (table,) = read(tmp_path / "by_turns.json")
    assert [row[1] for row in table.rows] == ["this source", "older source"]
    assert all(len(row[2].split(", ")) == 2 for row in table.rows) and table.note.startswith("By the best turns")


def test_a_source_that_fails_says_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(source_that("print('done')", tmp_path / "this"))
    with pytest.raises(NerfsemError, match="older failed: out of order"):
        ByTurns(source_that("import sys; sys.exit('out of order')", tmp_path / "older"), results=tmp_path).run()
