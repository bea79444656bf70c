"""`nerfsem publish` writes pages that hold what the bundles hold, and nothing that a bundle could smuggle in."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from nerfsem_method.cli.describe import Describe, DublinCore
from nerfsem_method.cli.publish import Publish
from nerfsem_method.errors import BundleError, NerfsemError, OutputError

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = 'A </script><script>alert(1)</script> & "quoted" $title'


class Page(HTMLParser):
    """A page is read for its elements, its visible text and its scripts' texts."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.scripts, self._within = "", [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._within = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._within = ""

    def handle_data(self, data):
        if self._within == "script":
            self.scripts[-1] += data
        else:
            self.text += data

    def one(self, tag: str) -> dict[str, str | None]:
        """Return the attributes of the only element of its kind."""
        (attributes,) = (attributes for name, attributes in self.elements if name == tag)
        return attributes


@pytest.fixture
def described(tmp_path) -> Path:
    path = tmp_path / "dark amphora.nsem"
    path.write_bytes((GOLDEN / "dense-fp.nsem").read_bytes())
    Describe(path, DublinCore(title=HOSTILE, rights="CC0", creator="Euphronios")).run()
    return path


def test_one_piece_is_the_index(described, tmp_path, capsys):
    Publish((described, tmp_path / "site")).run()
    assert str(tmp_path / "site/index.html") in capsys.readouterr().out
    names = ["dark-amphora.nsem", "dark-amphora.nsem.js", "dark-amphora.webp", "index.html", "style.css", "viewer.js"]
    assert sorted(path.name for path in (tmp_path / "site").iterdir()) == names
    assert (tmp_path / "site/dark-amphora.nsem").read_bytes() == described.read_bytes()
    with Image.open(tmp_path / "site/dark-amphora.webp") as poster:
        assert poster.size == (24, 32) and poster.mode == "RGBA"
    script = (tmp_path / "site/dark-amphora.nsem.js").read_text()
    (name, text) = re.findall(r'"([^"]*)"', script)
    assert name == "dark-amphora.nsem" and base64.b64decode(text) == described.read_bytes()


def test_a_page_shows_the_record_and_tells_it_to_programs(described, tmp_path):
    Publish((described, tmp_path / "site")).run()
    page = Page(tmp_path / "site/index.html")
    viewer = page.one("nerfsem-viewer")
    assert (viewer["src"], viewer["poster"], viewer["label"]) == ("dark-amphora.nsem", "dark-amphora.webp", HOSTILE)
    assert HOSTILE in page.text and "Euphronios" in page.text and "CC0" in page.text
    linked, code = [script for script in page.scripts if script], [a for tag, a in page.elements if tag == "script"]
    assert [script.get("src", script.get("type")) for script in code] == ["viewer.js", "application/ld+json"]
    record = json.loads(linked[0])
    assert record["dc:title"] == HOSTILE and record["dc:rights"] == "CC0" and record["@id"] == "dark-amphora.nsem"
    assert "dc:encoder" not in record


def test_several_pieces_have_pages_and_an_index(described, tmp_path):
    other = tmp_path / "more/dark amphora.nsem"
    other.parent.mkdir()
    other.write_bytes((GOLDEN / "dense-pc.nsem").read_bytes())
    Publish((described, other, GOLDEN / "hashed-fp.nsem", tmp_path / "site")).run()
    index = Page(tmp_path / "site/index.html")
    links = [attributes["href"] for tag, attributes in index.elements if tag == "a"]
    assert links == ["dark-amphora.html", "dark-amphora-2.html", "hashed-fp.html"]
    for link in links:
        assert Page(tmp_path / "site" / str(link)).one("nerfsem-viewer")["src"] == str(link).replace(".html", ".nsem")
    assert HOSTILE in index.text and not [script for script in index.scripts if script]


def test_a_site_replaces_an_earlier_one_and_nothing_else(described, tmp_path):
    site = tmp_path / "site"
    Publish((GOLDEN / "hashed-fp.nsem", GOLDEN / "dense-pc.nsem", site)).run()
    Publish((described, site)).run()
    assert not (site / "hashed-fp.html").exists()
    (site / "letters.txt").write_text("mine")
    before = sorted(site.iterdir())
    with pytest.raises(OutputError, match=r"letters\.txt"):
        Publish((described, site)).run()
    assert sorted(site.iterdir()) == before


def test_what_is_no_bundle_leaves_no_site(tmp_path):
    (tmp_path / "text.nsem").write_text("no bundle")
    with pytest.raises(BundleError):
        Publish((GOLDEN / "dense-fp.nsem", tmp_path / "text.nsem", tmp_path / "site")).run()
    assert not list((tmp_path / "site").glob("*"))
    with pytest.raises(NerfsemError, match="name one bundle or more"):
        Publish((tmp_path / "site",)).run()


def test_a_page_with_its_code_and_style_is_small(described, tmp_path):
    site = tmp_path / "site"
    Publish((described, site)).run()
    assert sum((site / name).stat().st_size for name in ("index.html", "style.css", "viewer.js")) < 150_000
    for path in site.glob("*.html"):
        assert not re.search(r'(src|href)="(https?:)?//', path.read_text())
