"""A bundle plays as a video: the object of each frame is rendered, and composited over its background."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from nerfsem_method import desk
from nerfsem_method.background.pictures import pictures_of
from nerfsem_method.codec import nsem
from nerfsem_method.codec.tints import exposed
from nerfsem_method.errors import NerfsemError
from nerfsem_method.playback.residual import Residual
from nerfsem_method.playback.viewpoint import Viewpoint, colors_around
from nerfsem_method.raycast.caster import Raycaster
from nerfsem_method.raycast.filtering import filtered
from nerfsem_method.scene.camera import Intrinsics

if TYPE_CHECKING:
    from nerfsem_method.playback.torch_renderer import TorchRenderer

WHITE = (255, 255, 255)


class Player:
    """A player renders the frames of a decoded bundle.

    `device` is "cpu" (numba, torch is not needed), "cuda" (torch) or "auto": CUDA where torch finds it. Raises NerfsemError when
    "cuda" is asked for and not there.
    """

    def __init__(self, bundle: nsem.Bundle, device: str = "auto") -> None:
        self.bundle = bundle
        self._colors = bundle.colors
        if device == "cuda":
            from nerfsem_method.training.backend import insist_on_cuda

            insist_on_cuda()
        if device == "cuda" or (device == "auto" and _finds_cuda()):
            from nerfsem_method.playback.torch_renderer import TorchRenderer

            self._renderer = TorchRenderer(bundle.state, bundle.camera, "cuda")
        else:
            self._renderer = Raycaster(bundle.state, bundle.camera)
        self._other_camera, self._other_renderer = bundle.camera, self._renderer
        self._residual = Residual(bundle)

    def premultiplied(self, index: int) -> np.ndarray:
        """Return frame `index` of the object alone: float32 [H, W, 4] in [0, 1], colour weighted by alpha."""
        picture = self._through(self.bundle.camera_of(index)).picture(self.bundle.poses[index])
        picture = exposed(picture, self._colors[index])
        if self.bundle.filter is not None:
            picture = filtered(picture, *self.bundle.filter.layers)
        return self._residual.added(picture, index)

    def seen(self, view: Viewpoint) -> np.ndarray:
        """Return the object alone from anywhere: float32 [H, W, 4] in [0, 1], colour weighted by alpha.

        Its exposure is that of the frames around. The bundle's filter and residual are left out: they know the clip's own pixels
        alone.
        """
        picture = self._through(view.camera).picture(np.asarray(view.pose, np.float64))
        return exposed(picture, colors_around(self.bundle, view.pose))

    def _through(self, camera: Intrinsics) -> Raycaster | TorchRenderer:
        """Return a renderer that sees through a camera; the clip's and one other are kept: pictures in a row often share one."""
        if camera == self.bundle.camera:
            return self._renderer
        if camera != self._other_camera:
            self._other_camera, self._other_renderer = camera, self._renderer.through(camera)
        return self._other_renderer

    def frame(self, index: int) -> np.ndarray:
        """Return frame `index` of the object alone: uint8 [H, W, 4], straight alpha."""
        return straight(self.premultiplied(index))

    def composited(self, index: int, background: np.ndarray | tuple[int, int, int]) -> np.ndarray:
        """Return I = C + (1 - A) B (method, section 6): uint8 [H, W, 3] over a picture uint8 [H, W, 3] or a colour."""
        return over(self.premultiplied(index), background)

    def frames(
        self, mode: str, color: tuple[int, int, int] = WHITE, start: int = 0, stop: int | None = None
    ) -> Iterator[np.ndarray]:
        """Yield decoded frames start ... stop - 1, uint8 [H, W, 3]: over `color` ("fp") or over the background layer ("pc").

        Raises NerfsemError when "pc" is asked of a bundle without background.
        """
        stop = self.bundle.video.frames if stop is None else stop
        if mode == "fp":
            grounds = (color for _ in range(start, stop))
        elif self.bundle.background is None:
            raise NerfsemError("the bundle holds no background; decode it with --mode fp")
        else:
            grounds = islice(pictures_of(self.bundle), start, stop)
        for index, ground in zip(range(start, stop), grounds, strict=True):
            yield self.composited(index, ground)


def straight(rgba: np.ndarray) -> np.ndarray:
    """Return uint8 [H, W, 4] with straight alpha of premultiplied float32 [H, W, 4]."""
    alpha = rgba[..., 3:]
    color = np.where(alpha > 0, rgba[..., :3] / np.maximum(alpha, 1e-6), 0)
    return _to_bytes(np.concatenate([color, alpha], -1))


def over(rgba: np.ndarray, background: np.ndarray | tuple[int, int, int]) -> np.ndarray:
    """Return I = C + (1 - A) B, uint8 [H, W, 3], of premultiplied float32 [H, W, 4] and a picture or colour in bytes."""
    ground = np.asarray(background, np.float32) / 255
    return _to_bytes(rgba[..., :3] + (1 - rgba[..., 3:]) * ground)


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _finds_cuda() -> bool:
    if not desk.may_have_cuda():
        return False
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()
