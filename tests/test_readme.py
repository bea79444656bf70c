"""The README's commands are run as they stand there, with the smallest training instead of the long ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nerfsem_method.codec import nsem

SHORTER = (
    ("--preset quick", "--preset smoke"),
    ("--peers x265", "--peers"),
    ("ns-train nerfsem-quick", "ns-train nerfsem-quick --max-num-iterations 20"),
)


def _blocks(root: Path) -> list[list[str]]:
    """The commands of each sh block of the README."""
    text = (root / "README.md").read_text()
    return [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]


def _run(command: str, folder: Path, **environment: str) -> None:
    for long, short in SHORTER:
        command = command.replace(long, short)
    scripts = str(Path(sys.executable).parent)
    path = {"PATH": scripts + os.pathsep + os.environ["PATH"], **environment}
    done = subprocess.run(["bash", "-c", command], cwd=folder, env={**os.environ, **path}, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.fixture(scope="module")
def checkout(root, tmp_path_factory) -> Path:
    """A folder that looks like the checkout to the README's relative paths."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(root / "tests" / "data", folder / "tests" / "data")
    return folder


def test_set_up_commands_are_targets_of_the_makefile(root):
    commands = _blocks(root)[0]
    assert commands == ["make demo", "make test"]
    makefile = (root / "Makefile").read_text()
    for command in commands:
        assert re.search(rf"^{command.split()[1]}: install", makefile, re.MULTILINE)


@pytest.fixture(scope="module")
def compressed(root, checkout) -> Path:
    """The checkout after the commands on one's own clip."""
    _, own_clip, _ = _blocks(root)
    assert own_clip[0] == "source .venv/bin/activate"
    for command in own_clip[1:]:
        _run(command, checkout)
    return checkout


def test_commands_on_a_clip(compressed):
    """From clip to bundle to frames, and to a report."""
    data = (compressed / "relic.nsem").read_bytes()
    assert nsem.decode(data).mode == "pc" and nsem.decode(nsem.drop_background(data)).mode == "fp"
    frames = sorted((compressed / "object-frames").glob("*.png"))
    assert len(frames) == 60
    pixels = np.asarray(Image.open(frames[0]))
    assert pixels.shape == (480, 270, 4) and 0 < (pixels[..., 3] > 127).mean() < 0.8
    assert {"metrics.json", "comparison.png", "index.html"} <= {path.name for path in (compressed / "report").iterdir()}


def test_commands_of_nerfstudio(root, compressed):
    """The captured scene trained, exported and imported by nerfstudio's own commands."""
    for command in _blocks(root)[2]:
        _run(command, compressed)
    (exported,) = (compressed / "exports").glob("*-pc.nsem")
    assert nsem.read(exported).video.frames == 60
    assert (compressed / "imported" / "config.yml").exists()


def test_demo(compressed):
    """`make demo`'s program with the smallest preset, on the capture that is there already: every promised file appears."""
    shutil.copytree(compressed / "work" / "scene", compressed / "demo" / "work" / "scene")
    _run(f"{sys.executable} -m nerfsem_method.cli.demo smoke", compressed)
    expected = {"relic-fp.nsem", "relic-pc.nsem", "relic-fp.mp4", "relic-pc.mp4", "comparison.png", "metrics.json"}
    assert expected <= {path.name for path in (compressed / "demo").iterdir()}
