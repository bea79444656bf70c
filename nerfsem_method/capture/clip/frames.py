"""This module turns a clip into PNG frames, each sound picture once, and keeps beside them what was found on the way."""

from __future__ import annotations

import json
import re
import shutil
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.alpha import constant
from nerfsem_method.media.clip.clip import Clip, Findings
from nerfsem_method.media.pictures import write_picture

Advance = Callable[[int, int], None]
"""A stage tells its progress by calling one of these with (done, total)."""

MIN_FRAMES = 8
"""Fewer frames than this do not go around an object."""
FINDINGS = "clip.json"
"""What reading a clip has brought to light is kept in this file beside its frames."""
ALPHA = "alpha"
"""The mattes that a clip's own alpha channel holds lie in this folder beside its frames."""
SQUASHED = 0.03
"""A scaled picture's width and height may differ by so much in their scale: sizes are rounded."""
WHOLE = 0.97
"""Alpha that leaves out a smaller part of every frame than what is missing here shows a frame, and no object."""
_WRITERS, _QUEUE = 2, 6
"""So many threads write files, and so many pictures wait for them at most: those of a 4K clip take 25 MB each."""


def parse_scale(scale: str, shown: tuple[int, int]) -> tuple[int, int]:
    """Return the (width, height) that "W:H" names, for pictures of the size `shown`.

    Raises CaptureError for anything else, and for a size into which they would have to be squashed.
    """
    match = re.fullmatch(r"(\d+):(\d+)", scale)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if min(size) < 16:
        raise CaptureError(f"--scale {scale} is not a frame size; give W:H in pixels, for example 270:480")
    across, down = size[0] / shown[0], size[1] / shown[1]
    if abs(across / down - 1) > SQUASHED:
        factor = (across * down) ** 0.5
        fitting = f"{round(factor * shown[0])}:{round(factor * shown[1])}"
        raise CaptureError(f"--scale {scale} would squash pictures of {shown[0]}x{shown[1]}; give their shape, as in {fitting}")
    return size


def extract(clip: Clip, target: Path, size: tuple[int, int], advance: Advance) -> list[Path]:
    """Write every sound frame to `target`/000000.png ... at `size` (area average down, Lanczos up), and return the files.

    FINDINGS and, where the pictures have an alpha channel that says something, ALPHA lie beside them. Raises CaptureError when
    the clip cannot be read or has fewer sound frames than MIN_FRAMES.
    """
    findings, written = Findings(), 0
    opaque: list[int] = []
    alpha_varies, least = False, 1.0
    (target / ALPHA).mkdir()
    with _Writers() as writers:
        for written, frame in enumerate(clip.frames(size, findings), 1):
            name = f"{written - 1:06d}.png"
            writers.write(target / name, frame.rgb)
            if frame.alpha is None:
                opaque.append(frame.number)
            else:
                writers.write(target / ALPHA / name, frame.alpha)
                alpha_varies = alpha_varies or not constant(frame.alpha)
                least = min(least, float((frame.alpha > 127).mean()))
            advance(written, clip.announced)
    if opaque or not alpha_varies or least > WHOLE:
        shutil.rmtree(target / ALPHA)
    if opaque and alpha_varies:
        findings.remarks.append(
            f"{findings.naming.of(opaque)} {'has' if len(opaque) == 1 else 'have'} no alpha channel, so that those of the others "
            "are no mattes: cut the object out of all of them, or give --mattes"
        )
    elif alpha_varies and least > WHOLE:
        findings.remarks.append("the pictures' alpha channel leaves out next to nothing, such as corners; it is not heeded")
    if written < MIN_FRAMES:
        thinned = [f"leave --every {clip.every} out, or take a smaller number"] if clip.every > 1 else []
        found = "".join(f"; {remark}" for remark in [*thinned, *findings.remarks])
        raise CaptureError(
            f"{clip.name} is a {written}-frame clip; at least {MIN_FRAMES} frames around the object are needed{found}"
        )
    (target / FINDINGS).write_text(json.dumps(asdict(findings), indent=1))
    return sorted(target.glob("*.png"))


def read_findings(folder: Path) -> Findings:
    """Return what `extract` has found out about the clip whose frames lie in a folder."""
    data = json.loads((folder / FINDINGS).read_text())
    return Findings(**{**data, "damaged": {int(number): reason for number, reason in data["damaged"].items()}})


class _Writers:
    """Writers put pictures into PNG files while the next ones are decoded."""

    def __enter__(self) -> _Writers:
        self._pool = ThreadPoolExecutor(_WRITERS)
        self._waiting: deque[Future[None]] = deque()
        return self

    def write(self, path: Path, picture: np.ndarray) -> None:
        """Write RGB [H, W, 3] or grey [H, W], uint8. Raises OSError when the disk refuses this picture or an earlier one."""
        self._waiting.append(self._pool.submit(_write_png, path, picture))
        if len(self._waiting) > _QUEUE:
            self._waiting.popleft().result()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)
        if kind is None:
            for written in self._waiting:
                written.result()


def _write_png(path: Path, picture: np.ndarray) -> None:
    import cv2

    write_picture(path, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.ndim == 3 else picture)
