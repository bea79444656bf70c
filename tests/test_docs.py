"""The pages of docs/ and the README: commands parse, links lead somewhere, quoted errors are ones that the program says."""

from __future__ import annotations

import ast
import contextlib
import posixpath
import re
import runpy
import shlex
from pathlib import Path

import pytest
import tyro
import yaml

from nerfsem_method.cli.main import Verb

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
FORMAT = ROOT / "nerfsem_method" / "codec" / "FORMAT.md"
LINKING = [*PAGES, *sorted(DOCS.glob("*/*.md")), FORMAT, ROOT / "web" / "README.md"]
HIDDEN = "…"
"""In a quoted message this stands for what changes from time to time."""
FOREIGN_SPELLINGS = re.compile(
    r"\b(colors?|colored|gray|behaviors?|centers?|centered|neighbors?|catalogs?|favor\w*|\w+iz(e|es|ed|ing|ation)|artifacts?|fiber|"
    r"teh|recieve\w*|seperat\w*|occured|wich|thier|accomodat\w*|existant|succesful\w*|neccessar\w*)\b",
    re.IGNORECASE,
)
SPELT_ALIKE = {"size", "sizes", "sized", "prize", "seize"}
"""These words end in -ize in Britain as well."""


def _identity(path: Path) -> str:
    return path.name


