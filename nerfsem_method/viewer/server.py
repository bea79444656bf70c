"""A server shows a bundle's object to all who open its address; each visitor has a camera and pictures of their own."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import viser

from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.playback.player import Player, over
from nerfsem_method.playback.viewpoint import FARTHEST, MIDDLE, Viewpoint, of_frame
from nerfsem_method.scene.camera import Intrinsics, camera_centres

HEIGHT, MOVING_HEIGHT = 720, 240
"""A picture has so many rows when the camera rests, unless the visitor asks for others, and so many while it moves."""
WIDEST = 4.0
"""No window is taken for wider than this: a picture of it would take for ever."""
REST = 0.15
"""A camera that has not moved for so many seconds rests."""
FRUSTUM = 0.06
"""The clip's cameras are drawn so large, in edges of the unit cube."""
GROUNDS = {"white": (255, 255, 255), "grey": (127, 127, 127), "black": (0, 0, 0)}
WHITE = "white"


class ViewerServer:
    """A viewer server serves a bundle at `port` until it is stopped; with port 0, or one in use, it takes a free one."""

    def __init__(self, bundle: Bundle, title: str, device: str = "auto", host: str = "127.0.0.1", port: int = 7007) -> None:
        self._bundle, self._player = bundle, Player(bundle, device)
        self._turns = threading.Lock()  # pictures are made one after the other: each takes all cores
        self.picture(of_frame(bundle, 0, (8, 8)), GROUNDS[WHITE])  # no visitor waits for what the first picture compiles
        self._server = viser.ViserServer(host=host, port=port, label=title, verbose=False)
        self._server.scene.set_up_direction("+z")
        self._cameras = self._draw_cameras()
        self._title = title
        self._server.on_client_connect(self._receive)

    @property
    def port(self) -> int:
        """Return the port at which the page is served."""
        return self._server.get_port()

    def _receive(self, client: Any) -> None:
        _Visit(self._bundle, self.picture, client, self._cameras, self._title)

    def stop(self) -> None:
        """End the service."""
        self._server.stop()

    def picture(self, view: Viewpoint, ground: tuple[int, int, int]) -> np.ndarray:
        """Return what a viewpoint shows over a colour, uint8 [H, W, 3]."""
        with self._turns:
            return over(self._player.seen(view), ground)

    def _draw_cameras(self) -> list[Any]:
        """Draw the clip's cameras, hidden at first, and return their handles."""
        aspect = self._bundle.camera.width / self._bundle.camera.height
        drawn = []
        for index, pose in enumerate(self._bundle.poses):
            fov = field_of_view(self._bundle.camera_of(index))
            handle = self._server.scene.add_camera_frustum(
                f"/cameras/{index}", fov=fov, aspect=aspect, scale=FRUSTUM, wxyz=quaternion(pose[:, :3].T),
                position=camera_centres(pose[None])[0] - MIDDLE, visible=False,
            )  # fmt: skip
            drawn.append(handle)
        return drawn


class _Visit:
    """A visit is one open page: its controls, its camera, and the thread that makes its pictures."""

    def __init__(self, bundle: Bundle, picture: Any, client: Any, cameras: list[Any], title: str) -> None:
        self._bundle, self._picture, self._client, self._cameras = bundle, picture, client, cameras
        self._changed = threading.Event()
        self._add_controls(title)
        self._stand_at(0)
        client.camera.on_update(lambda _: self._changed.set())
        self._changed.set()
        threading.Thread(target=self._serve, name="nerfsem-visit", daemon=True).start()

    def _add_controls(self, title: str) -> None:
        gui, video = self._client.gui, self._bundle.video
        gui.add_markdown(f"**{title}**\n\n{video.frames} frames of {video.width} x {video.height}")
        stand = gui.add_slider("Stand at frame", min=0, max=video.frames - 1, step=1, initial_value=0)
        stand.on_update(lambda _: self._stand_at(int(stand.value)))
        self._ground = gui.add_dropdown("Ground", tuple(GROUNDS), initial_value=WHITE)
        self._height = gui.add_slider("Rows of pixels", min=MOVING_HEIGHT, max=2160, step=120, initial_value=HEIGHT)
        shown = gui.add_checkbox("Cameras of the clip", initial_value=False)
        for control in (self._ground, self._height):
            control.on_update(lambda _: self._changed.set())
        shown.on_update(lambda _: self._show_cameras(shown.value))

    def _show_cameras(self, visible: bool) -> None:
        for camera in self._cameras:
            camera.visible = visible

    def _stand_at(self, index: int) -> None:
        """Move the visitor to where a frame was taken."""
        pose, camera = self._bundle.poses[index], self._client.camera
        with self._client.atomic():
            camera.wxyz = quaternion(pose[:, :3].T)
            camera.position = camera_centres(pose[None])[0] - MIDDLE
            camera.look_at = np.zeros(3)
            camera.fov = field_of_view(self._bundle.camera_of(index))

    def _serve(self) -> None:
        """Send a quick picture when the camera has moved, and a good one when it rests."""
        try:
            while True:
                self._changed.wait()
                self._changed.clear()
                self._send(MOVING_HEIGHT)
                if not self._changed.wait(REST):
                    self._send(int(self._height.value))
        except (AssertionError, KeyError, RuntimeError):
            return  # the visitor has left; viser has no other word for it

    def _send(self, height: int) -> None:
        camera = self._client.camera
        view = viewpoint_of(camera.position, camera.wxyz, camera.fov, camera.aspect, height)
        ground = GROUNDS.get(self._ground.value, GROUNDS[WHITE])
        self._client.scene.set_background_image(self._picture(view, ground), format="jpeg", jpeg_quality=90)


def viewpoint_of(position: np.ndarray, wxyz: np.ndarray, fov: float, aspect: float, height: int) -> Viewpoint:
    """Return a camera of viser's world, whose origin is the cube's middle: OpenCV axes, vertical field of view in radians."""
    width = max(round(height * min(aspect, WIDEST)), 1)
    focal = float(height / (2 * np.tan(fov / 2)))
    rotation = rotation_of(np.asarray(wxyz, np.float64)).T
    position = np.clip(np.asarray(position, np.float64), -FARTHEST / 2, FARTHEST / 2)  # a visitor may zoom out for ever
    pose = np.column_stack([rotation, -rotation @ (position + MIDDLE)])
    return Viewpoint(Intrinsics(width, height, focal, focal, width / 2, height / 2), pose)


def field_of_view(camera: Intrinsics) -> float:
    """Return a camera's vertical field of view in radians."""
    return float(2 * np.arctan(camera.height / (2 * camera.fy)))


def rotation_of(wxyz: np.ndarray) -> np.ndarray:
    """Return the rotation matrix [3, 3] of a unit quaternion (w, x, y, z)."""
    w, x, y, z = wxyz / np.linalg.norm(wxyz)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """Return the unit quaternion (w, x, y, z) of a rotation matrix [3, 3]: the eigenvector of Bar-Itzhack (2000)."""
    xx, xy, xz, yx, yy, yz, zx, zy, zz = rotation.ravel()
    symmetric = np.array([
        [xx + yy + zz, zy - yz, xz - zx, yx - xy],
        [zy - yz, xx - yy - zz, yx + xy, xz + zx],
        [xz - zx, yx + xy, yy - xx - zz, zy + yz],
        [yx - xy, xz + zx, zy + yz, zz - xx - yy],
    ])  # fmt: skip
    found = np.linalg.eigh(symmetric)[1][:, -1]
    return found if found[0] >= 0 else -found
