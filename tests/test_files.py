"""Files and folders are whole or not there, and what cannot be written is told before any work."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from nerfsem_method.errors import OutputError
from nerfsem_method.files import check_writable, replacing, replacing_folder
from nerfsem_method.outputs import check_png_folder


def test_replacing_keeps_the_old_file_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(KeyError), replacing(target) as partial:
        partial.write_bytes(b"half")
        raise KeyError
    assert target.read_bytes() == b"old"
    with replacing(target) as partial:
        partial.write_bytes(b"new")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_replacing_a_folder_keeps_the_old_one_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "a"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(KeyError), replacing_folder(target) as partial:
        (partial / "half").write_text("half")
        raise KeyError
    assert [path.name for path in target.iterdir()] == ["old"]
    with replacing_folder(target) as partial:
        (partial / "new").write_text("new")
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    link.symlink_to(real)
    with replacing(link) as partial:
        partial.write_bytes(b"new")
    assert link.is_symlink() and real.read_bytes() == b"new"


def test_what_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(OutputError, match="choose another place"):
        check_writable(tmp_path / "file" / "out.mp4")
    with pytest.raises(OutputError, match="is a folder"):
        check_writable(tmp_path)
    with pytest.raises(OutputError, match="thesis.txt"):
        check_png_folder(tmp_path / "mine")
    check_png_folder(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    check_writable(tmp_path / "new" / "deeper" / "out.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "mine"]


def test_whoever_is_killed_while_a_name_is_tried_leaves_no_empty_file(tmp_path, monkeypatch):
    def killed(path, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", killed)
    check_writable(tmp_path / "relic.nsem")
    assert not list(tmp_path.iterdir())


def removing_once(monkeypatch, name, folder):
    """Have another command remove an empty folder just before a function of this name is called for the first time."""
    module, _, called = name.rpartition(".")
    function, left = getattr(importlib.import_module(module), called), [folder]

    def call(*words, **named):
        if left:
            left.pop().rmdir()
        return function(*words, **named)

    monkeypatch.setattr(name, call)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("tempfile.mkdtemp", check_writable),
        ("nerfsem_method.files.hold", lambda path: written(replacing(path))),
    ],
    ids=["a check", "a file"],
)
def test_commands_that_begin_in_one_new_folder_do_not_refuse_each_other(name, write, tmp_path, monkeypatch):
    target = tmp_path / "new" / "deeper" / "relic.nsem"
    target.parent.mkdir(parents=True)
    removing_once(monkeypatch, name, target.parent)
    write(target)
    assert target.exists() == (write is not check_writable)


def written(entered):
    with entered as partial:
        partial.write_bytes(b"new")


def test_a_folder_is_replaced_in_one_that_goes_meanwhile(tmp_path, monkeypatch):
    target = tmp_path / "new" / "scene"
    target.parent.mkdir()
    made, left = Path.mkdir, [target.parent]

    def make(path, *words, **named):
        if path.name.startswith(".") and left:
            left.pop().rmdir()
        return made(path, *words, **named)

    monkeypatch.setattr(Path, "mkdir", make)
    with replacing_folder(target) as partial:
        (partial / "new").touch()
    assert (target / "new").exists() and not left


@pytest.mark.parametrize("write", [replacing, replacing_folder])
def test_a_new_place_in_new_folders_is_made_or_leaves_nothing(write, tmp_path):
    target = tmp_path / "new" / "deeper" / "relic"
    with pytest.raises(KeyError), write(target):
        raise KeyError
    assert not list(tmp_path.iterdir())
    with write(target) as partial:
        (partial / "a").touch() if partial.is_dir() else partial.write_bytes(b"new")
    assert target.exists() and list(target.parent.iterdir()) == [target]


def test_a_folder_that_cannot_be_made_leaves_none_of_those_around_it(tmp_path):
    with pytest.raises(OutputError, match="File name too long"):
        check_writable(tmp_path / "new" / ("x" * 300) / "relic.nsem")
    assert not list(tmp_path.iterdir())
