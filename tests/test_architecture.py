"""The house has one-way arrows (docs/architecture.md), read from the import statements; decoding needs nothing of training.

A room is a folder. Nothing is said about single files, but for those that lie beside the rooms and are rooms of their own.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"nerfsem_method": ROOT / "nerfsem_method", "nerfsem_dataparsers": ROOT / "dataparsers/nerfsem_dataparsers"}

LEAVES = {"desk", "errors", "files", "locks", "log", "outputs", "progress", "stopping", "temporary"}
READING = LEAVES | {"compiled", "scene", "media", "media/clip", "field", "raycast", "codec"}
MAY_IMPORT = {
    "": set(),
    "desk": set(),
    "errors": set(),
    "locks": {"desk", "errors"},
    "temporary": {"desk"},
    "files": {"desk", "errors", "locks", "temporary"},
    "outputs": {"errors", "files"},
    "log": {"errors"},
    "progress": {"log"},
    "stopping": {"desk", "errors"},
    "compiled": {"desk", "temporary"},
    "scene": LEAVES | {"compiled"},
    "media": LEAVES,
    "media/clip": LEAVES | {"media"},
    "field": {"compiled"},
    "raycast": {"compiled", "scene", "field"},
    "codec": LEAVES | {"", "compiled", "scene", "field"},
    "hinerv": LEAVES | {"compiled", "codec"},
    "hinerv/training": LEAVES | {"codec", "hinerv"},
    "background": LEAVES | {"media", "codec", "hinerv", "hinerv/training"},
    "training/loops": {"compiled", "field", "raycast"},
    "training": LEAVES | {"compiled", "scene", "field", "raycast", "codec", "training/loops"},
    "playback": READING | {"background", "training"},
    "viewer": READING | {"playback"},
    "evaluation": READING | {"playback", "hinerv", "hinerv/training"},
    "web": READING | {"playback"},
    "capture/clip": LEAVES | {"media", "media/clip"},
    "capture/colmap": {"desk"},
    "capture/cameras": LEAVES | {"compiled", "scene", "media", "capture/clip", "capture/colmap"},
    "capture/mattes": LEAVES | {"compiled", "scene", "media", "media/clip", "capture/clip", "capture/cameras"},
    "capture/report": LEAVES | {"scene", "media", "capture/clip", "capture/cameras", "capture/mattes"},
    "capture/posed": LEAVES | {"scene", "media", "media/clip", "capture/cameras"},
    "capture": LEAVES
    | {"scene", "media", "media/clip", *(f"capture/{it}" for it in ("clip", "cameras", "mattes", "report", "posed"))},
    "plugin": READING | {"background", "hinerv", "training", "capture", "evaluation", "playback"},
    "pipeline": READING | {"background", "training", "capture", "capture/report", "plugin", "evaluation"},
    "collection": READING | {"background", "capture", "capture/report", "evaluation", "pipeline", "playback"},
    "cli": READING
    | {"", "background", "training", "capture", "capture/report", "capture/mattes", "plugin", "evaluation", "playback"}
    | {"web", "pipeline", "viewer", "api", "collection"},
    "api": READING | {"background", "capture", "pipeline", "playback", "plugin", "evaluation"},
    "nerfsem_dataparsers": {"plugin"},
}
"""Which rooms a room may import, besides itself; "" is the package's own __init__, which holds the version."""

CONFINED = {
    "nerfstudio": {"plugin", "nerfsem_dataparsers"},
    "pycolmap": {"capture/colmap"},
    "transformers": {"capture/mattes"},
    "torch": {"hinerv/training", "training", "training/loops", "playback", "plugin", "capture/mattes", "evaluation", "cli"},
    "triton": {"training/loops"},
    "tinycudann": {"training/loops"},
    "torchac": {"training"},
    "numba": {"compiled", "raycast", "training/loops"},
    "llvmlite": {"raycast", "training/loops"},
    "skimage": {"evaluation"},
    "viser": {"viewer"},
    "matplotlib": {"evaluation"},
    "av": {"media/clip"},
    "PIL": {"media", "media/clip", "capture/cameras", "capture/clip", "capture/posed", "evaluation", "plugin", "web"}
    | {"collection"},
    "distributed": {"collection"},
}
"""Where a foreign library may be imported. COLMAP's process imports NumPy alone beside it: with Pillow it corrupts the heap."""

Imports = dict[str, set[str]]
"""What each module imports, by dotted names."""


def room(module: str) -> str | None:
    """Return the room of one of our modules; None for a foreign one."""
    package, _, rest = module.partition(".")
    if package == "nerfsem_dataparsers":
        return package
    if package != "nerfsem_method":
        return None
    parts = rest.split(".")
    return max((name for name in MAY_IMPORT if name.split("/") == parts[: name.count("/") + 1]), key=len, default="")


def imports_of(name: str, path: Path) -> set[str]:
    """Return every module that a file imports, anywhere in it."""
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


