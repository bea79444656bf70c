"""Frames go to files and come back through ffmpeg; on our side they are RGB uint8 [H, W, 3], streamed one at a time.

Everything that this module writes and reads back is YUV 4:2:0, BT.709, limited range; a picture of odd width or height
gains a repeated last column or row, which reading removes.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np

from nerfsem_method import desk
from nerfsem_method.errors import OutputError
from nerfsem_method.files import is_full, no_space, replacing, replacing_folder
from nerfsem_method.log import LOG
from nerfsem_method.outputs import PNG_MARK, check_png_folder, check_replaceable
from nerfsem_method.stopping import undisturbed

STALL_SECONDS = 60
"""A decoder that gives no frame for so many seconds is stopped, lest a damaged stream hang the program."""

_MP4_CRF = 14
EXACT_SCALING = "accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"
"""With these flags ffmpeg's scaler gives the same pixels on every processor."""
_CONVERSION = f"flags=lanczos+{EXACT_SCALING}"
_BOX = b"\0\0\0\x1afreedecoded by nerfsem"
_SEALS = {".webm": b"\xec\x92decoded by nerfsem"}
"""Our videos end with a box of ISO/IEC 14496-12 (mp4, mov), or an element Void of EBML, RFC 8794 (webm): players pass over it,
and what others make of ours has none."""
_BT709 = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709", "color_range": "tv"}


class StreamError(Exception):
    """ffmpeg gave up on a stream; callers say whose fault that is."""


def write_video(path: Path, frames: Iterable[np.ndarray], rate: Fraction) -> int:
    """Write RGB frames [H, W, 3] as a visually lossless mp4 (H.264) and return their number.

    Raises OutputError when the file cannot be written, is there and none of ours, or ffmpeg fails.
    """
    check_video(path)
    options = {"format": "mp4", "vcodec": "libx264", "crf": _MP4_CRF, "preset": "medium", "movflags": "+faststart"}
    with replacing(path) as partial:
        try:
            count = encode_file(partial, frames, rate, {**options, **_BT709})
        except StreamError as error:
            raise OutputError(f"cannot write {path}: {error}") from None
        seal(partial, path)
    return count


def seal(partial: Path, path: Path) -> None:
    """Mark a finished video, that is to lie at `path`, as ours."""
    with partial.open("ab") as file:
        file.write(_seal_of(path))


def check_video(path: Path) -> None:
    """Make sure that a video can be written here: it may replace one that we wrote, nothing else. Raises OutputError."""
    check_replaceable(path, _is_ours, "video")


def _is_ours(path: Path) -> bool:
    mark = _seal_of(path)
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - len(mark), 0))
        return file.read() == mark


def _seal_of(path: Path) -> bytes:
    return _SEALS.get(path.suffix.lower(), _BOX)


def write_png_folder(path: Path, frames: Iterable[np.ndarray], start: int = 0) -> int:
    """Write frames [H, W, 3 or 4] as `path`/000000.png ..., counted from `start`, and return their number.

    Raises OutputError, before any frame is taken, when the folder holds anything but such files of ours.
    """
    from PIL import Image, PngImagePlugin

    check_png_folder(path)
    mark = PngImagePlugin.PngInfo()
    mark.add_text(*PNG_MARK)
    index = start
    with replacing_folder(path) as partial:
        for index, frame in enumerate(frames, start + 1):
            Image.fromarray(frame).save(partial / f"{index - 1:06d}.png", pnginfo=mark)
    return index - start


# ffmpeg ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pipe:
    """A pipe is one running ffmpeg, with what it says on stderr."""

    process: subprocess.Popen
    complaints: IO[bytes]

    def close(self, folder: Path | None = None) -> None:
        """Wait for ffmpeg's end. Raises StreamError with its last line when it failed, OutputError when it filled `folder`."""
        code = self.process.wait()
        self.complaints.seek(0)
        words = self.complaints.read().decode("utf-8", "replace").strip()
        if words:
            LOG.info("ffmpeg: %s", words)
        if code == 0:
            return
        if desk.was_file_too_large(code):
            words = "file too large"
        if folder is not None and is_full(folder, words):
            raise no_space(folder)
        raise StreamError(words.splitlines()[-1] if words else "ffmpeg was stopped")


