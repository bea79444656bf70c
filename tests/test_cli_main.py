"""The command line as a whole has help for all verbs, one line for each mistake, and exit codes."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from make_clips import pattern

from nerfsem_method import __version__
from nerfsem_method.cli import main
from nerfsem_method.errors import CaptureError, NerfsemError

MAKING = ("compress", "evaluate", "capture", "export", "import", "doctor")
SMALL = Path(__file__).parent / "golden/dense-pc.nsem"
VERBS = (*MAKING, "decode", "info", "verify", "describe", "view", "render")


class Verb:
    def __init__(self, problem=None):
        self.problem = problem

    def run(self):
        if self.problem is not None:
            raise self.problem


SERVER = """
import json, os, sys
from pathlib import Path
from nerfsem_method.cli import main
from nerfsem_method.codec import nsem
from nerfsem_method.playback import player
nsem.decode(Path(sys.argv[1]).read_bytes())
for line in sys.stdin:
    words, cwd, environment, *outputs = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(cwd)
        os.environ.update(environment)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, path in enumerate(outputs, 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.argv, code = ["nerfsem", *words], 0
        try:
            main.main()
        except SystemExit as stop:
            code = stop.code
        sys.stdout.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Each command runs in a child of a process that has loaded what reads bundles, which takes longer than most commands, as does
the end of a process that frees it all."""


@pytest.fixture(scope="module")
def nerfsem(tmp_path_factory) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Yield what runs a command of nerfsem and returns its exit code and what it has said."""
    folder = tmp_path_factory.mktemp("said")
    said = folder / "stdout", folder / "stderr"
    command = [sys.executable, "-c", SERVER, SMALL]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        asks, answers = server.stdin, server.stdout
        assert asks is not None and answers is not None

        def run(*words: object, cwd: Path = folder, **environment: str) -> subprocess.CompletedProcess[str]:
            asked = [str(word) for word in words]
            print(json.dumps([asked, str(cwd), environment, *map(str, said)]), file=asks, flush=True)
            code = int(answers.readline())
            return subprocess.CompletedProcess(asked, code, *(path.read_text() for path in said))

        yield run


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


def test_version(nerfsem):
    assert nerfsem("--version").stdout == f"nerfsem {__version__}\n"


def test_help_lists_every_verb_and_shows_examples(nerfsem):
    result = nerfsem("--help")
    assert result.returncode == 0
    assert all(verb in result.stdout for verb in VERBS)
    assert "nerfsem compress relic.mp4 relic.nsem" in result.stdout


@pytest.fixture(scope="module", params=VERBS)
def explained(nerfsem, request) -> tuple[str, subprocess.CompletedProcess[str]]:
    """Return a verb, and what it says when it is asked for help."""
    return request.param, nerfsem(request.param, "--help")


def test_every_verb_explains_itself_with_an_example(explained):
    verb, result = explained
    assert result.returncode == 0
    assert f"nerfsem {verb} " in result.stdout.partition("options")[0]


def test_what_stands_alone_on_the_command_line_has_a_name(explained):
    _, result = explained
    usage = result.stdout.partition("\n\n")[0]
    assert not re.search(r"(?<!\S)(PATH|\[PATH)", usage.replace("}|PATH", "")), usage


def test_a_wrong_option_is_code_2(nerfsem):
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
    ],
    ids=lambda words: words[0],
)
def test_a_missing_input_is_named_and_nothing_is_written(nerfsem, words, tmp_path):
    result = nerfsem(*words, cwd=tmp_path)
    assert result.returncode == 2
    check_one_line_names_what_is_missing(result.stderr, tmp_path)


def check_one_line_names_what_is_missing(said: str, folder: Path) -> None:
    """Make sure that a command which asked for `nowhere` has said so in one line, and has left its folder empty."""
    assert said.startswith("nerfsem: error: ") and said.count("\n") == 1
    assert "nowhere" in said
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("capture", "few.mp4", "out/scene"),
        ("compress", "few.mp4", "out/few.nsem"),
        ("collection", "compress", "clips", "out/all"),
        ("evaluate", "few.mp4", "bad.nsem", "--output-dir", "out/report", "--mattes", "clips"),
        ("decode", "bad.nsem", "out/relic.mp4"),
        ("decode", "bad.nsem", "out/frames"),
        ("render", "bad.nsem", "out/front.png"),
        ("publish", "bad.nsem", "out/site"),
    ],
    ids=lambda words: f"{words[0]}-{words[-1]}",
)
def test_what_is_refused_leaves_no_folder(nerfsem, words, tmp_path):
    pattern(tmp_path / "few.mp4", 4)
    (tmp_path / "bad.nsem").write_text("no bundle")
    (tmp_path / "clips").mkdir()
    assert nerfsem(*words, cwd=tmp_path).returncode == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.nsem", "clips", "few.mp4"]


def test_what_is_no_run_is_named_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.yml").write_text("words")
    monkeypatch.setattr(sys, "argv", ["nerfsem", "export", "--load-config", "run.yml", "--output-dir", "out"])
    with pytest.raises(SystemExit) as stop:
        main.main()
    assert stop.value.code == 2 and "run.yml is not a run of nerfsem" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run.yml"]


