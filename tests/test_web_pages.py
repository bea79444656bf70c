"""Published pages in a headless Chromium show what the CPU renderer shows.

The pages lie on a disk, where browsers allow least.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shown_viewer import INSIDE, ShownViewer
from tiny_field import DENSE, ramps, tiny_bundle

from nerfsem_method.background import streams
from nerfsem_method.codec import nsem
from nerfsem_method.codec.background import STREAMS, Background
from nerfsem_method.codec.filter import CHANNELS, TAPS, Filter
from nerfsem_method.field.spec import Level
from nerfsem_method.field.state import QuantisedTensor
from nerfsem_method.playback.player import WHITE, Player
from nerfsem_method.web.site import write_site

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_NAMES = sorted(path.stem for path in GOLDEN.glob("*.nsem"))
WIDE = replace(
    DENSE, volume=(Level(6, 8), Level(9, 5), Level(12, 3)), planes=(Level(10, 6), Level(16, 2)), width=160, color_layers=2,
    directions=4, frequencies=3, shading="sample",
)  # fmt: skip
"""The heads are as wide as the paper's, which are loops in the shader, and the entries have every number of features."""

LONG = 40
"""A film of so many frames is longer than what the browser's decoder is fed at once."""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Return a site of all golden bundles, one with wide heads, a long film, and a bent lens without and with wide filters."""
    folder = tmp_path_factory.mktemp("site")
    nsem.write(folder / "wide.nsem", tiny_bundle(WIDE))
    made = tiny_bundle(frames=LONG)
    for codec in STREAMS:
        nsem.write(folder / f"long-{codec}.nsem", replace(made, background=ramps(made.video, codec)).quantised())
    bent = replace(made.camera, fy=42.0, cx=11.5, k1=-0.6, k2=2.0, p1=0.03, p2=-0.04)
    gains = np.exp2(0.5 * np.sin(np.arange(LONG)[:, None] + np.arange(3))).astype(np.float32)
    made = replace(made, camera=bent, gains=gains).quantised()
    nsem.write(folder / "bent.nsem", made)
    for width in (12, 64):
        nsem.write(folder / f"sharp-{width}.nsem", replace(made, filter=waves(width)))
    own = [folder / f"{name}.nsem" for name in ("wide", *(f"long-{codec}" for codec in STREAMS), "bent", "sharp-12", "sharp-64")]
    write_site(folder / "site", [*sorted(GOLDEN.glob("*.nsem")), *own])
    return folder / "site"


def waves(width: int) -> Filter:
    """Return a filter that changes frames a lot; each channel between its layers counts less the more there are."""
    count = np.arange(width * CHANNELS * TAPS * TAPS)
    first = np.rint(60 * np.sin(1.7 * count)).astype(np.int32).reshape(width, CHANNELS, TAPS, TAPS)
    second = np.rint(400 / width * np.sin(2.3 * count + 1)).astype(np.int32).reshape(CHANNELS, width, TAPS, TAPS)
    return Filter(QuantisedTensor(first, -6), QuantisedTensor(second, -9))


@pytest.fixture
def viewer(browser) -> ShownViewer:
    return ShownViewer(browser)


@pytest.mark.parametrize("name", [*GOLDEN_NAMES, "wide", "sharp-12", "sharp-64"])
def test_frames_are_those_of_the_cpu_renderer(name, viewer, site):
    """99.9 % of the pixels are within 2/255, the others within 4/255."""
    assert viewer.open(site / f"{name}.html") == "still"
    bundle = nsem.read(site / f"{name}.nsem")
    player = Player(replace(bundle, residual=None), "cpu")
    for frame in sorted({0, bundle.video.frames // 2, bundle.video.frames - 1}):
        wanted = player.composited(frame, WHITE).astype(int)
        off = np.abs(viewer.picture(frame)[..., :3] - wanted).max(-1)
        assert (wanted != 255).any() and off.max() <= 4 and (off > 2).mean() <= 0.001, frame


@pytest.mark.parametrize(
    ("name", "right", "down"), [("bent", 24, 32), ("sharp-12", 24, 32), ("vase", 270, 480), ("zoomed-fp", 24, 32)]
)
def test_the_film_on_the_screen_is_the_cpu_renderers(name, right, down, viewer, site):
    """What a visitor sees has the shader's own rays, in single precision, with the frame's lens and gains."""
    viewer.open(site / f"{name}.html")
    bare(viewer, right, down)
    shown = viewer.after(".", ".")[:down, :right]
    wanted = Player(nsem.read(site / f"{name}.nsem"), "cpu").composited(2, WHITE).astype(int)
    off = np.abs(shown - wanted).max(-1)
    assert (wanted != 255).any() and (off > 2).mean() <= 0.001


def bare(viewer: ShownViewer, right: int, down: int) -> None:
    """Let the canvas alone fill the page's upper left corner."""
    viewer.run(f"viewer.style.cssText = 'position: fixed; inset: 0; width: {right}px; height: {down}px; border-radius: 0'")
    viewer.run("for (const each of viewer.shadowRoot.querySelectorAll(':not(canvas, style)')) each.style.opacity = 0")
    viewer.run("inside('canvas').style.outline = 'none'")


