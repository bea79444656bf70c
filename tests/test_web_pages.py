"""Published pages in a headless Chromium show what the CPU renderer shows, and do what a visitor asks.

The pages lie on a disk, where browsers allow least.
"""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from pathlib import Path

import chromium
import numpy as np
import pytest
from tiny_field import DENSE, tiny_bundle

from benchmarks.fuzz import mutate
from nerfsem_method.background import h264
from nerfsem_method.codec import nsem
from nerfsem_method.field.spec import Level
from nerfsem_method.playback.player import WHITE, Player
from nerfsem_method.web.site import write_site

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.PROGRAM is None, reason="Chromium is not installed: apt-get install chromium"),
]

GOLDEN = Path(__file__).parent / "golden"
VIEWER = "document.querySelector('nerfsem-viewer')"
INSIDE = f"{VIEWER}.shadowRoot.querySelector"
WIDE = replace(
    DENSE, volume=(Level(6, 8), Level(9, 5), Level(12, 3)), planes=(Level(10, 6), Level(16, 2)), width=160, color_layers=2,
    directions=4, frequencies=3, shading="sample",
)  # fmt: skip
"""The heads are as wide as the paper's, which are loops in the shader, and the entries have every number of features."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    started = chromium.Chromium(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Return a site of all golden bundles and of one with wide heads."""
    folder = tmp_path_factory.mktemp("site")
    nsem.write(folder / "wide.nsem", tiny_bundle(WIDE))
    write_site(folder / "site", [*sorted(GOLDEN.glob("*.nsem")), folder / "wide.nsem"])
    return folder / "site"


def show(browser: chromium.Chromium, page: Path, state: str = "still", size: tuple[int, int] = (500, 700)) -> str:
    """Open a page of the site and wait for its viewer; return its state."""
    browser.open(page.as_uri(), *size)
    return wait(browser, f"['{state}', 'refused'].includes({VIEWER}.getAttribute('state')) && {VIEWER}.getAttribute('state')")


def wait(browser: chromium.Chromium, condition: str):
    """Wait until a script's value is true, for a minute at most, and return it."""
    return browser.run(f"""new Promise((resolve, reject) => {{
      const start = performance.now();
      const look = () => {{
        const value = {condition};
        if (value) resolve(value);
        else if (performance.now() - start > 60000) reject(new Error({condition!r} + " never came true"));
        else setTimeout(look, 20);
      }};
      look();
    }})""")


def picture(browser: chromium.Chromium, frame: int) -> np.ndarray:
    """Return a stored frame as the viewer draws it: [H, W, 3]."""
    width, height, text = browser.run(f"""(() => {{
      const {{ width, height, data }} = {VIEWER}.picture({frame});
      let text = "";
      for (let i = 0; i < data.length; i += 4096) text += String.fromCharCode(...data.subarray(i, i + 4096));
      return [width, height, btoa(text)];
    }})()""")
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)[..., :3].astype(int)


def screen(browser: chromium.Chromium, folder: Path) -> np.ndarray:
    """Return the page as it is seen: [H, W, 3]."""
    from PIL import Image

    (folder / "screen.png").write_bytes(browser.screenshot())
    with Image.open(folder / "screen.png") as image:
        return np.asarray(image.convert("RGB")).astype(int)


