"""A bundle as a video: render the artefact of each frame, and composite it over its background."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch

from nerfsem_method.background import h264
from nerfsem_method.codec.bundle import Bundle
from nerfsem_method.errors import NerfsemError
from nerfsem_method.field.cameras import CameraPath
from nerfsem_method.field.radiance import RadianceField

RAYS = 1 << 14
"""Rays rendered at a time."""
WHITE = (255, 255, 255)


class Player:
    """Renders the frames of a decoded bundle."""

    def __init__(self, bundle: Bundle, device: str = "auto") -> None:
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.bundle = bundle
        self._field = RadianceField.from_state(bundle.state).to(device).eval()
        self._field.estimate_density()
        self._cameras = CameraPath(bundle.camera, bundle.poses, bundle.gains).to(device)
        self._pixels = self._cameras.frame_pixels()

    def premultiplied(self, index: int) -> np.ndarray:
        """Frame `index` of the artefact alone: float32 [H, W, 4] in [0, 1], colour weighted by alpha."""
        width, height = self._cameras.size
        with torch.no_grad():
            parts = [self._render(index, pixels) for pixels in self._pixels.split(RAYS)]
        return torch.cat(parts).view(height, width, 4).cpu().numpy()

    def _render(self, index: int, pixels: torch.Tensor) -> torch.Tensor:
        frames = torch.full((len(pixels),), index, device=pixels.device)
        rendering = self._field.render(*self._cameras.rays(frames, pixels))
        alpha = rendering.accumulation[:, None].clamp(0, 1)
        color = torch.minimum((rendering.color * self._cameras.gains[index]).clamp(min=0), alpha)
        return torch.cat([color, alpha], 1)

    def frame(self, index: int) -> np.ndarray:
        """Frame `index` of the artefact alone: uint8 [H, W, 4], straight alpha."""
        rgba = self.premultiplied(index)
        alpha = rgba[..., 3:]
        color = np.where(alpha > 0, rgba[..., :3] / np.maximum(alpha, 1e-6), 0)
        return _to_bytes(np.concatenate([color, alpha], -1))

    def composited(self, index: int, background: np.ndarray | tuple[int, int, int]) -> np.ndarray:
        """I = C + (1 - A) B (method, section 6): uint8 [H, W, 3] over a picture uint8 [H, W, 3] or a colour."""
        rgba = self.premultiplied(index)
        ground = np.asarray(background, np.float32) / 255
        return _to_bytes(rgba[..., :3] + (1 - rgba[..., 3:]) * ground)

    def frames(
        self, mode: str, color: tuple[int, int, int] = WHITE, start: int = 0, stop: int | None = None
    ) -> Iterator[np.ndarray]:
        """Decoded frames start ... stop - 1, uint8 [H, W, 3]: over `color` ("fp") or over the background layer ("pc").

        Raises NerfsemError when "pc" is asked of a bundle without background.
        """
        stop = self.bundle.video.frames if stop is None else stop
        if mode == "fp":
            grounds = (color for _ in range(start, stop))
        elif self.bundle.background is None:
            raise NerfsemError("the bundle holds no background; decode it with --mode fp")
        else:
            video = self.bundle.video
            plates = h264.decode(self.bundle.background.stream, video.width, video.height, video.frames)
            grounds = islice(plates, start, stop)
        for index, ground in zip(range(start, stop), grounds, strict=True):
            yield self.composited(index, ground)


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
