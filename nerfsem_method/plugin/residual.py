"""A size that the field does not use up, or a quality that it does not reach, is met by a residual, what it leaves of frames."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from nerfsem_method.background.fitting import fitted, larger
from nerfsem_method.background.streams import CODECS, FASTEST
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
from nerfsem_method.scene.camera import shown_part
from nerfsem_method.scene.scene import Scene
from nerfsem_method.training.goal import PSNR_TOLERANCE, SIZE_TOLERANCE, Goal

ENCODER = {**CODECS["av1"][1], "format": CODECS["av1"][0], "preset": 6, "threads": 1}
"""The encoder is that of backgrounds with a faster preset: preset 3 gives no better residuals (docs/decisions/028)."""
CRF, SPAN = 57, (8, 63)
"""The search begins at the first crf, and keeps within the span."""
LARGER, SHARPER = 0.2, 0.12
"""One crf less makes a residual larger by about this share, and its frames better by so many dB; it only says where to look
next."""
ROUNDLY = 0.95
"""A residual is taken that misses its share of a size by so much of what is tolerated: its section takes some bytes, too."""
NEAR_PSNR = 0.1
"""A residual that falls short of the wanted PSNR by no more dB is taken."""


def with_residual(bundle: Bundle, scene: Scene, goal: Goal | None) -> Bundle:
    """Return a finished bundle with a residual, where its FP part misses the goal by more than is tolerated, and one helps.

    There is none without a goal, nor in a scene that was made of a bundle and has no frames. The residual has an AV1 picture for
    each frame, which holds what is left of the object over white. A PSNR is that of some frames.

    Raises CaptureError when a frame of the scene is missing, OutputError when there is no place for the frames.
    """
    if goal is None or scene.bundle is not None:
        return bundle
    plain = replace(bundle, background=None)
    if goal.size is not None:
        missing, tolerated = goal.size - len(nsem.encode(plain)), SIZE_TOLERANCE * goal.size
        if missing <= tolerated:
            return bundle
        beyond = larger(missing, LARGER)

        def too_large(stream: bytes) -> float:
            return 0.0 if abs(len(stream) - missing) <= ROUNDLY * tolerated else beyond(stream)

        stream = _stream(plain, scene, too_large, 0.0)
        if len(stream) > missing + tolerated:
            stream = b""
    else:
        wanted = goal.psnr
        assert wanted is not None

        def excess(stream: bytes) -> float:
            return (_psnr(scene, replace(plain, residual=stream or None)) - wanted) / SHARPER

        short = -excess(b"")
        if short * SHARPER <= PSNR_TOLERANCE / 2:
            return bundle
        stream = _stream(plain, scene, excess, NEAR_PSNR / SHARPER)
        if excess(stream) > short:  # Even the coarsest leads farther beyond the goal than the field stays behind.
            stream = b""
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
        player = Player(bundle)
        with gzip.open(folder / "pictures", "wb", compresslevel=1) as file:  # They are empty but for the object.
            for index in track(range(video.frames), "what the field leaves", video.frames):
                file.write(_left(player, scene, index).tobytes())

        def encode(crf: int) -> bytes:
            path = folder / "stream"
            pictures = _pictures(folder / "pictures", (video.height, video.width, 3))
            frames = track(pictures, f"residual, crf {crf}", video.frames)
            encode_file(path, frames, rate, {**ENCODER, "crf": crf, "g": video.frames})
            return path.read_bytes()

        try:
            return fitted(encode, excess, CRF, SPAN, near)
        except StreamError as error:
            LOG.info("residual: not coded (%s)", error)
            return b""


def _pictures(path: Path, shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
    """Yield the pictures of such a shape, uint8, that a compressed file holds one after the other."""
    with gzip.open(path) as file:
        while data := file.read(math.prod(shape)):
            yield np.frombuffer(data, np.uint8).reshape(shape)


def _left(player: Player, scene: Scene, index: int) -> np.ndarray:
    """Return the residual's picture of a frame, see `codec.residual`.

    There is no difference where the field shows nothing, nor outside of the frame's window, where its picture is made up.
    """
    frame = scene.frames[index]
    source = read_picture(scene.root / frame.image)[..., ::-1]
    wanted = masked_reference(source, read_picture(scene.matte_path(index), grey=True)).astype(np.float32)
    shown = player.premultiplied(index)
    alpha, left, part = shown[..., 3:], np.zeros_like(wanted), shown_part(frame.window, *source.shape[1::-1])
    left[part] = wanted[part] - 255 * np.clip(shown[..., :3] + 1 - alpha, 0, 1)[part]
    return picture_of(np.where(alpha > 0, left, 0))
