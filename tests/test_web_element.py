"""The element in a headless Chromium does what a visitor and a page ask of it, and says in words what it cannot do."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from shown_viewer import INSIDE, VIEWER, ShownViewer, changed

from benchmarks.fuzz import mutate
from nerfsem_method.web.site import write_site

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    write_site(folder, [GOLDEN / "dense-fp.nsem", GOLDEN / "hashed-fp.nsem", GOLDEN / "vase.nsem"])
    return folder


@pytest.fixture
def viewer(browser) -> ShownViewer:
    return ShownViewer(browser)


# A visitor ------------------------------------------------------------------------------------------------------------


def test_a_visitor_turns_the_piece(viewer, site):
    """A drag to the right does what the hint promised, and the hint leaves."""
    viewer.open(site / "vase.html")
    before = viewer.screen()
    assert viewer.run("return getComputedStyle(inside('.hint')).opacity") != "0"
    viewer.drag(120, 0)
    viewer.settled()
    assert changed(viewer.screen(), before) > 0.03
    viewer.wait(f"getComputedStyle({INSIDE}('.hint')).opacity === '0'")


def test_one_finger_turns_and_two_zoom(viewer, site):
    viewer.open(site / "dense-fp.html")
    viewer.browser.command("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)
    before = viewer.screen()
    viewer.touch(((-50, 0), (50, 0)))
    viewer.settled()
    turned = viewer.screen()
    assert changed(turned, before) > 0
    viewer.touch(((-20, 0), (-80, 0)), ((20, 0), (80, 0)))
    viewer.settled()
    assert changed(viewer.screen(), turned) > 0.05


def test_keys_turn_zoom_move_and_reset(viewer, site):
    viewer.open(site / "dense-fp.html")
    first = viewer.after("Home")
    assert changed(viewer.after("ArrowLeft", "ArrowLeft"), first) > 0
    larger = viewer.after("Home", "+", "+")
    assert changed(larger, first) > 0 and (viewer.after("-", "-") == first).mean() > 0.99
    assert changed(viewer.after("ArrowDown", "ArrowDown"), first) > 0
    assert (viewer.after("Home") == first).mean() > 0.99


def test_the_wheel_is_the_pages_until_the_piece_was_clicked(viewer, site):
    viewer.open(site / "dense-fp.html", size=(500, 300))
    x, y = viewer.run("const b = viewer.getBoundingClientRect(); return [b.x + 60, b.y + 60]")

    def roll() -> None:
        viewer.browser.command("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-200)

    before = viewer.picture(0)
    viewer.run("scrollTo(0, 150)")
    roll()
    viewer.wait("scrollY < 150")
    viewer.wait("scrollY === 0")
    viewer.run("scrollTo(0, 20); inside('canvas').focus({ preventScroll: true })")
    first = viewer.screen()
    viewer.run("viewer.setAttribute('state', 'loading')")
    roll()
    viewer.settled()
    assert changed(viewer.screen(), first) > 0.02 and viewer.browser.run("scrollY") == 20
    assert (viewer.picture(0) == before).all()


def test_the_film_plays_and_pauses(viewer, site):
    viewer.open(site / "vase.html")
    viewer.run("inside('[data-act=play]').click()")
    viewer.wait(f"{INSIDE}('[type=range]').valueAsNumber > 3")
    assert viewer.run("return inside('[data-act=play]').title") == "Pause the film"
    viewer.run("inside('[data-act=play]').click()")
    assert viewer.run("return inside('[data-act=play]').title") == "Play the film"
    assert viewer.settled() == "still"


def test_who_wants_less_motion_sees_none(viewer, site):
    """The piece does not sway of itself, and is not thrown."""
    media = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    viewer.browser.command("Emulation.setEmulatedMedia", features=media)
    viewer.browser.command("Page.navigate", url=(site / "dense-fp.html").as_uri())
    viewer.wait(f"document.readyState === 'complete' && {VIEWER}")
    viewer.settled()
    before = viewer.screen()
    viewer.wait("new Promise((resolve) => setTimeout(resolve, 700, true))")
    assert changed(viewer.screen(), before) == 0
    viewer.browser.command("Emulation.setEmulatedMedia", features=[])


def test_everything_has_a_name(viewer, site):
    """Whoever hears the page is told what each control does, and what the canvas shows."""
    viewer.open(site / "dense-fp.html")
    named = [
        node["name"]["value"]
        for node in viewer.browser.command("Accessibility.getFullAXTree")["nodes"]
        if node.get("role", {}).get("value") in {"application", "button", "slider", "ColorWell"}
    ]
    assert "dense-fp, in three dimensions" in named and {"Play the film", "Full screen", "Frame of the film"} <= set(named)
    assert len(named) >= 8 and all(named)


# A page ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(site) -> Iterator[tuple[str, list[str]]]:
    """Yield the address of the site on a server, and the paths that are asked of it."""
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_a_server_is_asked_for_the_bundle_once_and_not_for_its_script(viewer, served):
    address, asked = served
    assert viewer.open(f"{address}/hashed-fp.html") == "still"
    assert asked.count("/hashed-fp.nsem") == 1 and "/hashed-fp.nsem.js" not in asked
    viewer.set("src", "nothing.nsem")
    assert viewer.settled() == "refused"
    assert "404" in viewer.run("return inside('.message').textContent")


def test_a_page_may_forbid_workers(viewer, site):
    policy = "<meta http-equiv='Content-Security-Policy' content=\"worker-src 'none'\">"
    page = site / "strict.html"
    page.write_text((site / "dense-fp.html").read_text().replace("<head>", "<head>" + policy))
    assert viewer.open(page) == "still"
    attempt = "new Worker(URL.createObjectURL(new Blob([''])))"
    assert viewer.browser.run(f"new Promise((resolve) => {{ {attempt}.onerror = () => resolve('forbidden') }})") == "forbidden"


LOSE = "getContext('webgl2').getExtension('WEBGL_lose_context').loseContext()"


def test_a_lost_canvas_is_drawn_again(viewer, site):
    viewer.open(site / "dense-fp.html")
    before = viewer.picture(1)
    viewer.run("window.loads = 0; viewer.addEventListener('nerfsem-load', () => loads++)")
    viewer.run(f"window.lost = inside('canvas'); lost.{LOSE}")
    viewer.wait(f"{INSIDE}('canvas') !== lost")
    assert viewer.settled() == "still" and (viewer.picture(1) == before).all()
    assert viewer.browser.run("loads") == 0


@pytest.mark.parametrize("start", ["inside('canvas').LOSE", "viewer.setAttribute('src', 'vase.nsem')"])
def test_a_device_that_gives_up_is_not_asked_for_ever(start, viewer, site):
    """From now on every canvas is lost as soon as it is there, whether the piece is known already or still being decoded."""
    viewer.open(site / "dense-fp.html")
    viewer.run("""const make = HTMLCanvasElement.prototype.getContext;
      HTMLCanvasElement.prototype.getContext = function (...all) {
        const made = make.apply(this, all);
        if (all[0] === "webgl2") queueMicrotask(() => made.getExtension("WEBGL_lose_context").loseContext());
        return made;
      }""")
    viewer.run(start.replace("LOSE", LOSE))
    viewer.wait(f"{VIEWER}.getAttribute('state') === 'refused'")
    assert "gave up" in viewer.run("return inside('.message').textContent")
    viewer.browser.run("new Promise((resolve) => setTimeout(resolve, 300))")
    assert viewer.run("return viewer.getAttribute('state')") == "refused"


def test_a_browser_without_webgl_says_so(viewer, site):
    page = site / "old.html"
    script = "<script>HTMLCanvasElement.prototype.getContext = () => null</script>"
    page.write_text((site / "dense-fp.html").read_text().replace("<head>", "<head>" + script))
    assert viewer.open(page) == "refused"
    assert "no WebGL 2" in viewer.run("return inside('.message').textContent")
    assert not viewer.run("return inside('img').hidden")


# Damage ---------------------------------------------------------------------------------------------------------------


def test_a_damaged_bundle_is_said_in_words(viewer, site):
    text = base64.b64encode((site / "vase.nsem").read_bytes()[:-40]).decode()
    (site / "damaged.nsem.js").write_text(f"nerfsem.register('damaged.nsem', '{text}')")
    viewer.open(site / "dense-fp.html")
    for address, words in (("damaged.nsem", "the file ends early"), ("missing.nsem", "without missing.nsem.js beside it")):
        viewer.set("src", address)
        assert viewer.settled() == "refused"
        assert words in viewer.run("return inside('.message').textContent")
        assert viewer.run("return inside('.message').checkVisibility()")
    viewer.set("src", "hashed-fp.nsem")
    assert viewer.settled() == "still"
    assert not viewer.run("return inside('.message').checkVisibility()")


def test_damaged_bundles_give_a_message_or_a_picture(viewer, site):
    """Every case is over within seconds; that the verdicts are those of Python is tested in Node, on more of them."""
    seeds = mutate.load_seeds()
    viewer.open(site / "dense-fp.html")
    endings = []
    for number in range(0, 200, 10):
        text = base64.b64encode(mutate.case(2, number, seeds)).decode()
        viewer.run(f"nerfsem.register('case-{number}.nsem', '{text}')")
        viewer.set("src", f"case-{number}.nsem")
        endings.append(viewer.settled())
        assert endings[-1] != "refused" or len(viewer.run("return inside('.message').textContent")) > 40
    assert endings.count("refused") > 10
