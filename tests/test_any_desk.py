"""The reader keeps to what Linux, macOS and Windows have in common; what only some have is asked for in `desk` alone."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nerfsem_method import desk
from nerfsem_method.codec import nsem
from nerfsem_method.codec.metadata import with_metadata
from nerfsem_method.errors import OutputError
from nerfsem_method.files import check_writable

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "nerfsem_method"
ROOMS = ("compiled", "scene", "field", "raycast", "codec", "background", "playback", "viewer", "web")
ALONE = ("__init__", "api", "errors", "files", "locks", "log", "outputs", "progress", "stopping", "temporary")
VERBS = ("main", "manners", "decode", "describe", "doctor", "info", "publish", "render", "verify", "view")
READER = [
    *(path for room in ROOMS for path in sorted((PACKAGE / room).rglob("*.py"))),
    *sorted((PACKAGE / "media").glob("*.py")),
    *(PACKAGE / f"{name}.py" for name in ALONE),
    *(PACKAGE / "cli" / f"{name}.py" for name in VERBS),
]
"""These files are the reader."""
POSIX = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix", "msvcrt", "winreg", "winsound"}
COMMON_SIGNALS = {"SIGINT", "SIGTERM", "SIG_IGN", "SIG_DFL", "signal", "getsignal", "Signals"}
COMMON_OS = {
    "O_CREAT", "O_RDONLY", "O_RDWR", "O_WRONLY", "R_OK", "W_OK", "PathLike", "access", "close", "devnull", "dup2", "environ",
    "fsdecode", "fsencode", "fstat", "fsync", "getpid", "open", "path", "pathsep", "stat", "strerror", "cpu_count", "replace",
}  # fmt: skip
"""Of `os`, these names are everywhere."""
OPENERS = {"open": 1, "read_text": 0, "write_text": 1}
"""These calls take an encoding, at this position at the latest if it has no name."""


def complaints(text: str) -> list[str]:
    """Return what in a source only some systems have, and text files that are opened in whatever encoding the system likes."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [f"imports {name}" for name in names if name.partition(".")[0] in POSIX]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            common = {"os": COMMON_OS, "signal": COMMON_SIGNALS, "select": set()}.get(node.value.id)
            if common is not None and node.attr not in common:
                found.append(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(("/tmp", "/proc", "/dev/")):
            found.append(node.value)
        elif isinstance(node, ast.Call) and _opens_text(node) and not any(word.arg == "encoding" for word in node.keywords):
            found.append(f"line {node.lineno} names no encoding")
    return found


def _opens_text(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""
    owner = call.func.value.id if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) else ""
    if name == "open":
        if owner in {"os", "Image", "webbrowser"}:
            return False
        return not any(isinstance(word, ast.Constant) and "b" in str(word.value) for word in call.args)
    return name in OPENERS and len(call.args) <= OPENERS[name]


@pytest.mark.parametrize("path", READER, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_the_reader_uses_what_every_system_has(path):
    assert complaints(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "def f():\n    import fcntl", "from resource import getrlimit", "os.sched_getaffinity(0)", "os.pathconf('.', 'x')",
        "signal.SIGHUP", "signal.alarm(3)", "select.poll()", "Path('/tmp/x')", "open('/proc/self')", "open(path)",
        "path.open('w')", "path.read_text()", "path.write_text(text)",
    ],
)  # fmt: skip
def test_what_only_some_have_would_be_seen(wrong):
    assert complaints(wrong)


@pytest.mark.parametrize("right", ["path.open('rb')", "open(p, 'w', encoding='utf-8')", "path.read_text('utf8')", "os.fsync(3)"])
def test_what_all_have_is_let_pass(right):
    assert complaints(right) == []


ELSEWHERE = """
import concurrent.futures, json, logging, os, random, select, selectors, signal, subprocess, sys, threading
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name in {'fcntl', 'resource', 'pwd', 'grp', 'termios'}:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Blocked())
for name in ('fcntl', 'resource', 'pwd', 'grp', 'termios'):
    sys.modules.pop(name, None)
absent = {os: ('register_at_fork', 'sched_getaffinity', 'pathconf'), select: ('poll',), signal: ('SIGHUP', 'SIGXFSZ')}
for module in absent:
    for name in absent[module]:
        delattr(module, name)
from nerfsem_method.cli.main import main
for words in json.loads(sys.argv[1]):
    sys.argv = ['nerfsem', *words]
    try:
        main()
    except SystemExit as stop:
        if stop.code:
            raise
"""
"""On Windows these modules and functions are not there. Python's own modules, which know that, are loaded before they go."""


def elsewhere(*commands: tuple[object, ...], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run commands of nerfsem in a process that lacks what Windows lacks, up to the first that fails."""
    command = [sys.executable, "-c", ELSEWHERE, json.dumps([list(map(str, words)) for words in commands])]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=cwd)


def test_the_reader_runs_without_what_windows_lacks(root, tmp_path):
    bundle = root / "tests/golden/dense-pc.nsem"
    done = elsewhere(
        ("verify", bundle),
        ("info", bundle),
        ("decode", bundle, "frames", "--mode", "fp", "--background-color", "transparent"),
        ("render", bundle, "front.png", "--azimuth", 30),
        ("publish", bundle, "site"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert ": sound; " in done.stdout and (tmp_path / "front.png").is_file()
    assert len(list((tmp_path / "frames").iterdir())) == 6 and (tmp_path / "site/index.html").is_file()
    bad = elsewhere(("decode", tmp_path / "none.nsem", tmp_path / "x.mp4"), cwd=tmp_path)
    assert bad.returncode == 2 and bad.stderr.count("\n") == 1


def test_text_is_read_and_written_alike_under_another_encoding(root, tmp_path):
    (bundle := tmp_path / "vase.nsem").write_bytes((root / "tests/golden/dense-fp.nsem").read_bytes())
    bundle.write_bytes(with_metadata(bundle.read_bytes(), {"title": "\u03ba\u03b1\u03bb\u03cc\u03c2"}, nsem.KNOWN_SECTIONS))
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "nerfsem_method.cli.main", "publish", str(bundle), "site"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, env=plain)
    assert "\u03ba\u03b1\u03bb\u03cc\u03c2" in (tmp_path / "site/index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a:b.png", "has : in it"), ("what?.mp4", r"has \? in it"), ("<x>|.png", "in it"), ("con", "device"),
        ("NUL.mp4", "device"), ("com1.nsem", "device"), ("frames.", "full stop"), ("frames ", "space"),
        ("a\tb", "control character"),
    ],
)  # fmt: skip
def test_names_that_windows_forbids_are_refused_there_alone(name, why, tmp_path, monkeypatch):
    check_writable(tmp_path / name)
    monkeypatch.setattr(desk, "is_windows", lambda: True)
    with pytest.raises(OutputError, match=f"Windows takes no file named .*{why}"):
        check_writable(tmp_path / name)


@pytest.mark.parametrize("name", ["relic.nsem", "000001.png", "console.mp4", "v1.2", ".hidden", "κύλιξ.png"])
def test_other_names_are_taken(name):
    assert desk.forbidden_by_windows(name) is None
