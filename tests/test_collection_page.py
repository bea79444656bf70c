"""The page of a collection is opened in a browser, and sorted as a visitor would."""

from __future__ import annotations

import io

import numpy as np
import pytest
from collection_work import GOLDEN, Work, again
from PIL import Image

from nerfsem_method.cli.collection import Report
from nerfsem_method.cli.main import run
from nerfsem_method.collection import local
from nerfsem_method.collection.job import Outcome
from nerfsem_method.errors import NerfsemError

PURPLE = (120, 30, 160)
COLUMNS = {"clip": 1, "PSNR-CENTER [dB]": 4}


def poster() -> bytes:
    """Return a picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (90, 160), PURPLE).save(file, "WEBP", lossless=True)
    return file.getvalue()


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Return the page of four clips of which the third has failed."""
    clips, work = tmp_path / "clips", Work()
    clips.mkdir()
    for number, name in enumerate(("amphora", "krater", "kylix", "lekythos")):
        (clips / f"{name}.mp4").write_text(name)
        facts = {"psnr_center": (31.5, 24.25, 0.0, 28.0)[number], "warnings": ["dark"] * (number == 1)}
        work.outcomes[f"{name}.mp4"] = [Outcome(GOLDEN.read_bytes(), poster(), b"page", facts)]
    work.outcomes["kylix.mp4"] = [Outcome(reason="no motion", lasting=True, log="words")]
    monkeypatch.setattr(local, "attempt", work)
    with pytest.raises(NerfsemError):
        again(clips, tmp_path / "out", work)
    assert run(Report(tmp_path / "out")) == 0
    return tmp_path / "out/index.html"


def test_a_visitor_sees_posters_and_plot_and_sorts_by_a_column(page, browser):
    browser.open(page.as_uri(), 1000, 900)

    def names() -> list[str]:
        return browser.run("[...document.querySelectorAll('tbody tr')].map(row => row.cells[1].textContent.split('.')[0])")

    def click(column: str) -> None:
        browser.run(f"document.querySelectorAll('th')[{COLUMNS[column]}].click()")

    assert names() == ["kylix", "krater", "lekythos", "amphora"], "the worst come first"
    assert browser.run("document.querySelector('h1').textContent") == "4 items"
    assert browser.run("document.querySelectorAll('circle').length") == 3
    browser.run("Promise.all([...document.images].map(image => image.decode()))")
    with Image.open(io.BytesIO(browser.screenshot())) as image:
        shown = np.asarray(image.convert("RGB")).astype(int)
    assert (np.abs(shown - PURPLE).max(2) < 6).sum() > 3 * 60 * 100, "three posters are shown"
    click("PSNR-CENTER [dB]")
    assert names() == ["kylix", "krater", "lekythos", "amphora"]
    click("PSNR-CENTER [dB]")
    assert names() == ["amphora", "lekythos", "krater", "kylix"]
    click("clip")
    assert names() == ["amphora", "krater", "kylix", "lekythos"]
    # three bundles, the pages of their captures, and the log of the one that failed
    links = browser.run("[...document.querySelectorAll('a')].map(link => link.getAttribute('href'))")
    assert len(links) == 7 and all((page.parent / link).is_file() for link in links)
