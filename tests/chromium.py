"""A headless Chromium is driven over a pipe by its DevTools protocol, without any package."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

PROGRAM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
]  # fmt: skip


class PageError(Exception):
    """A script in the page threw, or the browser refused a command."""


class Chromium:
    """A browser has one page at a time; `profile` is a new folder for its settings."""

    def __init__(self, profile: Path) -> None:
        assert PROGRAM is not None
        their_end, self._to = os.pipe()
        self._from, their_start = os.pipe()

        def connect() -> None:
            # The protocol has fixed descriptors; copies far away come first, lest one overwrite the other.
            os.dup2(os.dup2(their_end, 100), 3)
            os.dup2(os.dup2(their_start, 101), 4)

        self._process = subprocess.Popen(
            [PROGRAM, *FLAGS, f"--user-data-dir={profile}", "about:blank"], preexec_fn=connect, pass_fds=(3, 4),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(their_end)
        os.close(their_start)
        self._buffer, self._number = b"", 0
        self._target: str | None = None
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []

    def close(self) -> None:
        """End the browser with all its processes."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command to the page, or to the browser while there is none, and return the answer. Raises PageError."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise PageError(answer["error"])
                return answer["result"]
            self.events.append(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            read = os.read(self._from, 1 << 16)
            if not read:
                raise PageError("the browser has gone")
            self._buffer += read
        text, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(text)

    def open(self, url: str, width: int = 800, height: int = 800) -> None:
        """Open a page of a size, in place of the last one, and wait until it is loaded."""
        self._session, last = None, self._target
        self._target = self.command("Target.createTarget", url="about:blank")["targetId"]
        if last is not None:
            self.command("Target.closeTarget", targetId=last)
        self._session = self.command("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        self.command("Page.enable")
        self.command("Runtime.enable")
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.events.clear()
        self.command("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())

    def run(self, script: str) -> Any:
        """Return the value of a script's last expression; promises are waited for. Raises PageError with what it throws."""
        answer = self.command(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True, timeout=120_000
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def screenshot(self) -> bytes:
        """Return a PNG file of the page."""
        return base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"])
