"""Renderings are delivered as files that other programs take: stills, mp4, and WebM or ProRes, which keep transparency."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from nerfsem_method.errors import OutputError
from nerfsem_method.files import replacing
from nerfsem_method.media.video import StreamError, check_video, encode_file, seal, write_png_folder, write_video
from nerfsem_method.outputs import PNG_MARK, check_png, check_png_folder

_BT709 = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709", "color_range": "tv"}
_WEBM = {"format": "webm", "vcodec": "libvpx-vp9", "crf": 18, "b:v": 0, "row-mt": 1}
_PRORES = {"format": "mov", "vcodec": "prores_ks", "vendor": "apl0"}
FORMATS: dict[tuple[str, bool], dict[str, Any]] = {
    (".webm", False): {**_WEBM, "pix_fmt": "yuv420p"},
    (".webm", True): {**_WEBM, "pix_fmt": "yuva420p", "auto-alt-ref": 0},
    (".mov", False): {**_PRORES, "profile:v": "hq", "pix_fmt": "yuv422p10le"},
    (".mov", True): {**_PRORES, "profile:v": "4444", "pix_fmt": "yuva444p10le", "alpha_bits": 16},
}
"""ffmpeg's options for a file name's ending, without and with transparency."""
KINDS = (".png", ".mp4", *dict.fromkeys(ending for ending, _ in FORMATS))


def kind_of(path: Path) -> str:
    """Return the ending that says how to write a file, "" for a folder of PNG frames. Raises OutputError for any other."""
    ending = path.suffix.lower()
    if path.is_dir() or not ending:
        return ""
    if ending not in KINDS:
        raise OutputError(f"{path} is none of {', '.join(KINDS)} or a folder; name one of these")
    return ending


def check(path: Path, transparent: bool) -> None:
    """Make sure, before long work, that a rendering can be written; it may replace one of ours alone. Raises OutputError."""
    kind = kind_of(path)
    if kind == ".mp4" and transparent:
        raise OutputError(f"{path} cannot be transparent; name a .webm, a .mov, a .png or a folder")
    (check_png_folder if not kind else check_png if kind == ".png" else check_video)(path)


def deliver(path: Path, frames: Iterable[np.ndarray], rate: Fraction) -> int:
    """Write frames uint8 [H, W, 3 or 4] (straight alpha) and return their number; a still takes the first alone.

    Raises OutputError when the file cannot be written or ffmpeg fails.
    """
    kind = kind_of(path)
    if not kind:
        return write_png_folder(path, frames)
    if kind == ".mp4":
        return write_video(path, frames, rate)
    frames = iter(frames)
    first = next(frames)
    check(path, first.shape[2] == 4)
    with replacing(path) as partial:
        if kind == ".png":
            from PIL import Image, PngImagePlugin

            mark = PngImagePlugin.PngInfo()
            mark.add_text(*PNG_MARK)
            Image.fromarray(first).save(partial, "png", pnginfo=mark)
            return 1
        try:
            count = encode_file(partial, _all(first, frames), rate, {**FORMATS[kind, first.shape[2] == 4], **_BT709})
        except StreamError as error:
            raise OutputError(f"cannot write {path}: {error}") from None
        seal(partial, path)
        return count


def _all(first: np.ndarray, others: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from others
