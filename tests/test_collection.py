"""A collection is brought to its end, whatever happens on the way; here a stand-in gives a small bundle in place of training."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from collection_work import GOLDEN, OPTIONS, Work, again, states

from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.cli.collection import Report, Status, VerifyAll
from nerfsem_method.cli.main import run
from nerfsem_method.codec import nsem
from nerfsem_method.codec.metadata import metadata_of
from nerfsem_method.collection import local
from nerfsem_method.collection.job import Outcome
from nerfsem_method.collection.status import status
from nerfsem_method.collection.store import NAME, Row, opened
from nerfsem_method.errors import NerfsemError, OutputError
from nerfsem_method.locks import locked
from nerfsem_method.pipeline import Options


@pytest.fixture
def work(monkeypatch) -> Work:
    """Put a stand-in in the place of items' processes."""
    stand_in = Work()
    monkeypatch.setattr(local, "attempt", stand_in)
    return stand_in


@pytest.fixture
def clips(tmp_path) -> Path:
    """Return a folder of three clips."""
    for name in ("a.mp4", "b.mp4", "sub/a.mp4"):
        (tmp_path / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clips" / name).write_text(name)
    return tmp_path / "clips"


@pytest.fixture
def out(tmp_path) -> Path:
    """Return where the collection will be."""
    return tmp_path / "out"


def test_every_clip_becomes_a_bundle_and_running_again_does_nothing(clips, out, work):
    assert again(clips, out, work) == ["a.mp4", "b.mp4", "sub/a.mp4"]
    bundles = sorted((out / "bundles").rglob("*"))
    assert [path.relative_to(out / "bundles").as_posix() for path in bundles] == [
        "a.mp4.nsem",
        "b.mp4.nsem",
        "sub",
        "sub/a.mp4.nsem",
    ]
    assert (out / "bundles/sub/a.mp4.nsem").read_bytes() == GOLDEN.read_bytes() and not (out / "work").exists()
    before = {path: path.stat().st_mtime_ns for path in bundles}
    assert again(clips, out, work) == [] and before == {path: path.stat().st_mtime_ns for path in before}
    assert set(states(out).values()) == {"done"}


def test_only_what_has_changed_is_done_again(clips, out, work):
    again(clips, out, work)
    os.utime(clips / "a.mp4", (1, 1))
    assert again(clips, out, work) == []
    (clips / "a.mp4").write_text("A")
    assert again(clips, out, work) == ["a.mp4"]
    (out / "bundles/b.mp4.nsem").unlink()
    assert again(clips, out, work) == ["b.mp4"]
    (clips / "c.mp4").touch()
    assert again(clips, out, work) == ["c.mp4"]
    (clips / "b_mattes").mkdir()
    (clips / "b_mattes/0.png").touch()
    assert again(clips, out, work) == ["b.mp4"]
    assert len(again(clips, out, work, Options(preset="smoke", max_steps=3))) == 4


def test_a_clip_that_fails_for_good_stops_nothing_and_is_left_alone(clips, out, work, capsys):
    work.outcomes["b.mp4"] = [Outcome(reason="no motion", lasting=True, log="words", page=b"page")] * 2
    with pytest.raises(NerfsemError, match="1 of 3 items failed; .*status.*--again"):
        again(clips, out, work)
    assert states(out) == {"a.mp4": "done", "b.mp4": "failed", "sub/a.mp4": "done"}
    assert [path.read_text() for path in (out / "logs").iterdir()] == ["words"]
    with pytest.raises(NerfsemError):
        again(clips, out, work)
    assert work.calls.count("b.mp4") == 1
    assert run(Status(out)) == 0 and "failed    b.mp4: no motion" in capsys.readouterr().out
    work.outcomes.clear()
    assert again(clips, out, work, again=True) == ["b.mp4"] and not list((out / "logs").iterdir())


def test_other_failures_are_tried_again_and_then_by_the_next_command(clips, out, work):
    lost = Outcome(reason="its process was killed")
    work.outcomes = {"a.mp4": [lost] * 2, "b.mp4": [lost] * 3}
    with pytest.raises(NerfsemError, match="1 of 3 items failed"):
        again(clips, out, work)
    assert [work.calls.count(name) for name in ("a.mp4", "b.mp4", "sub/a.mp4")] == [3, 3, 1]
    assert again(clips, out, work) == ["b.mp4"]


def test_a_disk_that_is_full_once(clips, out, work, monkeypatch):
    real, refused = os.fsync, []

    def refuse_once(descriptor):
        if not refused and "bundles" in os.readlink(f"/proc/self/fd/{descriptor}"):
            refused.append(True)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_once)
    assert len(again(clips, out, work)) == 4 and refused
    assert set(states(out).values()) == {"done"} and not list(out.rglob(".*partial"))


