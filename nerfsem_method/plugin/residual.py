"""A size that the field does not use up, or a quality that it does not reach, is met by a residual, what it leaves of frames."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from nerfsem_method.background.fitting import fitted, larger
from nerfsem_method.background.streams import FASTEST
from nerfsem_method.codec import nsem
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.codec.residual import picture_of
from nerfsem_method.evaluation import gate
from nerfsem_method.evaluation.metrics import masked_reference
from nerfsem_method.files import scratch
from nerfsem_method.log import LOG
from nerfsem_method.media.pictures import read_picture
from nerfsem_method.media.video import StreamError, encode_file
from nerfsem_method.playback.player import Player
from nerfsem_method.progress import track
from nerfsem_method.scene.scene import Scene
from nerfsem_method.training.goal import PSNR_TOLERANCE, SIZE_TOLERANCE, Goal

ENCODER = {"format": "obu", "vcodec": "libsvtav1", "preset": 6, "svtav1-params": "tune=1:lp=1", "threads": 1}
"""The encoder is tuned for PSNR; slower presets give no better residuals (docs/decisions/028)."""
CRF, SPAN = 57, (8, 63)
"""The search begins at the first crf, and keeps within the span."""
LARGER, SHARPER = 0.2, 0.12
"""One crf less makes a residual larger by about this share, and its frames better by so many dB; it only says where to look
next."""
NEAR_PSNR = 0.1
"""A residual that falls short of the wanted PSNR by no more dB is taken."""


def with_residual(bundle: Bundle, scene: Scene, goal: Goal) -> Bundle:
    """Return a finished bundle with a residual, where its FP part misses the goal by more than is tolerated, and one helps.

    The residual has an AV1 picture for each frame, which holds what is left of the object over white. A PSNR is that of some
    frames.

    Raises CaptureError when a frame of the scene is missing, OutputError when there is no place for the frames.
    """
    plain = replace(bundle, background=None)
    if goal.size is not None:
        missing, tolerated = goal.size - len(nsem.encode(plain)), SIZE_TOLERANCE * goal.size
        if missing <= tolerated:
            return bundle
        near = -math.log(max(1 - tolerated / missing, 0.5)) / LARGER
        stream = _stream(plain, scene, larger(missing, LARGER), near)
        if len(stream) > missing + tolerated:
            stream = b""
    else:
        wanted = goal.psnr
        assert wanted is not None

        def excess(stream: bytes) -> float:
            return (_psnr(scene, replace(plain, residual=stream or None)) - wanted) / SHARPER

        if excess(b"") * SHARPER >= -PSNR_TOLERANCE / 2:
            return bundle
        stream = _stream(plain, scene, excess, NEAR_PSNR / SHARPER)
    LOG.info("residual: %d bytes", len(stream))
    return replace(bundle, residual=stream or None)


def _psnr(scene: Scene, bundle: Bundle) -> float:
    """Return PSNR-CENTER in dB of some frames; any is good enough where no matte shows an object."""
    found = gate.psnr_center(scene, bundle, gate.LOOKED_AT)
    return math.inf if found is None else found


def _stream(bundle: Bundle, scene: Scene, excess: Callable[[bytes], float], near: float) -> bytes:
    """Return the stream, of about the crf that is asked for by `fitted`, of what a bundle leaves; none if no encoder takes it."""
    video = bundle.video
    rate = min(video.rate, Fraction(FASTEST))
    with scratch("residual") as folder:
        pictures = np.lib.format.open_memmap(
            folder / "pictures.npy", "w+", np.uint8, (video.frames, video.height, video.width, 3)
        )
        player = Player(bundle)
        for index in track(range(video.frames), "what the field leaves", video.frames):
            pictures[index] = _left(player, scene, index)

        def encode(crf: int) -> bytes:
            path = folder / "stream"
            frames = track(pictures, f"residual, crf {crf}", video.frames)
            encode_file(path, frames, rate, {**ENCODER, "crf": crf, "g": video.frames})
            return path.read_bytes()

        try:
            return fitted(encode, excess, CRF, SPAN, near)
        except StreamError as error:
            LOG.info("residual: not coded (%s)", error)
            return b""


def _left(player: Player, scene: Scene, index: int) -> np.ndarray:
    """Return the residual's picture of a frame, see `codec.residual`: no difference where the field shows nothing."""
    source = read_picture(scene.root / scene.frames[index].image)[..., ::-1]
    wanted = masked_reference(source, read_picture(scene.matte_path(index), grey=True)).astype(np.float32)
    shown = player.premultiplied(index)
    alpha = shown[..., 3:]
    left = wanted - 255 * np.clip(shown[..., :3] + 1 - alpha, 0, 1)
    return picture_of(np.where(alpha > 0, left, 0))
