"""Temporary folders go with their block; those of a process that was killed go with the next one, and nothing else goes."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nerfsem_method.temporary import MARK, temporary_folder

AT_WORK = """
import sys
from pathlib import Path
from nerfsem_method.temporary import temporary_folder
with temporary_folder("colmap", *map(Path, sys.argv[1:])) as folder:
    (folder / "half").mkdir()
    (folder / "half" / "database").touch()
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=[True, False], ids=["beside files", "in TMPDIR"])
def worker(tmp_path: Path, request):
    """Start a process that works in a temporary folder, and yield it with this folder."""
    command = [sys.executable, "-c", AT_WORK, *[str(tmp_path)] * request.param]
    paths = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=paths) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_what_a_killed_process_left_goes_with_the_next_one(worker, tmp_path):
    process, left = worker
    process.kill()
    process.wait()
    assert (left / "half" / "database").exists()
    with temporary_folder("frames", tmp_path) as own:
        assert [path.name for path in tmp_path.iterdir()] == [own.parent.name]
    assert not list(tmp_path.iterdir())


def test_what_another_process_uses_stays(worker, tmp_path):
    process, used = worker
    with temporary_folder("frames", tmp_path) as own:
        assert (used / "half" / "database").exists() and own.is_dir()
    assert process.poll() is None and (used / "half" / "database").exists()


@pytest.mark.parametrize(("name", "answer"), [("_machine", b"another machine"), ("desk.is_own_folder", False)])
def test_what_another_machine_or_user_left_stays(worker, tmp_path, monkeypatch, name, answer):
    process, left = worker
    process.kill()
    process.wait()
    monkeypatch.setattr(f"nerfsem_method.temporary.{name}", lambda *words: answer)
    with temporary_folder("frames", tmp_path):
        pass
    assert (left / "half" / "database").exists()


def test_folders_of_the_user_and_links_stay(tmp_path):
    mine = tmp_path / "nerfsem-vase"
    mine.mkdir()
    (tmp_path / "nerfsem-link").symlink_to(mine)
    with temporary_folder("frames", tmp_path):
        pass
    assert mine.is_dir() and (tmp_path / "nerfsem-link").is_symlink()


def test_a_folder_in_use_holds_its_work_apart_from_its_mark(tmp_path):
    with temporary_folder("frames", tmp_path) as own:
        assert not list(own.iterdir()) and (own.parent / MARK).exists()


def test_a_folder_beside_a_users_files_is_hidden(tmp_path):
    with temporary_folder("name", tmp_path) as own:
        assert own.parent.name.startswith(".") and own.parent.parent == tmp_path


def test_a_folder_whose_work_cannot_be_removed_keeps_its_mark(worker, tmp_path, monkeypatch):
    """The next process finds it by that."""
    process, left = worker
    process.kill()
    process.wait()
    remove = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", lambda path, **how: None if path == left else remove(path, **how))
    with temporary_folder("frames", tmp_path):
        pass
    assert (left / "half" / "database").exists() and (left.parent / MARK).exists()
    monkeypatch.undo()
    with temporary_folder("frames", tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_where_the_file_system_has_no_locks_folders_go_with_their_block_alone(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("nerfsem_method.desk.lock", refuse)
    with temporary_folder("frames", tmp_path) as first:
        with temporary_folder("colmap", tmp_path) as second:
            assert first.is_dir() and second.is_dir()
        assert first.is_dir() and not second.exists()
    assert not list(tmp_path.iterdir())
