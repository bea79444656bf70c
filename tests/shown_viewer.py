"""A viewer in a page of a headless Chromium is looked at and handled as a visitor would."""

from __future__ import annotations

import base64
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
from chromium import Chromium
from PIL import Image

VIEWER = "document.querySelector('nerfsem-viewer')"
INSIDE = f"{VIEWER}.shadowRoot.querySelector"


class ShownViewer:
    """The page's first viewer is the one; `browser` has the page."""

    def __init__(self, browser: Chromium) -> None:
        self.browser = browser

    def open(self, page: Path | str, size: tuple[int, int] = (500, 700)) -> str:
        """Open a page, a file or an address, wait until its viewer is still or has refused, and return which."""
        self.browser.open(page.as_uri() if isinstance(page, Path) else page, *size)
        return self.settled()

    def settled(self) -> str:
        """Wait until the viewer has drawn its finest, or has refused, and return its state."""
        return self.wait(f"['still', 'refused'].includes({VIEWER}.getAttribute('state')) && {VIEWER}.getAttribute('state')")

    def wait(self, condition: str) -> Any:
        """Wait until a script's value is true, for a minute at most, and return it."""
        return self.browser.run(f"""new Promise((resolve, reject) => {{
          const start = performance.now();
          const look = () => {{
            const value = {condition};
            if (value) resolve(value);
            else if (performance.now() - start > 60000) reject(new Error({condition!r} + " never came true"));
            else setTimeout(look, 20);
          }};
          look();
        }})""")

    def run(self, script: str) -> Any:
        """Return the value of a script in which `viewer` is the viewer and `inside` finds an element in it."""
        return self.browser.run(
            f"(() => {{ const viewer = {VIEWER}, inside = (name) => viewer.shadowRoot.querySelector(name);\n{script} }})()"
        )

    def after(self, *keys: str) -> np.ndarray:
        """Return the page as it is seen once keys were pressed on the canvas and nothing moves any more."""
        self.run("inside('canvas').focus(); viewer.setAttribute('state', 'loading')")
        for key in keys:
            for kind in ("keyDown", "keyUp"):
                self.browser.command("Input.dispatchKeyEvent", type=kind, key=key, text=key if len(key) == 1 else "")
        self.settled()
        return self.screen()

    def set(self, name: str, value: str) -> None:
        """Set an attribute."""
        self.run(f"viewer.setAttribute({name!r}, {value!r})")

    def picture(self, frame: int) -> np.ndarray:
        """Return a stored frame as the viewer draws it: [H, W, 4], premultiplied."""
        width, height, text = self.run(f"""
          const {{ width, height, data }} = viewer.picture({frame});
          let text = "";
          for (let i = 0; i < data.length; i += 4096) text += String.fromCharCode(...data.subarray(i, i + 4096));
          return [width, height, btoa(text)];""")
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4).astype(int)

    def screen(self) -> np.ndarray:
        """Return the page as it is seen: [H, W, 3]."""
        with Image.open(io.BytesIO(self.browser.screenshot())) as image:
            return np.asarray(image.convert("RGB")).astype(int)

    def centre(self) -> tuple[float, float]:
        """Return the middle of the viewer on the page."""
        x, y = self.run("const b = viewer.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]")
        return x, y

    def drag(self, right: float, down: float) -> None:
        """Press in the middle, move in ten steps and let go."""
        x, y = self.centre()

        def send(kind: str, share: float) -> None:
            where = {"x": x + share * right, "y": y + share * down}
            self.browser.command("Input.dispatchMouseEvent", type=kind, button="left", buttons=1, clickCount=1, **where)

        send("mousePressed", 0)
        for step in range(1, 11):
            send("mouseMoved", step / 10)
        time.sleep(0.1)  # The pointer rests before it is let go, so that nothing is thrown.
        send("mouseReleased", 1)

    def touch(self, *ways: tuple[tuple[float, float], tuple[float, float]]) -> None:
        """Move a finger along each way, from and to places that are counted from the middle, and lift them."""
        x, y = self.centre()
        for step in range(11):
            points = [
                {"x": x + a + (c - a) * step / 10, "y": y + b + (d - b) * step / 10, "id": number}
                for number, ((a, b), (c, d)) in enumerate(ways)
            ]
            kind = "touchMove" if step else "touchStart"
            self.browser.command("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        time.sleep(0.1)
        self.browser.command("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


def changed(one: np.ndarray, other: np.ndarray) -> float:
    """Return the share of pixels that clearly differ."""
    return float((np.abs(one - other).max(-1) > 32).mean())
