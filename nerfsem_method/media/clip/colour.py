"""This module knows what the numbers of videos and photographs mean as colours, and which no later stage understands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nerfsem_method.errors import CaptureError

_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
"""These transfer characteristics (ISO/IEC 23091-2, table 3) are of high dynamic range, which no later stage understands."""
_UNSPECIFIED_TRANSFERS = (0, 2, 3)
_HDR_SIDE_DATA = {"DYNAMIC_HDR_PLUS": "HDR10+", "DYNAMIC_HDR_VIVID": "HDR Vivid"}
_HDR_HINTS = {"MASTERING_DISPLAY_METADATA": "HDR10", "DOVI_RPU_BUFFER": "Dolby Vision", "DOVI_METADATA": "Dolby Vision"}
"""These side data accompany high dynamic range, unless the transfer is named as one of standard range."""
_HDR_WORDS = {"DOVI configuration": "Dolby Vision", "Mastering Display": "HDR10"}
"""So ffmpeg's description of a stream names the same."""
_RGB, _UNSPECIFIED, _RESERVED = 0, 2, 3
_READABLE = (1, 4, 5, 6, 7, 9, 10)
"""ffmpeg's scaler knows these matrix coefficients (ISO/IEC 23091-2, table 4)."""
_WIDE_PRIMARIES = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
HD_LONG_SIDE, HD_SHORT_SIDE = 1280, 720
"""A picture with a side so long is high definition: players then take BT.709 where nothing is said, and BT.601 otherwise. Long
and short are asked for, not width and height, because a camera may have been held upright."""
_HEAD = 1 << 16
"""What a file says of its colours lies in so many bytes at its beginning."""


def high_dynamic_range(transfers: Iterable[int], side_data: Iterable[str], description: str) -> str:
    """Return the name of the high dynamic range that stream, container or frame tell of, "" for standard range.

    `transfers` are all the transfer characteristics that are named anywhere; `side_data` the kinds that a frame carries;
    `description` is ffmpeg's of the stream.
    """
    transfers, side_data = list(transfers), list(side_data)
    named = [_HDR_TRANSFERS[transfer] for transfer in transfers if transfer in _HDR_TRANSFERS]
    named += [_HDR_SIDE_DATA[kind] for kind in side_data if kind in _HDR_SIDE_DATA]
    if all(transfer in _UNSPECIFIED_TRANSFERS for transfer in transfers):
        named += [_HDR_HINTS[kind] for kind in side_data if kind in _HDR_HINTS]
        named += [name for words, name in _HDR_WORDS.items() if words in description]
    return named[0] if named else ""


def refuse_high_range(path: Path, kind: str) -> CaptureError:
    """Return the error for a video of high dynamic range, with the command that converts it."""
    curve, light = ("arib-std-b67", 203) if kind == "HLG" else ("smpte2084", 100)
    steps = (
        f"zscale=tin={curve}:min=bt2020nc:pin=bt2020:t=linear:npl={light},format=gbrpf32le,zscale=p=bt709,"
        "tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
    )
    if kind == "Dolby Vision":  # Its colours may be in a space of its own, which only this filter knows.
        steps = "libplacebo=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv,format=yuv420p"
    return CaptureError(
        f"{path} is high dynamic range ({kind}); convert it to standard range (BT.709) first: {conversion(path, steps)}"
    )


def conversion(path: Path, filters: str) -> str:
    """Return the command of ffmpeg's that sends a video through `filters` and loses next to nothing otherwise."""
    target = path.with_name(f"{path.stem}-converted.mp4")
    # A name that begins with a dash is an option to ffmpeg, and one with a colon a protocol.
    name, made = (shlex.quote(str(file) if file.is_absolute() else f"./{file}") for file in (path, target))
    return f"ffmpeg -i {name} -map 0:V:0 -vf '{filters}' -c:v libx264 -crf 14 {made}"


def matrix_option(frame: Any, size: tuple[int, int], path: Path) -> str:
    """Return what ffmpeg's scale filter must be told of a decoded frame's colours beyond what the frame tells itself.

    `size` is the picture's width and height as shown. Raises CaptureError for a matrix that ffmpeg's scaler does not know.
    """
    if frame.format.is_rgb or frame.format.has_palette or len(frame.format.components) < 3:
        return ""
    matrix = int(frame.colorspace)
    if matrix in (_UNSPECIFIED, _RGB, _RESERVED):
        high = max(size) >= HD_LONG_SIDE or min(size) >= HD_SHORT_SIDE
        return ":in_color_matrix=bt709" if high else ":in_color_matrix=bt601"
    if matrix not in _READABLE:
        command = conversion(path, "zscale=m=709:r=tv,format=yuv420p")
        raise CaptureError(f"{path} has colours of a matrix that cannot be read (number {matrix}); convert it first: {command}")
    return ""


def wide_gamut(frame: Any) -> str:
    """Return the name of the wide primaries that a frame is tagged with, "" for common ones; they are taken as they are."""
    return _WIDE_PRIMARIES.get(int(frame.color_primaries), "")


def stream_description(whole: str, index: int) -> str:
    """Return the part of ffmpeg's description of a file that is about one stream."""
    parts = re.split(r"\n  Stream #", whole)
    return next((part for part in parts[1:] if part.split(":", 1)[1].startswith(str(index))), "")


def read_transfer(path: Path) -> int | None:
    """Return the transfer characteristics (ISO/IEC 23091-2) that a HEIC, AVIF or PNG file names; None where it names none.

    It stands in a box `colr` of the kind `nclx`, or in a chunk `cICP` before the pixels. Raises OSError.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if (at := head.find(b"colrnclx")) >= 0:
        return int.from_bytes(head[at + 10 : at + 12], "big")
    chunks = head.partition(b"IDAT")[0] if head.startswith(b"\x89PNG") else b""
    return chunks[at + 5] if 0 <= (at := chunks.find(b"cICP")) < len(chunks) - 5 else None
