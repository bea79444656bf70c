"""The viewer's panel is looked at and used in a headless Chromium: nerfstudio's page of an imported PC bundle."""

from __future__ import annotations

import io
import time
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pytest
from nerfstudio.utils.eval_utils import eval_setup
from nerfstudio.viewer.viewer import Viewer
from PIL import Image
from tiny_field import opaque_bundle

from nerfsem_method.codec import nsem
from nerfsem_method.codec.metadata import with_metadata
from nerfsem_method.plugin.runs import import_bundle

TITLE = "{alert(1)} ![x](/etc/hostname) <b>Kylix</b> *a_b*"
"""This title would be code, a picture and emphasis to a page that took it for Markdown."""
SIZE = 1000, 1100


class Page:
    """The page is the one that a browser shows; what is asked of it is waited for."""

    def __init__(self, browser: Any, url: str) -> None:
        self._browser = browser
        browser.open(url, *SIZE)

    def text(self) -> str:
        """Return what the page says."""
        return self._browser.run("document.body.innerText")

    def wait(self, condition) -> Any:
        """Wait until a condition holds, for two minutes at most, and return what it gave."""
        end = time.monotonic() + 120
        while not (found := condition()):
            assert time.monotonic() < end, self.text()
            time.sleep(0.2)
        return found

    def press(self, words: str) -> None:
        """Press the button or the choice of these words."""
        self._browser.run(f"""[...document.querySelectorAll('button, [role=option], .mantine-Select-option')]
            .find((element) => element.innerText.trim() === {words!r}).click()""")

    def choose(self, now: str, then: str) -> None:
        """Choose another value in the field that shows the value `now`."""
        self._browser.run(f"[...document.querySelectorAll('input')].find((input) => input.value === {now!r}).click()")
        self.wait(lambda: then in self.text())
        self.press(then)

    def type(self, name: str, text: str) -> None:
        """Type into the field of a name, in place of what is there."""
        self._browser.run(f"""(() => {{
            const inside = (element) => element.querySelector('input:not([type=hidden])');
            let around = [...document.querySelectorAll('label')].find((element) => element.innerText === {name!r});
            while (!inside(around)) around = around.parentElement;
            const field = inside(around);
            field.focus();
            field.select();
        }})()""")
        self._browser.command("Input.insertText", text=text)

    def screen(self) -> np.ndarray:
        """Return the page as it is seen, uint8 [H, W, 3]."""
        return np.asarray(Image.open(io.BytesIO(self._browser.screenshot())).convert("RGB"))

    def colours(self) -> float:
        """Return how many of ten pixels of the picture, left of the panel, are neither grey nor white."""
        picture = self.screen()[100:1000, 20:600].astype(int)
        return 10 * float((np.ptp(picture, axis=-1) > 24).mean())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "relic.nsem"
    nsem.write(path, opaque_bundle())
    path.write_bytes(with_metadata(path.read_bytes(), {"title": TITLE}, nsem.KNOWN_SECTIONS))
    return path


@pytest.fixture(scope="module")
def page(bundle, browser):
    """Return the page of nerfstudio's viewer of the bundle."""
    config, pipeline, _, _ = eval_setup(import_bundle(bundle, bundle.parent / "run"), test_mode="test")
    config.viewer.websocket_port_default = 7450
    manager: Any = pipeline.datamanager
    viewer = Viewer(config.viewer, bundle.parent / "run" / "viewer.log", manager.get_datapath(), pipeline, train_lock=Lock())
    viewer.init_scene(manager.train_dataset, "completed", manager.eval_dataset)
    port = int(viewer.viewer_info[0].partition("localhost:")[2].split()[0])
    yield Page(browser, f"http://localhost:{port}")
    viewer.viser_server.stop()


@pytest.mark.slow
def test_a_visitor_reads_and_uses_the_panel(page, bundle):
    size = bundle.stat().st_size
    page.wait(lambda: f"Bytes: {size:,}" in page.text())
    text = page.text()
    for name in ("Shows", "Ground", "Stand at frame", "Weights", "Encode now", "By part: tables", "PSNR: -", "Lambda: -"):
        assert name in text, name
    assert f"8 frames, {opaque_bundle().camera.width} x" in text and f"title: {TITLE}" in text
    object_alone = page.wait(page.colours)
    page.choose("FP: the object", "PC: over its background")
    page.wait(lambda: page.colours() > object_alone + 0.5)
    page.type("Stand at frame", "3")
    page.wait(lambda: page.colours() > 8)  # whoever stands there sees object and background alone
    page.press("Encode now")
    page.wait(lambda: "PSNR: no source frames to measure against" in page.text())
