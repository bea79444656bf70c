"""Published pages in a headless Chromium show what the CPU renderer shows.

The pages lie on a disk, where browsers allow least.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shown_viewer import ShownViewer
from tiny_field import DENSE, tiny_bundle

from nerfsem_method.background import h264
from nerfsem_method.codec import nsem
from nerfsem_method.field.spec import Level
from nerfsem_method.playback.player import WHITE, Player
from nerfsem_method.web.site import write_site

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent / "golden"
WIDE = replace(
    DENSE, volume=(Level(6, 8), Level(9, 5), Level(12, 3)), planes=(Level(10, 6), Level(16, 2)), width=160, color_layers=2,
    directions=4, frequencies=3, shading="sample",
)  # fmt: skip
"""The heads are as wide as the paper's, which are loops in the shader, and the entries have every number of features."""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Return a site of all golden bundles and of one with wide heads."""
    folder = tmp_path_factory.mktemp("site")
    nsem.write(folder / "wide.nsem", tiny_bundle(WIDE))
    write_site(folder / "site", [*sorted(GOLDEN.glob("*.nsem")), folder / "wide.nsem"])
    return folder / "site"


@pytest.fixture
def viewer(browser) -> ShownViewer:
    return ShownViewer(browser)


@pytest.mark.parametrize("name", ["dense-fp", "dense-pc", "hashed-fp", "hashed-pc", "vase", "wide"])
def test_frames_are_those_of_the_cpu_renderer(name, viewer, site):
    """99.9 % of the pixels are within 2/255, the others within 4/255."""
    assert viewer.open(site / f"{name}.html") == "still"
    bundle = nsem.read(site / f"{name}.nsem")
    player = Player(bundle, "cpu")
    for frame in sorted({0, bundle.video.frames // 2, bundle.video.frames - 1}):
        wanted = player.composited(frame, WHITE).astype(int)
        off = np.abs(viewer.picture(frame)[..., :3] - wanted).max(-1)
        assert (wanted != 255).any() and off.max() <= 4 and (off > 2).mean() <= 0.001, frame


def test_the_ground_is_the_pages_choice(viewer, site):
    viewer.open(site / "dense-fp.html")
    player = Player(nsem.read(site / "dense-fp.nsem"), "cpu")
    viewer.set("ground", "#336699")
    assert np.abs(viewer.picture(2)[..., :3] - player.composited(2, (0x33, 0x66, 0x99))).max() <= 2
    viewer.set("ground", "transparent")
    assert np.abs(viewer.picture(2) - 255 * player.premultiplied(2)).max() <= 2


def test_the_film_has_its_background(viewer, site):
    """Where the object is not, the film's frame is the background's picture."""
    viewer.open(site / "dense-pc.html", size=(400, 600))
    assert "the free view the object alone" in viewer.wait(
        "document.querySelector('nerfsem-viewer').shadowRoot.querySelector('.status').textContent"
    )
    viewer.run("viewer.style.cssText = 'position: fixed; inset: 0; width: 240px; height: 320px; max-height: none'")
    viewer.run("inside('.controls').remove()")
    shown = viewer.after(".", ".", ".")[5:320:10, 5:240:10]
    held = nsem.read(site / "dense-pc.nsem")
    assert held.background is not None
    plates = np.array(list(h264.decode(held.background.stream, 24, 32, 6))).astype(int)
    empty = Player(held, "cpu").premultiplied(3)[..., 3] == 0
    assert empty.sum() > 50
    off = [np.median(np.abs(shown - plate).max(-1)[empty]) for plate in plates]
    assert np.argmin(off) == 3 and off[3] < 8
