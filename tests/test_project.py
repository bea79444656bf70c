"""The project as a whole packages, pins and runs in continuous integration what it says it does."""

from __future__ import annotations

import fnmatch
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from nerfsem_method import __version__
from nerfsem_method.training import presets

ROOT = Path(__file__).resolve().parents[1]


def test_make_help_explains_every_target():
    shown = subprocess.run(["make", "-C", ROOT, "help"], capture_output=True, text=True).stdout
    for target in ("install", "demo", "test", "test-avx2", "test-plain", "check", "bench", "study", "fuzz"):
        assert re.search(rf"^  make {target} +\w", shown, re.MULTILINE), target


def test_continuous_integration_runs_what_the_readme_names():
    commands = (ROOT / ".ci/run").read_text()
    assert "\nmake test " in commands and " make test-plain " in commands
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "\nmake test\n" in readme and "`make test-plain`" in readme


@pytest.mark.parametrize(("target", "width"), [("test", None), ("test-avx2", "haswell"), ("test-plain", "generic")])
def test_the_test_targets_run_their_tests_on_their_processor(target, width):
    """The plainest code paths are for what computes; all other targets run every test."""
    told = subprocess.run(["make", "-n", "-C", ROOT, target], capture_output=True, text=True).stdout
    (command,) = (line for line in told.splitlines() if " -m pytest " in line)
    assert re.findall(r"NUMBA_CPU_NAME=(\S+)", command) == ([width] if width else [])
    _, _, given = command.partition(" -m pytest ")
    spread, *left_out = shlex.split(given.replace("-n 2 --dist loadfile --no-loadscope-reorder", "spread"))
    patterns = [word.removeprefix("--ignore-glob=") for word in left_out]
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").glob("test_*.py")]
    lost = {file for file in files for pattern in patterns if fnmatch.fnmatch(file, pattern)}
    assert spread == "spread" and all(any(fnmatch.fnmatch(file, pattern) for file in files) for pattern in patterns)
    assert ("tests/test_cli_main.py" in lost) == bool(lost) == (target == "test-plain")
    computing = "background|capture_mattes|codec|compiled|hinerv|playback|plugin|raycast|residual|scene|training"
    assert not [file for file in lost if re.match(rf"tests/test_({computing})", file)]


def _pins(name: str) -> list[str]:
    return [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-reader.lock"])
def test_the_locks_are_names_and_versions_only(name):
    pins = _pins(name)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", pin) for pin in pins)
    assert len({pin.partition("==")[0].lower() for pin in pins}) == len(pins)


@pytest.mark.parametrize(
    ("name", "groups"), [("requirements.lock", ("train", "cluster", "dev")), ("requirements-reader.lock", ())]
)
def test_the_locks_meet_every_declared_dependency(name, groups):
    from packaging.requirements import Requirement

    locked = dict(pin.lower().replace("_", "-").split("==") for pin in _pins(name))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for text in [*project["dependencies"], *(text for group in groups for text in extras[group])]:
        wanted = Requirement(text)
        if wanted.name != "nerfsem":
            assert wanted.specifier.contains(locked[wanted.name.lower().replace("_", "-")], prereleases=True), text


def test_presets_are_found_in_this_checkout():
    assert presets.folder() == ROOT / "configs"
    assert {"smoke", "quick", "standard", "archive", "paper"} <= set(presets.names())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the project as a wheel, and return the folder where it is unpacked."""
    builder = pytest.importorskip("hatchling.builders.wheel")
    folder = tmp_path_factory.mktemp("wheel")
    (made,) = builder.WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(made) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_a_wheel_holds_both_packages_presets_and_entry_points(wheel):
    assert {path.name for path in wheel.iterdir()} == {
        "nerfsem_method",
        "nerfsem_dataparsers",
        f"nerfsem-{__version__}.dist-info",
    }
    assert (wheel / "nerfsem_method/configs/smoke.toml").exists()
    assert (wheel / "nerfsem_method/web/viewer.js").exists() and (wheel / "nerfsem_method/web/piece.html").exists()
    entries = (wheel / f"nerfsem-{__version__}.dist-info/entry_points.txt").read_text()
    for entry in ("nerfsem = nerfsem_method.cli.main:main", "nerfsem-paper", "nerfsem-data"):
        assert entry in entries


def test_presets_are_found_in_a_wheel(wheel, tmp_path):
    code = "from nerfsem_method.training import presets; print(presets.folder(), *presets.names())"
    options = {"capture_output": True, "text": True, "cwd": tmp_path, "env": {"PYTHONPATH": str(wheel)}}
    result = subprocess.run([sys.executable, "-c", code], **options)
    assert result.stdout.split() == [str(wheel / "nerfsem_method/configs"), *presets.names()], result.stderr


def test_files_name_no_machine_and_no_registry():
    command = ["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    places = [r"(?<![\w/])/wo" + "rk/", r"(?<![\w/])/ro" + "ot/", "pypi" + r"\.org", "pytho" + "nhosted"]
    forbidden = re.compile("|".join(places))
    texts = [ROOT / name for name in listed.stdout.splitlines() if Path(name).suffix not in {".png", ".mp4", ".nsem"}]
    wrong = [path.name for path in texts if path.is_file() and forbidden.search(path.read_text(errors="replace"))]
    assert not wrong
