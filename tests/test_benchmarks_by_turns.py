"""Two sources that do nothing stand in for the two that work by turns."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

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


Verb = Literal["capture", "compress"]


@pytest.mark.parametrize("verb", ["capture", "compress"])
def test_both_sources_have_their_turns(verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture is timed, or what follows one in the same folder: only then is there a scene before it."""
    script = "import sys; from pathlib import Path; verb = sys.argv[1]\n"
    script += f"print(verb, file=open({str(tmp_path / 'verbs')!r}, 'a'))\n"
    script += "if verb == 'capture': Path(sys.argv[3]).mkdir()\n"
    script += "else: assert (Path(sys.argv[sys.argv.index('--work-dir') + 1]) / 'scene').is_dir()"
    monkeypatch.chdir(source_that(script, tmp_path / "this"))
    ByTurns(source_that(script, tmp_path / "older"), turns=2, results=tmp_path, verb=verb).run()
    assert (tmp_path / "verbs").read_text().split() == (["capture"] * 4 if verb == "capture" else ["capture", "compress"] * 4)
    (table,) = read(tmp_path / "by_turns.json")
    assert [row[1] for row in table.rows] == ["this source", "older source"]
    assert all(len(row[2].split(", ")) == 2 for row in table.rows) and table.note.startswith("By the best turns")


def test_a_source_that_fails_says_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(source_that("print('done')", tmp_path / "this"))
    with pytest.raises(NerfsemError, match="older failed: out of order"):
        ByTurns(source_that("import sys; sys.exit('out of order')", tmp_path / "older"), results=tmp_path).run()
