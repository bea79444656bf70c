"""A collection's clips may lie where nobody may write, such as an archive that is mounted for reading."""

from __future__ import annotations

import pytest
from collection_work import Work, again, states
from untouched import untouched

from nerfsem_method.cli.collection import Report, VerifyAll
from nerfsem_method.cli.main import run
from nerfsem_method.collection import local
from nerfsem_method.collection.job import Outcome
from nerfsem_method.errors import NerfsemError


@pytest.fixture
def clips(tmp_path):
    """Return a folder of two clips, a folder of mattes beside one of them, and a table of the pieces."""
    clips = tmp_path / "clips"
    for name in ("a.mp4", "sub/b.mp4", "sub/b_mattes/0.png", "pieces.csv"):
        (clips / name).parent.mkdir(parents=True, exist_ok=True)
        (clips / name).write_text("clip,title\na.mp4,Amphora\n")
    return clips


def test_nothing_is_written_where_the_clips_are(clips, tmp_path, monkeypatch):
    work, out = Work(), tmp_path / "out"
    monkeypatch.setattr(local, "attempt", work)
    work.outcomes["sub/b.mp4"] = [Outcome(reason="no motion", lasting=True)]
    with untouched(clips):
        with pytest.raises(NerfsemError, match="1 of 2 items failed"):
            again(clips, out, work, table=clips / "pieces.csv")
        assert again(clips, out, work, again=True, table=clips / "pieces.csv") == ["sub/b.mp4"]
        assert run(VerifyAll(out)) == run(Report(out)) == 0
    assert set(states(out).values()) == {"done"}


def test_a_file_that_comes_and_goes_would_be_seen(clips):
    with pytest.raises(AssertionError), untouched(clips):
        clips.chmod(0o755)
        (clips / "lock").touch()
        (clips / "lock").unlink()