@functools.cache
def house() -> Imports:
    """Return all our modules and what they import."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in folder.rglob("*.py"):
            name = ".".join((package, *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__")
            found[name] = imports_of(name, path)
    return found


def ours(imports: Imports, name: str) -> Iterator[str]:
    """Yield our modules that a module imports: `from package import module` counts as the module alone."""
    named = imports[name] & imports.keys()
    for other in named:
        if other != name and not any(deeper.startswith(other + ".") for deeper in named):
            yield other


def wrong_arrows(imports: Imports) -> list[str]:
    """Return the imports that run against the arrows."""
    pairs = [(name, other) for name in imports for other in ours(imports, name)]
    return [f"{a} -> {b}" for a, b in pairs if room(b) not in MAY_IMPORT[room(a) or ""] | {room(a)}]


def circles(imports: Imports) -> list[str]:
    """Return modules that import themselves by way of others, late imports and those for types included."""
    found, done = [], set()

    def follow(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            found.append(" -> ".join((*way[way.index(name) :], name)))
        elif name not in done:
            for other in sorted(ours(imports, name)):
                follow(other, (*way, name))
            done.add(name)

    for name in sorted(imports):
        follow(name, ())
    return found


def strangers(imports: Imports) -> list[str]:
    """Foreign libraries outside of their rooms."""
    pairs = [(name, other.partition(".")[0]) for name in imports for other in imports[name]]
    return sorted({f"{name}: {library}" for name, library in pairs if room(name) not in CONFINED.get(library, {room(name)})})


def undeclared(imports: Imports) -> list[str]:
    """Imported distributions that pyproject.toml does not name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(text for group in project["optional-dependencies"].values() for text in group)]
    declared = {_plain(re.split(r"[^\w.-]", text)[0]) for text in texts}
    names = {other.partition(".")[0] for others in imports.values() for other in others}
    foreign = {name for name in names if name not in sys.stdlib_module_names and name not in PACKAGES}
    known = importlib.metadata.packages_distributions()
    return sorted(name for name in foreign if not {_plain(d) for d in known.get(name, [name])} & declared)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_folder_is_a_room():
    package = PACKAGES["nerfsem_method"]
    folders = {path.parent.relative_to(package).as_posix() for path in package.rglob("*.py")}
    assert {folder.replace(".", "") for folder in folders} <= MAY_IMPORT.keys()


def test_arrows_point_one_way():
    assert wrong_arrows(house()) == []


def test_there_is_no_circle_of_modules():
    assert circles(house()) == []


def test_foreign_libraries_stay_in_their_rooms():
    assert strangers(house()) == []


def test_every_imported_distribution_is_declared():
    programs = {path.stem: imports_of(path.stem, path) for path in (ROOT / "benchmarks").rglob("*.py")}
    local = {"benchmarks", *(path.stem for path in (ROOT / "tests").rglob("*.py"))}
    everything = {**house(), **{name: {o for o in found if o.partition(".")[0] not in local} for name, found in programs.items()}}
    assert undeclared(everything) == []


@pytest.mark.parametrize("name", [name for name in MAY_IMPORT if name not in ("", "cli", "nerfsem_dataparsers")])
def test_an_arrow_against_each_room_would_be_seen(name):
    low = next(module for module in house() if room(module) == name)
    broken = {**house(), low: house()[low] | {"nerfsem_method.cli.main"}}
    assert wrong_arrows(broken) == [f"{low} -> nerfsem_method.cli.main"]


def test_a_circle_would_be_seen():
    walk, nsem = "nerfsem_method.codec.walk", "nerfsem_method.codec.nsem"
    assert circles({**house(), walk: house()[walk] | {nsem}}) != []


@pytest.mark.parametrize("library", CONFINED)
def test_each_stranger_would_be_seen(library):
    name = "nerfsem_method.codec.header"
    assert strangers({**house(), name: house()[name] | {f"{library}.part"}}) == [f"{name}: {library}"]


def test_an_undeclared_distribution_would_be_seen():
    name = "nerfsem_method.codec.header"
    assert undeclared({**house(), name: house()[name] | {"pip._vendor", "no_such_package"}}) == ["no_such_package", "pip"]


def test_imports_are_seen_wherever_they_stand(tmp_path):
    wrong = tmp_path / "walk.py"
    wrong.write_text("def f():\n    from nerfsem_method.training import rate\n    from ..playback.player import Player\n")
    found = imports_of("nerfsem_method.codec.walk", wrong)
    assert {"nerfsem_method.training.rate", "nerfsem_method.playback.player"} <= found


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
    run("import nerfsem_method.codec.nsem, nerfsem_method.playback.player, nerfsem_method.cli.decode", TRAINING)


def test_help_loads_nothing_heavy():
    run("import nerfsem_method.cli.main", TRAINING | {"numba"})


def test_importing_the_package_writes_nothing(tmp_path):
    code = f"import os; os.environ['XDG_CACHE_HOME'] = {str(tmp_path)!r}; import nerfsem_method.cli.main"
    run(code, set())
    assert not list(tmp_path.iterdir())