def commands(path: Path) -> list[str]:
    """Return the lines of a page's sh blocks, those that go on in the next line joined."""
    blocks = re.findall(r"```sh\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").strip().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def messages(folder: Path) -> list[str]:
    """Return every text of the sources; what is filled in is hidden."""
    found = []
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(str(v.value) if isinstance(v, ast.Constant) else HIDDEN for v in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def said(quoted: str, sources: list[str]) -> bool:
    """Return whether a message, or a part of one, is among the texts."""
    wanted = re.compile(".*".join(re.escape(part) for part in quoted.split(HIDDEN)), re.DOTALL)
    return any(wanted.search(text) for text in sources)


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def links(text: str) -> list[str]:
    """Return the targets of a page's links and pictures, those on other machines left out."""
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", target)]


@pytest.mark.parametrize("path", LINKING, ids=_identity)
def test_links_and_pictures_lead_somewhere(path):
    for target in links(path.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.is_file(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("path", PAGES, ids=_identity)
def test_commands_of_nerfsem_are_understood(path, capsys):
    for command in commands(path):
        words = shlex.split(command.partition(" > ")[0].partition(" && ")[0])
        if words[0] != "nerfsem" or "--tyro-print-completion" in words:
            continue
        try:
            tyro.cli(Verb, args=words[1:], config=(tyro.conf.FlagCreatePairsOff,))
        except SystemExit:
            pytest.fail(f"{command}\n{capsys.readouterr()}")


@pytest.mark.parametrize("path", PAGES, ids=_identity)
def test_other_commands_are_ones_that_a_reader_has(path):
    first = {shlex.split(command)[0] for command in commands(path)}
    known = {"make", "mkdir", "source", "npm", "pip", "dask"}
    assert first <= known | {"nerfsem", "ns-train", "ns-viewer", "ns-export", "ns-render", "ns-eval"}


@pytest.mark.slow
def test_commands_of_nerfstudio_are_understood():
    from nerfstudio.configs.method_configs import AnnotatedBaseConfigUnion
    from nerfstudio.scripts.viewer.run_viewer import RunViewer

    known = {"ns-train": AnnotatedBaseConfigUnion, "ns-viewer": tyro.conf.FlagConversionOff[RunViewer]}
    asked = [shlex.split(command) for path in PAGES for command in commands(path)]
    asked = [words for words in asked if words[0] in known]
    assert {words[0] for words in asked} == known.keys()
    for words in asked:
        tyro.cli(known[words[0]], args=words[1:])  # type: ignore[call-overload]
    exports = [line for path in PAGES for line in commands(path) if line.startswith("ns-export nerfsem-bitstream")]
    ours = [set(re.findall(r"--[a-z-]+", line)) for line in exports]
    assert all(options == ours[0] for options in ours)


def test_a_wrong_command_would_be_seen():
    with pytest.raises(SystemExit), contextlib.redirect_stderr(None):
        tyro.cli(Verb, args=["decode", "relic.nsem", "out.mp4", "--no-such-option"], config=(tyro.conf.FlagCreatePairsOff,))


def test_quoted_errors_are_ones_that_the_program_says():
    quoted = re.findall(r"^> `(.*)`$", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)
    sources = messages(ROOT / "nerfsem_method")
    assert len(quoted) > 25
    assert [message for message in quoted if not said(message, sources)] == []


def test_an_error_that_nobody_says_would_be_seen():
    sources = messages(ROOT / "nerfsem_method")
    assert said("cameras were found for only … of … frames", sources)
    assert not said("cameras were found for … only of … frames", sources) and not said("the moon is too bright", sources)


@pytest.mark.parametrize("path", PAGES, ids=_identity)
def test_prose_is_spelt_as_in_britain(path):
    names = r"```.*?```|`[^`]*`|\]\([^)]*\)|PSNR-\S*CENTER|\*[^*\n]+\*"
    text = re.sub(names, "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    wrong = {found.group() for found in FOREIGN_SPELLINGS.finditer(text)}
    assert {word for word in wrong if word.lower() not in SPELT_ALIKE and not word.isupper()} == set()


def test_the_index_and_the_site_name_every_page():
    pages = {path.name for path in DOCS.glob("*.md")}
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    assert {name for name in pages - {"index.md"} if f"]({name})" not in index} == set()
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    flat = set(re.findall(r"[\w/-]+\.md", str(site["nav"])))
    outside = runpy.run_path(str(ROOT / site["hooks"][0]))["linked_outside"]()
    assert pages <= flat and all((DOCS / name).is_file() for name in flat - outside)
    assert FORMAT.relative_to(ROOT).as_posix() in flat & outside


def test_links_lead_somewhere_in_the_site_too():
    """In the site, docs/ is the top, and files from elsewhere lie below it."""
    hook = runpy.run_path(str(DOCS / "site_hook.py"))
    outside = hook["linked_outside"]()
    inside = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.*")}
    assert outside and not outside & inside
    for name in sorted(name for name in outside | inside if name.endswith(".md")):
        text = ((DOCS if name in inside else ROOT) / name).read_text(encoding="utf-8")
        targets = [target.partition("#")[0] for target in links(hook["in_site"](text, name))]
        there = {posixpath.normpath(posixpath.join(posixpath.dirname(name), target)) for target in targets if target}
        assert there - outside - inside == set(), name


@pytest.mark.parametrize("path", LINKING, ids=_identity)
def test_lists_begin_after_an_empty_line(path):
    """mkdocs takes a list that follows a line of text for a part of its paragraph."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    item = r"(?:- |\d+\. )"
    assert re.findall(rf"^(?!{item}|  |#|\n).+\n{item}.*", text, re.MULTILINE) == []


def test_the_readme_is_two_screens_and_shows_a_picture():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") <= 105 and re.search(r"!\[.+\]\(docs/\S+\.jpg\)", text)


def test_the_citation_is_complete():
    from nerfsem_method import __version__

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys() and citation["version"] == __version__
    assert citation["references"][0]["doi"] in (ROOT / "README.md").read_text(encoding="utf-8")


def test_completion_is_printed_as_the_page_says(capsys):
    assert any("--tyro-print-completion bash" in command for command in commands(DOCS / "first-clip.md"))
    with pytest.raises(SystemExit) as stop:
        tyro.cli(Verb, args=["--tyro-print-completion", "bash"], prog="nerfsem", config=(tyro.conf.FlagCreatePairsOff,))
    script = capsys.readouterr().out
    assert stop.value.code in (0, None) and "complete" in script and "--background-color" in script