def test_a_missing_run_is_named_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    """This command needs nerfstudio, which is loaded in this process already, and in no other one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["nerfsem", "export", "--load-config", "nowhere.yml", "--output-dir", "out"])
    with pytest.raises(SystemExit) as stop:
        main.main()
    assert stop.value.code == 2
    check_one_line_names_what_is_missing(capsys.readouterr().err, tmp_path)


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


def test_help_is_cut_short_without_a_word():
    command = f"{sys.executable} -u -m nerfsem_method.cli.main decode --help | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


def test_help_loads_no_more_than_it_shows():
    """NumPy alone would take half of the half second that a help may take."""
    code = "import sys; from nerfsem_method.cli import main; print(*{'numpy', 'torch', 'numba', 'PIL', 'yaml'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == []


def test_several_bundles_are_verified_and_described(nerfsem, tmp_path):
    (tmp_path / "bad.nsem").write_bytes(SMALL.read_bytes()[:-40])
    done = nerfsem("verify", SMALL, tmp_path / "bad.nsem")
    assert done.returncode == 2 and done.stderr == "nerfsem: error: 1 of 2 bundles are not sound\n"
    assert [": sound; " in line for line in done.stdout.splitlines()] == [True, False]
    verified = nerfsem("verify", SMALL, tmp_path / "bad.nsem", "--json")
    assert [finding["sound"] for finding in json.loads(verified.stdout)] == [True, False] and verified.returncode == 2
    assert [facts["bytes"] for facts in json.loads(nerfsem("info", SMALL, SMALL, "--json").stdout)] == [SMALL.stat().st_size] * 2
    assert isinstance(json.loads(nerfsem("verify", SMALL, "--json").stdout), dict)
    assert nerfsem("info").returncode == 2


def test_quiet_leaves_the_exit_code_and_log_tells_the_rest(nerfsem, tmp_path):
    log = tmp_path / "log.txt"
    done = nerfsem("decode", SMALL, tmp_path / "out", "--frames", "0:1", "--quiet", "--log", log)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "") and (tmp_path / "out/000000.png").is_file()
    told = log.read_text(encoding="utf-8")
    assert "decoding: done" in told and "ends well" in told
    failed = nerfsem("verify", __file__, "--quiet", "--log", log)
    assert failed.returncode == 2 and failed.stderr.startswith("nerfsem: error: ") and failed.stdout == ""
    assert "ends: this is not a .nsem bundle" in log.read_text(encoding="utf-8")


def test_a_port_that_is_none_is_told_in_a_line(nerfsem):
    done = nerfsem("view", SMALL, "--port", 70000, "--no-browser")
    assert done.returncode == 2 and done.stderr.startswith("nerfsem: error: --port 70000 is no port")


def test_options_may_follow_the_folder_of_pages(nerfsem, tmp_path):
    done = nerfsem("publish", SMALL, tmp_path / "site", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "") and (tmp_path / "site/index.html").is_file()


def test_force_replaces_a_file_but_no_folder_of_other_things_and_no_input(nerfsem, tmp_path):
    foreign = tmp_path / "holiday.png"
    foreign.write_text("not ours")
    words = ("--frame", 0, "--size", "8:8")
    assert "give --force" in nerfsem("render", SMALL, foreign, *words).stderr and foreign.read_text() == "not ours"
    assert nerfsem("render", SMALL, foreign, *words, "--force").returncode == 0 and foreign.read_bytes()[1:4] == b"PNG"
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/letter.txt").write_text("dear")
    assert nerfsem("decode", SMALL, tmp_path / "letters", "--force", "--frames", "0:1").returncode == 2
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["letter.txt"]


def test_nothing_stays_behind_in_the_folder_for_temporary_files(nerfsem, tmp_path):
    (scratch := tmp_path / "scratch").mkdir()
    given = {"TMPDIR": str(scratch), "cwd": tmp_path}
    assert nerfsem("decode", SMALL, "x.mp4", "--frames", "0:2", **given).returncode == 0
    assert nerfsem("verify", SMALL, **given).returncode == 0
    assert nerfsem("doctor", "--quiet-is-none", **given).returncode == 2
    assert list(scratch.rglob("*")) == []


@pytest.mark.parametrize("words", ['""', '--keep-support "" out', 'a.mp4 out --mattes ""', "a.mp4 out --mattes="])
def test_a_name_that_is_empty_stands_for_no_folder(nerfsem, words, tmp_path):
    """A shell puts nothing where a variable was never set, and a path of no letters would be the present folder."""
    refused = nerfsem("capture", *shlex.split(words), cwd=tmp_path)
    assert refused.returncode == 2 and "one of the words is empty" in refused.stderr and not [*tmp_path.iterdir()]


def test_what_is_said_of_a_piece_may_be_empty(nerfsem, tmp_path):
    for words in (("--title", ""), ("--title=",)):
        assert "is empty" not in nerfsem("describe", tmp_path / "none.nsem", *words).stderr
