"""Files and folders are whole or not there, and what cannot be written is told before any work."""

from __future__ import annotations

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
