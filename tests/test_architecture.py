"""The house's one-way arrows, read from the import statements, and that decoding needs nothing of the training side."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"nerfsem_method": ROOT / "nerfsem_method", "nerfsem_dataparsers": ROOT / "dataparsers/nerfsem_dataparsers"}

# Longest prefix first decides the room of a module. Leaves import other leaves only.
ROOMS = {
    "nerfsem_method.field.spec": "shapes",
    "nerfsem_method.field.hashing": "shapes",
    "nerfsem_method.field.state": "shapes",
    "nerfsem_method.field.course": "shapes",
    "nerfsem_method.field.lookup": "raycast",
    "nerfsem_method.field.perceptron": "raycast",
    "nerfsem_method.field.kernels": "raycast",
    "nerfsem_method.field.raycast": "raycast",
    "nerfsem_method.field": "field",
    "nerfsem_method.codec.context": "context",
    "nerfsem_method.codec.fixed_point": "context",
    "nerfsem_method.codec.layout": "context",
    "nerfsem_method.codec": "codec",
    "nerfsem_method.background": "background",
    "nerfsem_method.playback": "playback",
    "nerfsem_method.evaluation": "evaluation",
    "nerfsem_method.plugin": "plugin",
    "nerfsem_method.cli": "cli",
    "nerfsem_method.demo": "demo",
    "nerfsem_dataparsers.capture": "capture",
    "nerfsem_dataparsers": "dataparsers",
    "nerfsem_method": "leaf",
}
MAY_IMPORT = {
    "leaf": {"shapes"},
    "shapes": {"leaf"},
    "context": {"leaf", "shapes"},
    "codec": {"leaf", "shapes", "context", "background"},
    "background": {"leaf"},
    "raycast": {"leaf", "shapes", "context"},
    "field": {"leaf", "shapes", "context", "codec", "raycast"},
    "playback": {"leaf", "shapes", "field", "raycast", "codec", "background"},
    "evaluation": {"leaf", "codec", "playback", "background"},
    "capture": {"leaf"},
    "dataparsers": {"leaf", "capture", "codec"},
    "plugin": {"leaf", "shapes", "field", "context", "codec", "background", "dataparsers", "capture"},
    "cli": {"leaf", "codec", "playback", "background", "evaluation", "capture", "dataparsers", "plugin"},
    "demo": {"leaf", "codec", "playback", "background", "evaluation", "capture", "dataparsers", "plugin", "cli"},
}
# Where a foreign library may be imported: rooms, or single modules.
CONFINED = {
    "nerfstudio": {"plugin", "dataparsers"},
    "pycolmap": {"nerfsem_dataparsers.capture.colmap_worker"},
    "transformers": {"capture"},
    "torch": {"field", "nerfsem_method.playback", "plugin", "dataparsers", "capture", "evaluation"},
    "triton": {"nerfsem_method.field.cuda"},
    "skimage": {"evaluation"},
    "matplotlib": {"evaluation", "demo"},
}


@functools.cache
def modules() -> dict[str, Path]:
    """All our modules by dotted name."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join((package, *parts)).removesuffix(".__init__")] = path
    return found


def imports(name: str, path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it."""
    found = set()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(part for part in (above, node.module) if part)
            found |= {source, *(f"{source}.{alias.name}" for alias in node.names)}
    return found


def room(module: str) -> str | None:
    """The room of one of our modules; None for a foreign one."""
    return next((ROOMS[prefix] for prefix in ROOMS if module == prefix or module.startswith(prefix + ".")), None)


@pytest.mark.parametrize("name", sorted(modules()))
def test_arrows_point_one_way(name):
    allowed = MAY_IMPORT[room(name)] | {room(name)}
    known = modules()
    ours = imports(name, modules()[name]) & known.keys()
    wrong = {other: room(other) for other in ours if room(other) not in allowed}
    packages = {other for other in wrong if any(child.startswith(other + ".") for child in known)}
    assert not wrong.keys() - packages, f"{name} ({room(name)}) must not import {wrong}"


@pytest.mark.parametrize("name", sorted(modules()))
def test_foreign_libraries_stay_in_their_rooms(name):
    for library in {module.partition(".")[0] for module in imports(name, modules()[name])} & CONFINED.keys():
        assert {name, room(name)} & CONFINED[library], f"{name} must not import {library}"


def test_only_what_starts_runs_imports_the_methods():
    users = {name for name, path in modules().items() if "nerfsem_method.plugin.config" in imports(name, path)}
    assert users <= {"nerfsem_method.cli.compress", "nerfsem_method.plugin.runs", "nerfsem_method.plugin.training"}


def test_a_wrong_arrow_would_be_seen(tmp_path):
    wrong = tmp_path / "walk.py"
    wrong.write_text("def f():\n    from nerfsem_method.field import rate\n    from ..playback import Player\n")
    found = imports("nerfsem_method.codec.walk", wrong)
    assert {"nerfsem_method.field.rate", "nerfsem_method.playback"} <= found
    assert room("nerfsem_method.field.rate") not in MAY_IMPORT["codec"]


BLOCK = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {names}:
            raise ImportError(name + ' is blocked')
sys.meta_path.insert(0, Blocked())
"""
TRAINING = {"nerfstudio", "nerfacc", "pycolmap", "transformers", "cv2", "torchvision", "matplotlib", "skimage", "viser"}
TRAINING |= {"torch", "scipy"}


def run(code: str, blocked: set[str]) -> str:
    """Run code in a fresh process where some libraries cannot be imported; its standard output."""
    program = BLOCK.replace("{names}", repr(blocked)) + code
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_decoding_needs_nothing_of_the_training_side():
    run("import nerfsem_method.codec.bundle, nerfsem_method.playback, nerfsem_method.cli.decode", TRAINING)


def test_help_loads_nothing_heavy():
    run("import nerfsem_method.cli.main", TRAINING | {"numba"})


def test_plugin_discovery_loads_nothing_heavy():
    run("import nerfsem_method.plugin.config, nerfsem_dataparsers.spec", {"pycolmap", "transformers"})
