"""Steps are timed by turns: a script that only prints stands in for the trainings of the two sources, and a short one is run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.timing import steps, steps_of
from nerfsem_method.errors import NerfsemError

PRINTS = """import json, os, sys
from pathlib import Path
told = json.loads((Path(sys.argv[1]) / "scene.json").read_text())["video"]
older = "older" in os.getcwd()
assert ("left_out" in told) != older and json.loads(sys.argv[4])["planes"]
print("a word", 8.0 if older else 2.0, sep="\\n")
"""


@pytest.fixture
def timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> steps.Steps:
    """Return the program with a scene and an older source, which do nothing."""
    for name in ("scene", "this", "older"):
        (tmp_path / name).mkdir()
    (tmp_path / "scene/scene.json").write_text(json.dumps({"video": {"left_out": []}}))
    monkeypatch.setattr(steps, "SCRIPT", tmp_path / "script.py")
    monkeypatch.chdir(tmp_path / "this")
    return steps.Steps(tmp_path / "scene", tmp_path / "older", results=tmp_path)


def test_both_sources_have_their_turns(timed: steps.Steps, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(PRINTS)
    timed.run()
    (table,) = json.loads((tmp_path / "steps.json").read_text())["tables"]
    assert [row[1:] for row in table["rows"]] == [["2.0, 2.0", "8.0, 8.0", "4.00"]] * 2


def test_a_source_that_fails_says_its_last_words(timed: steps.Steps, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys; sys.exit('out of order')")
    with pytest.raises(NerfsemError, match="failed: out of order"):
        timed.run()


def test_a_few_steps_are_timed(vase_scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps_of.main(vase_scene.root, tmp_path, 4, {"volume": [[8, 2]], "planes": [[16, 1]]})
    assert float(capsys.readouterr().out.splitlines()[-1]) > 0