def test_a_disk_that_stays_full_stops_the_command_which_goes_on_later(clips, out, work, monkeypatch):
    from nerfsem_method.collection import course

    work.outcomes["a.mp4"] = [Outcome(reason=f"no space left in {out}")]
    with monkeypatch.context() as patch, pytest.raises(OutputError, match="no space left in .*out; free some") as stop:
        patch.setattr(course, "is_full", lambda folder: True)
        again(clips, out, work, workers=1)
    assert stop.value.__notes__ == ["run the same command again to go on"] and work.calls == ["a.mp4"]
    assert again(clips, out, work) == ["a.mp4", "b.mp4", "sub/a.mp4"]


def test_a_clip_that_changes_while_it_is_worked_on_is_done_anew(clips, out, monkeypatch):
    work = Work()

    def change(job, abandoned):
        if not work.calls:
            Path(job.source).write_text("changed")
        return work(job, abandoned)

    monkeypatch.setattr(local, "attempt", change)
    assert again(clips, out, work, workers=1).count("a.mp4") == 2
    assert again(clips, out, work) == []


def test_a_bundle_that_a_network_has_damaged_is_none(clips, out, work):
    data = bytearray(GOLDEN.read_bytes())
    data[len(data) // 2] ^= 1
    work.outcomes["a.mp4"] = [Outcome(bytes(data))]
    assert again(clips, out, work).count("a.mp4") == 2
    assert run(VerifyAll(out)) == 0


def test_metadata_comes_from_a_table_and_changes_without_training(clips, out, work, tmp_path):
    table = tmp_path / "pieces.csv"
    table.write_text("\ufeffclip;title;rights\na.mp4;Vase;CC0\nsub/a.mp4;Coin;\n")
    again(clips, out, work, table=table)

    def record(name):
        return metadata_of(nsem.unpack((out / "bundles" / name).read_bytes(), nsem.KNOWN_SECTIONS))

    assert record("a.mp4.nsem") == {"title": "Vase", "rights": "CC0"} and record("b.mp4.nsem") == {}
    table.write_text("clip,title\na.mp4,Amphora\nb.mp4,Bust\n")
    assert again(clips, out, work, table=table) == [] and again(clips, out, work) == []
    assert [record(f"{name}.nsem") for name in ("a.mp4", "b.mp4", "sub/a.mp4")] == [{"title": "Amphora"}, {"title": "Bust"}, {}]
    assert run(VerifyAll(out)) == 0


def test_a_clip_that_is_gone_keeps_its_bundle_or_says_so(clips, out, work):
    work.outcomes["b.mp4"] = [Outcome(reason="lost")] * 3
    with pytest.raises(NerfsemError):
        again(clips, out, work)
    with opened(out) as store:
        store.put([Row("old.mp4", "running")])
    (clips / "a.mp4").unlink()
    assert again(clips, out, work) == ["b.mp4"]
    assert states(out) == {"a.mp4": "done", "b.mp4": "done", "old.mp4": "failed", "sub/a.mp4": "done"}
    assert (out / "bundles/a.mp4.nsem").exists()


def test_names_may_be_odd(tmp_path, out, work, capsys):
    clips = tmp_path / "odd"
    clips.mkdir()
    names = ["new\nline.mp4", "qu'o\"te<b>.mp4", "\u5150.mp4", os.fsdecode(b"sch\xf6n.mp4"), "x" * 240 + ".mp4"]
    for name in names:
        (clips / name).touch()
    assert again(clips, out, work) == sorted(names) and again(clips, out, work) == []
    for verb in (Status(out), Status(out, json=True), VerifyAll(out), Report(out)):
        assert run(verb) == 0
    assert "sch" in capsys.readouterr().out
    assert "<b>" not in (out / "index.html").read_text() and len(list((out / "bundles").iterdir())) == 5


def test_verify_names_what_is_damaged_gone_or_of_no_item(clips, out, work, capsys):
    again(clips, out, work)
    assert run(VerifyAll(out)) == 0
    data = bytearray((out / "bundles/a.mp4.nsem").read_bytes())
    data[-30] ^= 1
    (out / "bundles/a.mp4.nsem").write_bytes(data)
    shutil.copy(GOLDEN.with_name("hashed-fp.nsem"), out / "bundles/b.mp4.nsem")
    (out / "bundles/sub/a.mp4.nsem").unlink()
    shutil.copy(GOLDEN, out / "bundles/x.nsem")
    capsys.readouterr()
    assert run(VerifyAll(out)) == 2
    told = capsys.readouterr()
    assert len(re.findall("^damaged: ", told.out, re.MULTILINE)) == 3 and "is not the bundle that was written" in told.out
    assert "x.nsem is the bundle of no item" in told.out
    assert "3 bundles of" in told.err


def test_the_report_shows_the_worst_first(clips, out, work):
    work.outcomes["sub/a.mp4"] = [Outcome(reason="no <motion>", lasting=True)]
    with pytest.raises(NerfsemError):
        again(clips, out, work)
    assert run(Report(out)) == 0
    page = (out / "index.html").read_text()
    assert page.index("sub/a.mp4") < page.index('href="bundles/a.mp4.nsem"') and "no &lt;motion&gt;" in page
    assert page.count("<img ") == 2 and page.count("<circle ") == 2 and "1,441" in page


@pytest.mark.parametrize(
    ("means", "options", "message"),
    [
        ({}, Options(preset="tiny"), "no preset 'tiny'"),
        ({}, Options(preset="smoke", capture=CaptureOptions(mattes=Path("x"))), "--mattes is for one clip"),
        ({"workers": 0}, OPTIONS, "--workers 0"),
        ({"send": True}, OPTIONS, "are for the workers of a --scheduler"),
        ({"scheduler": "tcp://x:1", "workers": 2}, OPTIONS, "--workers is for this machine"),
        ({"table": Path("none.csv")}, OPTIONS, "none.csv cannot be read"),
    ],
    ids=lambda value: next(iter(value), "options") if isinstance(value, dict) else "",
)
def test_what_cannot_be_meant_is_refused_before_any_work(means, options, message, clips, out, work):
    with pytest.raises(NerfsemError, match=message):
        again(clips, out, work, options, **means)
    assert not work.calls and not out.exists()


def test_folders_that_cannot_be_filled(clips, out, work, tmp_path):
    with pytest.raises(OutputError, match="lies in the input"):
        again(clips, clips / "out", work)
    (out / "thesis").mkdir(parents=True)
    with pytest.raises(OutputError, match="holds other files"):
        again(clips, out, work)
    with pytest.raises(OutputError, match="/proc"):
        again(clips, Path("/proc/out"), work)
    with pytest.raises(NerfsemError, match="holds no collection"):
        status(tmp_path)


def test_two_commands_do_not_meet_but_status_looks_on(clips, out, work):
    again(clips, out, work)
    with locked(out):
        with pytest.raises(OutputError, match="is at work in"):
            again(clips, out, work)
        assert status(out)["at_work"]
    assert not status(out)["at_work"]


def test_a_database_of_something_else_is_named(clips, out, work, capsys):
    again(clips, out, work)
    database = sqlite3.connect(out / NAME)
    database.execute("PRAGMA user_version = 7")
    database.close()
    with pytest.raises(OutputError, match="another version"):
        again(clips, out, work)
    (out / NAME).write_bytes(b"x" * 5000)
    with pytest.raises(OutputError, match="damaged|cannot be used"):
        again(clips, out, work)
    assert run(Status(out)) == 2 and "restore it" in capsys.readouterr().err


def test_a_row_whose_bundle_was_written_just_before_a_kill_is_done(clips, out, work):
    again(clips, out, work)
    with opened(out) as store:
        rows = store.rows()
        store.put([Row(**{**vars(row), "state": "running"}) for row in rows])
    assert again(clips, out, work) == [] and set(states(out).values()) == {"done"}


def test_status_for_programs(clips, out, work, capsys):
    again(clips, out, work)
    capsys.readouterr()
    assert run(Status(out, json=True)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["counts"] == {"waiting": 0, "running": 0, "done": 3, "failed": 0} and found["items"][0]["bytes"] == 1441


def test_cores_and_memory_say_how_many_items_are_worked_on():
    assert [local.carried(*case) for case in ((8, 64e9, False), (8, 9e9, False), (8, 1e9, False), (8, 64e9, True))] == [
        8,
        2,
        1,
        1,
    ]
    assert local.free_memory() > 0
