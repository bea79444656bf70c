"""The page of `nerfsem view` shows the object where the visitor's camera stands."""

import base64
import io
import json
import shutil
import subprocess
import time
import urllib.request
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tiny_field import opaque_bundle

from nerfsem_method.playback.player import Player
from nerfsem_method.scene.camera import camera_centres
from nerfsem_method.viewer.server import ViewerServer, field_of_view, quaternion, rotation_of, viewpoint_of


@pytest.fixture(scope="module")
def bundle():
    return opaque_bundle()


def test_quaternions_are_those_of_the_rotation(bundle):
    for pose in bundle.poses:
        np.testing.assert_allclose(rotation_of(quaternion(pose[:, :3])), pose[:, :3], atol=1e-12)


@pytest.mark.parametrize("zoom", [1, 1.5])
def test_a_visitor_where_a_frame_was_taken_sees_the_frame(bundle, zoom):
    bundle = replace(bundle, zooms=np.array([1, 1, 1, zoom, 1, 1, 1, 1]))
    pose, camera = bundle.poses[3], bundle.camera_of(3)
    where = camera_centres(pose[None])[0] - 0.5, quaternion(pose[:, :3].T)
    view = viewpoint_of(*where, field_of_view(camera), camera.width / camera.height, camera.height)
    seen = Player(bundle, "cpu").seen(view)
    np.testing.assert_allclose(seen, Player(bundle, "cpu").premultiplied(3), atol=2e-2)


def test_a_visitor_who_goes_very_far_away_still_sees_the_ground(bundle):
    view = viewpoint_of(np.array([0.0, 0.0, -1e7]), np.array([1.0, 0.0, 0.0, 0.0]), 1.0, 1.0, 6)
    assert not Player(bundle, "cpu").seen(view).any()


CHROMIUM = next((name for name in ("chromium", "chromium-browser", "google-chrome") if shutil.which(name)), None)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is here to look at the page")
def test_the_page_shows_panel_and_object(bundle, tmp_path):
    server = ViewerServer(bundle, "tiny relic", "cpu", port=7311)
    options = ["--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    port = tmp_path / "DevToolsActivePort"
    command = [str(CHROMIUM), *options, "--window-size=900,600", f"--user-data-dir={tmp_path}", "--remote-debugging-port=0"]
    page = subprocess.Popen([*command, f"http://localhost:{server.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        picture = None
        for _ in range(120):
            time.sleep(0.5)
            if port.exists() and (picture := screenshot(port.read_text().split()[0])) is not None and dark(picture[:, :450]):
                break
        assert picture is not None and dark(picture[:, :450])  # the object stands in the middle,
        assert np.ptp(picture[20:120, 560:860].astype(int)) > 100  # the panel on the right
    finally:
        page.kill()
        page.wait()
        server.stop()


def dark(picture: np.ndarray) -> bool:
    """Return whether more is there than the mark of the axes, on white."""
    return (picture.min(2) < 200).mean() > 0.02


def screenshot(port: str) -> np.ndarray | None:
    """Return what the first page of a browser shows, None while there is none."""
    from websockets.sync.client import connect

    with urllib.request.urlopen(f"http://localhost:{port}/json") as answer:
        pages = [each for each in json.load(answer) if each["type"] == "page"]
    if not pages:
        return None
    with connect(pages[0]["webSocketDebuggerUrl"], max_size=None) as socket:
        socket.send(json.dumps({"id": 1, "method": "Page.captureScreenshot"}))
        while (said := json.loads(socket.recv(timeout=60))).get("id") != 1:
            pass
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(said["result"]["data"]))).convert("RGB"))
