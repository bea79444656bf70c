"""The viewer's built script is that of its sources, and its decoder says of every file what this package says."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.fuzz import mutate
from nerfsem_method.codec import nsem
from nerfsem_method.errors import BundleError
from nerfsem_method.training import presets

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "web"
SCRIPT = ROOT / "nerfsem_method/web/viewer.js"
NODE = shutil.which("node")
CASES = 200

needs_node = pytest.mark.skipif(NODE is None, reason="Node is not installed, and the viewer's decoder runs in it")


def state_of_sources() -> str:
    """Return the SHA-256 of all that the script is made of, as web/build.mjs computes it."""
    sources = [path.relative_to(WEB).as_posix() for path in WEB.glob("src/**/*.ts")]
    digest = hashlib.sha256()
    for name in sorted([*sources, "package-lock.json", "build.mjs"]):
        digest.update(f"{name}\n".encode() + (WEB / name).read_bytes())
    return digest.hexdigest()


def test_the_script_is_built_of_these_sources():
    first = SCRIPT.read_text(encoding="utf-8").partition("\n")[0]
    assert first.endswith(f"sources {state_of_sources()} */"), "run `npm ci && npm run build` in web/, and commit viewer.js"


@needs_node
def test_building_it_again_gives_the_same_bytes(tmp_path):
    if not (WEB / "node_modules/esbuild").exists():
        pytest.skip("the bundler is not installed; run npm ci in web/")
    subprocess.run([str(NODE), WEB / "build.mjs", tmp_path / "viewer.js"], check=True, capture_output=True)
    assert (tmp_path / "viewer.js").read_bytes() == SCRIPT.read_bytes()


@needs_node
def test_its_types_hold():
    if not (WEB / "node_modules/typescript").exists():
        pytest.skip("the type checker is not installed; run npm ci in web/")
    result = subprocess.run(["npm", "run", "--silent", "check"], cwd=WEB, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("preset, written", [("quick", True), ("standard", True), ("archive", True), ("paper", False)])
def test_heads_that_are_no_larger_than_ours_are_written_into_the_shader(preset, written):
    found = re.search(r"WRITTEN_OUT = (\d+);", (WEB / "src/render/heads.ts").read_text())
    assert found
    vectors = 0
    for name, (outputs, *inputs) in presets.load(preset).field.head_shapes().items():
        if inputs:  # a head's first layer has inputs of two kinds, each padded to a vector
            vectors += -(-outputs // 4) * (1 + 4 * (-(-inputs[0] // 4) + (".0." in name)))
    assert (vectors <= int(found[1])) == written


def test_the_lock_names_no_registry():
    assert "resolved" not in (WEB / "package-lock.json").read_text()


def verdict(data: bytes) -> str:
    try:
        return hashlib.sha256(b"".join(table.tobytes() for table in nsem.decode(data).state.tables)).hexdigest()
    except BundleError:
        return "refused"


@needs_node
def test_its_own_tests_pass_and_damaged_bundles_end_as_they_do_here(tmp_path):
    """Each damaged bundle is refused by both decoders, or gives both the same symbols; and none takes long."""
    seeds, verdicts = mutate.load_seeds(), {}
    for number in range(CASES):
        name, data = f"{number}.nsem", mutate.case(1, number, seeds)
        (tmp_path / name).write_bytes(data)
        verdicts[name] = verdict(data)
    assert 10 < sum(one == "refused" for one in verdicts.values()) < CASES - 10
    (tmp_path / "verdicts.json").write_text(json.dumps(verdicts))
    command = [str(NODE), "--test", *map(str, sorted(WEB.glob("test/*.test.mjs")))]
    environment = {**os.environ, "NERFSEM_CASES": str(tmp_path)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout[-4000:]
    assert "NERFSEM_CASES names no folder" not in result.stdout
