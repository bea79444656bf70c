"""Compiled loops are never older than any source, and some place for them is always found."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = """
import numpy as np
from nerfsem_method.codec.coder import Encoder
from nerfsem_method.codec.occupancy import code_occupancy
encoder = Encoder()
code_occupancy(encoder, 8, np.random.default_rng(0).random((8, 8, 8)) < 0.3, mixed=True)
print(encoder.finish().hex())
"""


@pytest.fixture
def site(tmp_path):
    """Return a copy of the package with files where its cache folders would be, which hold the superuser off, too."""
    shutil.copytree(ROOT / "nerfsem_method", tmp_path / "site/nerfsem_method", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in {path.parent for path in (tmp_path / "site").rglob("*.py")}:
        (folder / "__pycache__").write_text("")
    return tmp_path / "site"


def run(site, cache, code=CODE):
    environment = {**os.environ, "PYTHONPATH": str(site), "XDG_CACHE_HOME": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("NUMBA_CACHE_DIR", None)
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=site)
    assert result.returncode == 0, result.stderr
    return result.stdout


def loops(cache: Path) -> dict[Path, int]:
    """Return when each loop of codec/occupancy.py and codec/coder.py was kept, by file."""
    return {path: path.stat().st_mtime_ns for name in ("occupancy", "coder") for path in cache.rglob(f"{name}.*.nb?")}


def test_a_changed_source_is_compiled_anew_where_others_call_it(site, tmp_path):
    """numba alone would keep the loop in occupancy.py, whose own file has not changed; what no loop needs may change, and another
    copy of the package in another folder finds the same loops.
    """
    first, kept = run(site, tmp_path / "cache"), loops(tmp_path / "cache")
    assert kept and run(site, tmp_path / "cache") == first
    assert kept == loops(tmp_path / "cache")
    with (site / "nerfsem_method/codec/metadata.py").open("a") as other:
        print("# No loop needs this.", file=other)
    (tmp_path / "elsewhere").mkdir()
    moved = site.rename(tmp_path / "elsewhere/site")
    assert run(moved, tmp_path / "cache") == first and kept == loops(tmp_path / "cache")
    site = moved.rename(site)
    coder = site / "nerfsem_method/codec/coder.py"
    changed = coder.read_text().replace("model[0] += (target - model[0])", "model[0] += (target - model[0]) // 2")
    assert changed != coder.read_text()
    coder.write_text(changed)
    assert run(site, tmp_path / "cache") != first


LAST = "from nerfsem_method.compiled import njit\n@njit(cache=True)\ndef last(x):\n    return x[-1]\n"
CALL = "import numpy as np\nfrom nerfsem_method.field.last import last\nprint(last(np.arange(9, dtype=np.{})))\n"


@pytest.fixture
def last(site, tmp_path):
    """Return a function that calls one small loop in a process, for an array of a type, and the files kept of it."""
    (site / "nerfsem_method/field/last.py").write_text(LAST)

    def call(kind: str, before: str = "") -> tuple[str, list[Path]]:
        shown = run(site, tmp_path / "cache", before + CALL.format(kind)).strip()
        return shown, sorted((tmp_path / "cache").rglob("last.*"))

    return call


@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
def test_files_that_are_cut_short_are_made_anew(ending, last):
    """A crash of the machine may leave such files, and every later process would end with a traceback."""
    _, whole = last("int64")
    sizes = {path: path.stat().st_size for path in whole}
    for path in whole:
        if path.suffix == ending:
            os.truncate(path, 30)
    assert last("int64") == ("8", whole)
    assert {path: path.stat().st_size for path in whole} == sizes


def test_a_loop_under_the_name_of_another_is_not_called(last):
    """Two processes that compile one function at a time, each for other arguments, may give both loops one name."""
    last("int64")
    _, (whole, real, _) = last("float64")
    shutil.copyfile(whole, real)
    assert last("float64")[0] == "8.0"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_loops_for_which_the_disk_has_no_room_are_compiled_for_the_process(last):
    assert last("int64", "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n") == ("8", [])
    assert len(last("int64")[1]) == 2


def test_where_nothing_can_be_written_loops_are_compiled_for_the_process(site, tmp_path):
    (tmp_path / "cache").write_text("")
    code = "import os, nerfsem_method.compiled; print(os.environ['NUMBA_CACHE_DIR'])" + CODE
    folder, coded = run(site, tmp_path / "cache", code).split()
    assert len(coded) > 20
    assert not Path(folder).exists()


def test_old_states_of_the_sources_are_forgotten(site, tmp_path):
    code = "import os, nerfsem_method.compiled; print(os.environ['NUMBA_CACHE_DIR'])"
    for age in range(9):
        folder = tmp_path / f"cache/nerfsem/kernels-{age}"
        folder.mkdir(parents=True)
        os.utime(folder, (1e9 - age, 1e9 - age))
    now = run(site, tmp_path / "cache", code).strip()
    left = sorted(path.name for path in (tmp_path / "cache/nerfsem").iterdir())
    assert left == sorted(["kernels-0", "kernels-1", Path(now).name])


def test_a_place_of_ones_own_is_respected(site, tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "own"), "PYTHONPATH": str(site)}
    code = "import numba, nerfsem_method.compiled; print(numba.config.CACHE_DIR)"
    shown = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
    assert shown.strip() == str(tmp_path / "own")


def test_it_does_not_matter_who_imports_numba_first(site, tmp_path):
    code = "import numba, nerfsem_method.compiled; print(numba.config.CACHE_DIR)"
    assert str(tmp_path / "cache") in run(site, tmp_path / "cache", code)


STEP = """
import hashlib, os, torch
from tiny_field import DENSE, orbit, tiny_state
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.radiance import RadianceField
torch.set_num_threads(1)

def step():
    torch.manual_seed(3)
    field, cameras = RadianceField.from_state(tiny_state(DENSE)), CameraPath(Intrinsics(24, 32, 40.0, 40.0, 12.0, 16.0), orbit(4))
    step = field.step(*cameras.rays(torch.arange(500) % 4, torch.rand(500, 2) * 24), 300)
    (step.rendering.color.sum() + step.rendering.distortion + 1e-4 * step.bits).backward()
    for parameter in field.parameters():
        print(hashlib.sha256(parameter.grad.numpy().tobytes()).hexdigest(), flush=True)

for _ in range(2):
    child = os.fork()
    if not child:
        step()
        os._exit(0)
    os.waitpid(child, 0)
"""
"""Both processes that make a step have what is imported from their parent, which has compiled nothing."""


@pytest.mark.slow
def test_loops_compiled_just_now_and_loaded_ones_give_the_same_bits(tmp_path):
    """The linker must not choose between copies of one loop that are optimised differently."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    shown = subprocess.run([sys.executable, "-c", STEP], env=environment, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.split()
    assert len(lines) > 20 and lines[: len(lines) // 2] == lines[len(lines) // 2 :], shown.stderr