def _end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()


@contextmanager
def _running(node: Any, **options: Any) -> Iterator[_Pipe]:
    """Start the ffmpeg-python graph `node` with Popen's `options`; the process never outlives the block."""
    import imageio_ffmpeg

    quiet = node.global_args("-v", "error", "-nostdin")
    command = quiet.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe(), overwrite_output=True)
    with tempfile.TemporaryFile() as complaints:
        process = None
        try:
            with undisturbed():
                process = subprocess.Popen(command, stderr=complaints, **{"stdin": subprocess.DEVNULL, **options})
            yield _Pipe(process, complaints)
        finally:
            if process is not None:
                _end(process)


def encode_file(path: Path, frames: Iterable[np.ndarray], rate: Fraction, options: dict[str, Any]) -> int:
    """Encode RGB or straight RGBA frames [H, W, 3 or 4] of one size into `path` with ffmpeg's output `options`; return their
    number.

    Raises StreamError when ffmpeg fails, OutputError when the disk is full, ValueError when there is no frame.
    """
    import ffmpeg

    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ValueError("no frame to encode")
    height, width = (size + size % 2 for size in first.shape[:2])
    kind = "rgba" if first.shape[2] == 4 else "rgb24"
    source = ffmpeg.input("pipe:", format="rawvideo", pix_fmt=kind, s=f"{width}x{height}", framerate=str(rate))
    convert = f"scale=out_color_matrix=bt709:out_range=tv:{_CONVERSION}"
    node = ffmpeg.output(source, f"./{path.name}", vf=convert, **{"pix_fmt": "yuv420p", **options})
    count = 0
    with _running(node, stdin=subprocess.PIPE, cwd=path.parent) as pipe:  # ffmpeg-python takes no names that are no UTF-8
        assert pipe.process.stdin is not None
        with suppress(BrokenPipeError):  # pipe.close() tells why ffmpeg left.
            for frame in chain([first], frames):
                padding = ((0, height - frame.shape[0]), (0, width - frame.shape[1]), (0, 0))
                pipe.process.stdin.write(np.pad(frame, padding, mode="edge").tobytes())
                count += 1
            pipe.process.stdin.close()
        pipe.close(path.parent)
    return count


def decode_file(path: Path, width: int, height: int, limit: int, options: dict[str, Any]) -> Iterator[np.ndarray]:
    """Yield at most `limit` RGB frames [height, width, 3] of what `encode_file` wrote, with ffmpeg's input `options`.

    Raises StreamError when the stream is damaged, or its pictures are far larger or anywhere smaller than asked.
    """
    import ffmpeg

    largest = (width + 256) * (height + 256)  # Decoders align their buffers, and a hostile header must not fill the memory.
    source = ffmpeg.input(f"./{path.name}", max_pixels=largest, err_detect="explode", threads=1, **options)
    convert = f"scale=in_color_matrix=bt709:in_range=tv:{_CONVERSION},format=rgb24,crop={width}:{height}:0:0"
    output = {"format": "rawvideo", "vf": convert, "fps_mode": "passthrough", "frames:v": limit}
    yield from _read(ffmpeg.output(source, "pipe:", **output).global_args("-xerror"), width, height, cwd=path.parent)


def _read(node: Any, width: int, height: int, **options: Any) -> Iterator[np.ndarray]:
    with _running(node, stdout=subprocess.PIPE, **options) as pipe:
        assert pipe.process.stdout is not None
        while True:
            watch = threading.Timer(STALL_SECONDS, pipe.process.kill)
            watch.start()
            try:
                data = pipe.process.stdout.read(width * height * 3)
            finally:
                watch.cancel()
            if len(data) < width * height * 3:
                break
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
        pipe.close()