def drag(browser: chromium.Chromium, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Press, move in ten steps and let go."""

    def send(kind: str, x: float, y: float) -> None:
        browser.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    send("mousePressed", *start)
    for step in range(1, 11):
        send("mouseMoved", *(a + (b - a) * step / 10 for a, b in zip(start, end, strict=True)))
    time.sleep(0.1)  # The pointer rests before it is let go, so that nothing is thrown.
    send("mouseReleased", *end)


def press(browser: chromium.Chromium, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        browser.command("Input.dispatchKeyEvent", type=kind, key=key, text=key if len(key) == 1 else "")


def centre(site: Path, browser: chromium.Chromium) -> tuple[int, int]:
    x, y = browser.run(f"(() => {{ const b = {VIEWER}.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2] }})()")
    return round(x), round(y)


# Pictures -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dense-fp", "dense-pc", "hashed-fp", "hashed-pc", "vase", "wide"])
def test_frames_are_those_of_the_cpu_renderer(name, browser, site):
    """99.9 % of the pixels are within 2/255, the others within 4/255."""
    assert show(browser, site / f"{name}.html") == "still"
    bundle = nsem.read(site / f"{name}.nsem")
    player = Player(bundle, "cpu")
    for frame in sorted({0, bundle.video.frames // 2, bundle.video.frames - 1}):
        wanted = player.composited(frame, WHITE).astype(int)
        off = np.abs(picture(browser, frame) - wanted).max(-1)
        assert (wanted != 255).any() and off.max() <= 4 and (off > 2).mean() <= 0.001, frame


def test_the_ground_is_the_pages_choice(browser, site):
    show(browser, site / "dense-fp.html")
    browser.run(f"{VIEWER}.setAttribute('ground', '#336699')")
    wanted = Player(nsem.read(site / "dense-fp.nsem"), "cpu").composited(2, (0x33, 0x66, 0x99)).astype(int)
    assert np.abs(picture(browser, 2) - wanted).max() <= 2


def test_the_film_has_its_background(browser, site, tmp_path):
    """Where the object is not, the film's frame is the background's picture."""
    show(browser, site / "dense-pc.html", size=(400, 600))
    browser.run(f"{VIEWER}.style.cssText = 'position: fixed; inset: 0; width: 240px; height: 320px; max-height: none'")
    browser.run(f"{INSIDE}('.controls').remove(); {VIEWER}.setAttribute('state', 'loading')")
    browser.run(f"{INSIDE}('canvas').focus()")
    for _ in range(3):
        press(browser, ".")
    wait(browser, f"{VIEWER}.getAttribute('state') === 'still'")
    held = nsem.read(site / "dense-pc.nsem")
    assert held.background is not None
    plates = list(h264.decode(held.background.stream, 24, 32, 6))
    alpha = Player(held, "cpu").premultiplied(3)[..., 3]
    shown = screen(browser, tmp_path)[5:320:10, 5:240:10]
    empty = (alpha == 0) & (np.arange(24) > 1) & (np.arange(24) < 22)
    assert empty.sum() > 50
    off = np.abs(shown - plates[3].astype(int)).max(-1)[empty]
    assert np.median(off) < 8 and np.median(np.abs(shown - plates[0].astype(int)).max(-1)[empty]) > 8


# A visitor ------------------------------------------------------------------------------------------------------------


def test_a_visitor_turns_the_piece(browser, site, tmp_path):
    """A drag to the right shows what the hint promised, and the hint leaves."""
    show(browser, site / "vase.html")
    x, y = centre(site, browser)
    before = screen(browser, tmp_path)
    assert browser.run(f"getComputedStyle({INSIDE}('.hint')).opacity") != "0"
    drag(browser, (x - 60, y), (x + 60, y))
    wait(browser, f"{VIEWER}.getAttribute('state') === 'still'")
    after = screen(browser, tmp_path)
    assert (np.abs(after - before).max(-1) > 32).mean() > 0.03
    wait(browser, f"getComputedStyle({INSIDE}('.hint')).opacity === '0'")


def test_keys_turn_zoom_and_reset(browser, site, tmp_path):
    show(browser, site / "dense-fp.html")
    browser.run(f"{INSIDE}('canvas').focus()")

    def after(*keys: str) -> np.ndarray:
        browser.run(f"{VIEWER}.setAttribute('state', 'loading')")
        for key in keys:
            press(browser, key)
        wait(browser, f"{VIEWER}.getAttribute('state') === 'still'")
        return screen(browser, tmp_path)

    first = after("Home")
    assert (np.abs(after("ArrowLeft", "ArrowLeft") - first).max(-1) > 32).any()
    larger = after("Home", "+", "+")
    assert (larger != 255).any(-1).sum() > 1.1 * (first != 255).any(-1).sum()
    np.testing.assert_array_equal(after("-", "-", "Home"), first)


def test_the_film_plays_and_pauses(browser, site):
    show(browser, site / "vase.html")
    browser.run(f"{INSIDE}('[data-act=play]').click()")
    wait(browser, f"{INSIDE}('[type=range]').valueAsNumber > 3")
    assert browser.run(f"{INSIDE}('[data-act=play]').title") == "Pause the film"
    browser.run(f"{INSIDE}('[data-act=play]').click()")
    assert wait(browser, f"{VIEWER}.getAttribute('state') === 'still' && {INSIDE}('[data-act=play]').title") == "Play the film"


def test_everything_has_a_name(browser, site):
    """Whoever hears the page is told what each control does, and what the canvas shows."""
    show(browser, site / "dense-fp.html")
    named = [
        node["name"]["value"]
        for node in browser.command("Accessibility.getFullAXTree")["nodes"]
        if node.get("role", {}).get("value") in {"application", "button", "slider", "ColorWell"}
    ]
    assert "dense-fp, in three dimensions" in named and {"Play the film", "Full screen", "Frame of the film"} <= set(named)
    assert len(named) >= 8 and all(named)


# What goes wrong ------------------------------------------------------------------------------------------------------


def test_a_damaged_bundle_is_said_in_words(browser, site):
    (site / "damaged.nsem.js").write_text(
        f"nerfsem.register('damaged.nsem', '{base64.b64encode((site / 'vase.nsem').read_bytes()[:-40]).decode()}')"
    )
    show(browser, site / "dense-fp.html")
    for address, words in (("damaged.nsem", "the file ends early"), ("missing.nsem", "without missing.nsem.js beside it")):
        browser.run(f"{VIEWER}.setAttribute('src', '{address}')")
        wait(browser, f"{VIEWER}.getAttribute('state') === 'refused'")
        assert words in browser.run(f"{INSIDE}('.message').textContent")
        assert browser.run(f"{INSIDE}('.message').checkVisibility()")
    browser.run(f"{VIEWER}.setAttribute('src', 'hashed-fp.nsem')")
    wait(browser, f"{VIEWER}.getAttribute('state') === 'still'")
    assert not browser.run(f"{INSIDE}('.message').checkVisibility()")


def test_damaged_bundles_give_a_message_or_a_picture(browser, site):
    """Every case is over within seconds; those with wrong checksums and most of the others end with a message."""
    seeds = mutate.load_seeds()
    show(browser, site / "dense-fp.html")
    endings = []
    for number in range(0, 200, 10):
        text = base64.b64encode(mutate.case(2, number, seeds)).decode()
        browser.run(f"nerfsem.register('case-{number}.nsem', '{text}'); {VIEWER}.setAttribute('src', 'case-{number}.nsem')")
        wait(browser, f"!['loading'].includes({VIEWER}.getAttribute('state'))")
        endings.append(browser.run(f"{VIEWER}.getAttribute('state')"))
        assert endings[-1] != "refused" or len(browser.run(f"{INSIDE}('.message').textContent")) > 40
    assert endings.count("refused") > 10
