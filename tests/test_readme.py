"""The README's commands are run as they stand there, with the smallest training and the first frames of the sample clip."""

from __future__ import annotations

import contextlib
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nerfsem_method.codec import nsem
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.media.video import write_video

SHORTER = (
    ("--preset quick", "--preset smoke"),
    ("--peers x265", "--peers"),
    ("ns-train nerfsem-quick", "ns-train nerfsem-quick --max-num-iterations 20"),
)
FRAMES = 16
"""The clip of the commands has so many frames, a quarter of a turn: enough for cameras to be found."""


def _blocks(root: Path) -> list[list[str]]:
    """Return the commands of each sh block of the README."""
    text = (root / "README.md").read_text()
    return [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]


def _run(command: str, folder: Path) -> None:
    """Run a command in `folder`: nerfsem's own in this process, where its libraries are loaded already, others by the shell."""
    for long, short in SHORTER:
        command = command.replace(long, short)
    words = shlex.split(command)
    if words[0] == "nerfsem":
        _run_here("nerfsem_method.cli.main", words, folder)
        return
    path = str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]
    done = subprocess.run(["bash", "-c", command], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def _run_here(program: str, words: list[str], folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder), pytest.raises(SystemExit) as stop:
        patch.setattr(sys, "argv", words)
        patch.delitem(sys.modules, program, raising=False)  # runpy warns of a module that is there already
        runpy.run_module(program, run_name="__main__")
    assert stop.value.code == 0, words


@pytest.fixture(scope="module")
def checkout(root, tmp_path_factory) -> Path:
    """Return a folder that looks like the checkout to the README's relative paths, with a shorter sample clip."""
    folder = tmp_path_factory.mktemp("readme")
    sample, data = root / "tests/data", folder / "tests/data"
    frames = (frame.rgb for frame in open_clip(sample / "vase.mp4").frames())
    write_video(data / "vase.mp4", islice(frames, FRAMES), Fraction(15))
    (data / "vase_mattes").mkdir()
    for matte in sorted((sample / "vase_mattes").iterdir())[:FRAMES]:
        shutil.copy(matte, data / "vase_mattes")
    return folder


def test_set_up_commands_are_targets_of_the_makefile(root):
    commands = _blocks(root)[0]
    assert commands == ["make demo", "make test"]
    makefile = (root / "Makefile").read_text()
    for command in commands:
        assert re.search(rf"^{command.split()[1]}: install", makefile, re.MULTILINE)


@pytest.fixture(scope="module")
def compressed(root, checkout) -> Path:
    """Return the checkout after the commands on one's own clip."""
    _, own_clip, _ = _blocks(root)
    assert own_clip[0] == "source .venv/bin/activate"
    for command in own_clip[1:]:
        _run(command, checkout)
    return checkout


@pytest.mark.slow
def test_commands_on_a_clip(compressed):
    data = (compressed / "relic.nsem").read_bytes()
    assert nsem.decode(data).mode == "pc" and nsem.decode(nsem.drop_background(data)).mode == "fp"
    frames = sorted((compressed / "object-frames").glob("*.png"))
    assert len(frames) == FRAMES
    pixels = np.asarray(Image.open(frames[0]))
    assert pixels.shape == (480, 270, 4) and 0 < (pixels[..., 3] > 127).mean() < 0.8
    assert {"metrics.json", "comparison.png", "index.html"} <= {path.name for path in (compressed / "report").iterdir()}


@pytest.mark.slow
def test_commands_of_nerfstudio(root, compressed):
    for command in _blocks(root)[2]:
        _run(command, compressed)
    (exported,) = (compressed / "exports").glob("*-pc.nsem")
    assert nsem.read(exported).video.frames == FRAMES
    assert (compressed / "imported" / "config.yml").exists()


@pytest.mark.slow
def test_demo(compressed):
    """The program of `make demo` leaves every promised file; it takes the capture that is there already."""
    shutil.copytree(compressed / "work" / "scene", compressed / "demo" / "work" / "scene")
    _run_here("nerfsem_method.cli.demo", ["demo", "smoke"], compressed)
    expected = {"relic-fp.nsem", "relic-pc.nsem", "relic-fp.mp4", "relic-pc.mp4", "comparison.png", "metrics.json"}
    assert expected <= {path.name for path in (compressed / "demo").iterdir()}