def test_the_film_alone_is_sharpened(viewer, site):
    """The free view of a bundle with a filter is that without; the film's frames, larger than the clip's here, are not."""
    seen = {}
    for name in ("bent", "sharp-12"):
        viewer.open(site / f"{name}.html")
        bare(viewer, 48, 64)
        seen[name] = [viewer.after(key)[:64, :48] for key in ("Home", ".")]
    (free, film), (also_free, sharp) = seen.values()
    assert (free != 255).any() and (free == also_free).all()
    assert (np.abs(film - sharp).max(-1) > 8).mean() > 0.05


UNABLE = """<script>const all = WebGL2RenderingContext.prototype, get = all.getExtension;
all.getExtension = function (name) { return name.startsWith("EXT_color_buffer") ? null : get.call(this, name); };</script>"""


def test_a_device_that_cannot_sharpen_shows_the_frames_as_they_are(viewer, site):
    page = site / "unable.html"
    page.write_text((site / "sharp-12.html").read_text().replace("<head>", "<head>" + UNABLE))
    assert viewer.open(page) == "still"
    assert viewer.run("return inside('.status').textContent") == ""
    wanted = Player(replace(nsem.read(site / "sharp-12.nsem"), filter=None), "cpu").composited(1, WHITE).astype(int)
    assert np.abs(viewer.picture(1)[..., :3] - wanted).max() <= 2
    viewer.after(".")
    assert "cannot sharpen" in viewer.run("return inside('.status').textContent")


def test_the_ground_is_the_pages_choice(viewer, site):
    viewer.open(site / "dense-fp.html")
    player = Player(nsem.read(site / "dense-fp.nsem"), "cpu")
    viewer.set("ground", "#336699")
    assert np.abs(viewer.picture(2)[..., :3] - player.composited(2, (0x33, 0x66, 0x99))).max() <= 2
    viewer.set("ground", "transparent")
    assert np.abs(viewer.picture(2) - 255 * player.premultiplied(2)).max() <= 2


@pytest.mark.parametrize("codec", STREAMS)
def test_the_film_has_its_background(codec, viewer, site):
    """Where the object is not, a frame is the background's picture of that number, wherever one jumps to, and after it played."""
    assert viewer.open(site / f"long-{codec}.html", size=(400, 600)) == "still"
    said = viewer.wait(f"{INSIDE}('.status').textContent")
    if codec == "h265" and said == "This browser cannot play the background: the film shows the object alone.":
        pytest.skip("this browser has no decoder of H.265, and the page says so")
    assert "the free view the object alone" in said
    viewer.run("viewer.style.cssText = 'position: fixed; inset: 0; width: 240px; height: 320px; max-height: none'")
    viewer.run("inside('.controls').style.opacity = 0")
    held = nsem.read(site / f"long-{codec}.nsem")
    assert isinstance(held.background, Background)
    plates = np.array(list(streams.decode(held.background.stream, 24, 32, LONG, codec))).astype(int)
    player = Player(held, "cpu")

    def check(frame: int) -> None:
        viewer.settled()
        shown = viewer.screen()[5:320:10, 5:240:10]
        empty = player.premultiplied(frame)[..., 3] == 0
        off = [np.median(np.abs(shown - plate).max(-1)[empty]) for plate in plates]
        assert abs(int(np.argmin(off)) - frame) <= 1 and off[frame] < 8, (frame, off)

    for frame in (30, 31, 5, LONG - 1, 0):
        viewer.run(f"""viewer.setAttribute('state', 'loading'); const film = inside('[type=range]');
          film.value = {frame}; film.dispatchEvent(new Event('input'));""")
        check(frame)
    viewer.run("inside('[data-act=play]').click()")
    viewer.wait(f"{INSIDE}('[type=range]').valueAsNumber > 10")
    viewer.wait(f"{INSIDE}('[type=range]').valueAsNumber < 5")
    viewer.run("viewer.setAttribute('state', 'loading'); inside('[data-act=play]').click()")
    check(viewer.run("return inside('[type=range]').valueAsNumber"))
