"""The page of a report, opened from a disk in a headless Chromium, wipes between pictures as a reader asks it to."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from chromium import Chromium
from PIL import Image
from test_evaluation_report import evaluation, shown

from nerfsem_method.evaluation.report import write_report

BOX = "document.querySelector('.stage').getBoundingClientRect()"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(folder, evaluation(), shown())
    return folder


@pytest.fixture
def opened(browser: Chromium, report: Path) -> Chromium:
    browser.open((report / "index.html").as_uri(), 900, 1600)
    return browser


def halves(browser: Chromium, row: int = 5) -> tuple[int, int]:
    """Return the greys that the stage shows near its left and its right edge."""
    screen = np.asarray(Image.open(io.BytesIO(browser.screenshot())).convert("L"))
    x, y = (int(browser.run(f"Math.round({BOX}.{axis})")) for axis in "xy")
    return int(screen[y + row, x + 2]), int(screen[y + row, x + 17])


def choose(browser: Chromium, control: str, value: str) -> None:
    browser.run(f"{{const it = document.querySelector('{control}'); it.value = '{value}'; it.dispatchEvent(new Event('input'))}}")


def test_the_source_stands_beside_ours_and_others_can_be_chosen(opened: Chromium) -> None:
    assert halves(opened) == (0, 200)
    choose(opened, ".right", "2")
    assert halves(opened) == (0, 100)
    choose(opened, ".left", "1")
    assert halves(opened) == (200, 100)
    choose(opened, ".frame", "best")
    assert halves(opened) == (200, 100)


def test_the_line_is_pulled_by_the_slider_and_on_the_picture(opened: Chromium) -> None:
    choose(opened, "input", "0")
    assert halves(opened) == (200, 200)
    choose(opened, "input", "100")
    assert halves(opened) == (0, 0)
    x, y = (opened.run(f"{BOX}.{axis} + 5") for axis in "xy")
    opened.command("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", buttons=1, clickCount=1)
    assert halves(opened, row=20) == (0, 200)
    opened.command("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left", buttons=0, clickCount=1)


def test_all_pictures_are_there_and_nothing_comes_from_elsewhere(opened: Chromium) -> None:
    images = opened.run("[...document.images].map(it => [it.src.split(/[:,;]/)[0], it.complete && it.naturalWidth > 0])")
    assert len(images) == 9 + 1 and all(loaded for _, loaded in images)
    assert {scheme for scheme, _ in images} == {"data", "file"}
    assert opened.run("performance.getEntriesByType('resource').every(it => /^(file|data):/.test(it.name))")
