"""The README's commands are run as they stand there, with the smallest training and a short clip."""

from __future__ import annotations

import contextlib
import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tyro
from PIL import Image
from short_clip import FRAMES, HEIGHT, WIDTH, write_short_clip

from nerfsem_method.codec import nsem
from nerfsem_method.plugin import exporter

SHORTER = (
    ("--preset quick", "--preset smoke"),
    ("--peers x265", "--peers"),
    ("ns-train nerfsem-quick", "ns-train nerfsem-quick --max-num-iterations 20 --pipeline.model.course.filter-steps 20"),
)


def _blocks(root: Path) -> list[list[str]]:
    """Return the commands of each sh block of the README."""
    text = (root / "README.md").read_text()
    return [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]


def _run(command: str, folder: Path) -> None:
    """Run a command in `folder`, in this process, where its libraries are loaded already."""
    for long, short in SHORTER:
        command = command.replace(long, short)
    words = shlex.split(command)
    if words[0] == "nerfsem":
        _run_module("nerfsem_method.cli.main", words, folder)
    else:
        assert words[0] in ("ns-train", "ns-export"), f"{command} is run by no test"
        _run_script(words, folder)


def _run_module(program: str, words: list[str], folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, program, raising=False)  # runpy warns of a module that is there already
        _run_here(lambda: runpy.run_module(program, run_name="__main__"), words, folder)


def _run_script(words: list[str], folder: Path) -> None:
    """Run the console script of a command of nerfstudio."""
    with pytest.MonkeyPatch.context() as patch:
        if words[0] == "ns-export":  # a process of its own meets the plugin after the exporter, and is tested with the plugin
            import nerfstudio.scripts.exporter  # noqa: F401

            patch.setattr(tyro, "cli", tyro.cli)
            exporter.register()
        script = Path(sys.executable).with_name(words[0])
        _run_here(lambda: runpy.run_path(str(script), run_name="__main__"), words, folder)


def _run_here(program: Callable[[], object], words: list[str], folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder), pytest.raises(SystemExit) as stop:
        patch.setattr(sys, "argv", words)
        program()
    assert not stop.value.code, words


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """Return a folder that looks like the checkout to the README's relative paths, with a short clip for a sample."""
    folder = tmp_path_factory.mktemp("readme")
    write_short_clip(folder / "tests/data/vase.mp4", folder / "tests/data/vase_mattes")
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
    assert pixels.shape == (HEIGHT, WIDTH, 4) and 0 < (pixels[..., 3] > 127).mean() < 0.8
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
    _run_module("nerfsem_method.cli.demo", ["demo", "smoke"], compressed)
    expected = {"relic-fp.nsem", "relic-pc.nsem", "relic-fp.mp4", "relic-pc.mp4", "comparison.png", "metrics.json"}
    assert expected <= {path.name for path in (compressed / "demo").iterdir()}
