"""The command line as a whole has help for all verbs, one line for each mistake, and exit codes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nerfsem_method import __version__
from nerfsem_method.cli import main
from nerfsem_method.errors import CaptureError, NerfsemError

MAKING = ("compress", "evaluate", "capture", "export", "import", "doctor")
VERBS = (*MAKING, "decode", "info", "verify", "describe", "view", "render")


class Verb:
    def __init__(self, problem=None):
        self.problem = problem

    def run(self):
        if self.problem is not None:
            raise self.problem


def nerfsem(*words, **options):
    command = [sys.executable, "-m", "nerfsem_method.cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_success_is_0():
    assert main.run(Verb()) == 0


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (NerfsemError("the clip is\n  too short"), "nerfsem: error: the clip is too short\n"),
        (CaptureError("no object"), "nerfsem: error: no object\n"),
        (FileNotFoundError(2, "No such file", "a.mp4"), "nerfsem: error: a.mp4: no such file\n"),
        (PermissionError(13, "Permission denied", "b.nsem"), "nerfsem: error: b.nsem: permission denied\n"),
    ],
)
def test_bad_input_is_one_line_and_code_2(problem, line, capsys):
    assert main.run(Verb(problem)) == 2
    captured = capsys.readouterr()
    assert captured.err == line and not captured.out


def test_an_interrupt_is_130(capsys):
    assert main.run(Verb(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "nerfsem: stopped\n"


@pytest.mark.parametrize("problem", [ValueError("ours"), FileNotFoundError("no path"), BrokenPipeError("ffmpeg")])
def test_our_own_mistakes_are_not_hidden(problem):
    with pytest.raises(type(problem)):
        main.run(Verb(problem))


def test_a_reader_that_leaves_is_no_error():
    code = (
        "from nerfsem_method.cli import main\n"
        "class Long:\n"
        "    def run(self):\n"
        "        for line in range(200_000): print(line)\n"
        "raise SystemExit(main.run(Long()))\n"
    )
    reader, writer = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    os.read(reader, 10)
    os.close(reader)
    _, complaints = process.communicate()
    assert process.returncode == 0 and complaints == ""


def test_version():
    assert nerfsem("--version").stdout == f"nerfsem {__version__}\n"


def test_help_lists_every_verb_and_shows_examples():
    result = nerfsem("--help")
    assert result.returncode == 0
    assert all(verb in result.stdout for verb in VERBS)
    assert "nerfsem compress relic.mp4 relic.nsem" in result.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(verb):
    result = nerfsem(verb, "--help")
    assert result.returncode == 0
    assert f"nerfsem {verb} " in result.stdout.partition("options")[0]


def test_a_wrong_option_is_code_2():
    result = nerfsem("info", "relic.nsem", "--no-such-option")
    assert result.returncode == 2 and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("info", "nowhere.nsem"),
        ("verify", "nowhere.nsem"),
        ("describe", "nowhere.nsem", "--title", "Vase"),
        ("decode", "nowhere.nsem", "out.mp4"),
        ("import", "nowhere.nsem", "run"),
        ("compress", "nowhere.mp4", "out.nsem"),
        ("capture", "nowhere.mp4", "scene"),
        ("export", "--load-config", "nowhere.yml", "--output-dir", "out"),
    ],
    ids=lambda words: words[0],
)
def test_a_missing_input_is_named_and_nothing_is_written(words, tmp_path):
    result = nerfsem(*words, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("nerfsem: error: ") and result.stderr.count("\n") == 1
    assert "nowhere" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_console_script_is_this_module():
    script = Path(sys.executable).with_name("nerfsem")
    if not script.exists():
        pytest.skip("nerfsem is not installed, only on the path")
    assert subprocess.run([script, "--version"], capture_output=True, text=True).stdout.startswith("nerfsem ")


WITHOUT_TRAINING = """
import sys
class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name in {"av", "torch", "nerfstudio", "pycolmap", "cv2", "skimage", "scipy", "matplotlib", "yaml"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Lacking())
from nerfsem_method.cli.main import main
main()
"""


@pytest.mark.parametrize(
    "words",
    ["compress CLIP out.nsem", "capture CLIP scene", "decode BUNDLE out.mp4 --device cuda", "import BUNDLE run"],
)
def test_an_installation_for_reading_says_what_it_lacks(words, root, tmp_path, vase_video):
    given = {"CLIP": vase_video, "BUNDLE": root / "tests/golden/vase.nsem"}
    command = [sys.executable, "-c", WITHOUT_TRAINING, *(str(given.get(word, word)) for word in words.split())]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1 and "nerfsem[train]" in done.stderr
    assert not list(tmp_path.glob("out.*"))


def test_a_missing_part_of_our_own_is_not_hidden():
    with pytest.raises(ModuleNotFoundError):
        main.run(Verb(ModuleNotFoundError("No module named 'nerfsem_method.x'", name="nerfsem_method.x")))
