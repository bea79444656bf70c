"""An export that fails, by a full disk, Ctrl-C or a kill, leaves the bundle that was there, and nothing beside it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_field import opaque_bundle

from nerfsem_method.codec import nsem
from nerfsem_method.errors import OutputError

EXPORT = """
import resource, signal, sys
from pathlib import Path
from nerfsem_method.cli.main import run
from nerfsem_method.codec import nsem
from tiny_field import opaque_bundle

made = opaque_bundle()
nsem.decode(nsem.encode(made))  # what is compiled now need not be stored later

class Command:
    def run(self):
        {before}
        nsem.write(Path(sys.argv[1]), made)

sys.exit(run(Command()))
"""
FULL = "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))"
"""The kernel lets no file grow beyond 300 bytes: writing fails halfway, as on a full disk."""
TEMPORARY = "Path(sys.argv[1] + '.tmp').write_bytes(bytes(400))"
"""This writes another file than the result."""
HALF = "Path.write_bytes = lambda path, data: (path.open('wb', 0).write(data[:300]), signal.raise_signal({}))"
"""The process gets a signal when half of the file is written."""


@pytest.fixture
def good(tmp_path) -> Path:
    """Return the path of a bundle that is there already."""
    path = tmp_path / "relic.nsem"
    nsem.write(path, opaque_bundle(background=False))
    return path


def export(before: str, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", EXPORT.replace("{before}", before), str(target)]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)


def test_a_full_disk_is_one_line_and_the_old_bundle_stays(good):
    before = good.read_bytes()
    result = export(FULL, good)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1 and "no space left in" in result.stderr
    assert good.read_bytes() == before and list(good.parent.iterdir()) == [good]


def test_a_full_disk_anywhere_else_is_one_line_too(good):
    """Temporary files and compiled kernels need room as well."""
    result = export(f"{FULL}; {TEMPORARY}", good)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1 and "free space" in result.stderr


def test_ctrl_c_leaves_the_old_bundle_alone(good):
    before = good.read_bytes()
    result = export(HALF.format("signal.SIGINT"), good)
    assert result.returncode != 0
    assert good.read_bytes() == before and list(good.parent.iterdir()) == [good]


def test_a_killed_export_leaves_the_old_bundle_and_the_next_one_works(good):
    before = good.read_bytes()
    assert export(HALF.format("signal.SIGKILL"), good).returncode == -signal.SIGKILL
    assert good.read_bytes() == before
    assert export("pass", good).returncode == 0
    assert good.read_bytes() != before and list(good.parent.iterdir()) == [good]
    assert nsem.read(good).mode == "pc"


def test_a_file_that_cannot_take_its_place_is_thrown_away(good, monkeypatch):
    before = good.read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OutputError, match="no space left in"):
        nsem.write(good, opaque_bundle())
    assert good.read_bytes() == before and list(good.parent.iterdir()) == [good]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(OutputError, match="choose another place"):
        nsem.write(blocker / "relic.nsem", opaque_bundle(background=False))
