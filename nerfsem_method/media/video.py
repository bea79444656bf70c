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

from nerfsem_method.errors import CaptureError, OutputError
from nerfsem_method.files import check_png_folder, check_writable, replacing, replacing_folder

STALL_SECONDS = 60
"""A decoder that gives no frame for so many seconds is stopped, lest a damaged stream hang the program."""

_MP4_CRF = 14
_EXACT = "accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"
_CONVERSION = f"flags=lanczos+{_EXACT}"
_BT709 = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709", "color_range": "tv"}


class StreamError(Exception):
    """ffmpeg gave up on a stream; callers say whose fault that is."""


def write_video(path: Path, frames: Iterable[np.ndarray], rate: Fraction) -> int:
    """Write RGB frames [H, W, 3] as a visually lossless mp4 (H.264) and return their number.

    Raises OutputError when the file cannot be written or ffmpeg fails.
    """
    check_writable(path)
    options = {"format": "mp4", "vcodec": "libx264", "crf": _MP4_CRF, "preset": "medium", "movflags": "+faststart"}
    with replacing(path) as partial:
        try:
            return encode_file(partial, frames, rate, {**options, **_BT709})
        except StreamError as error:
            raise OutputError(f"cannot write {path}: {error}") from None


def write_png_folder(path: Path, frames: Iterable[np.ndarray], start: int = 0) -> int:
    """Write frames [H, W, 3 or 4] as `path`/000000.png ..., counted from `start`, and return their number.

    Raises OutputError, before any frame is taken, when the folder holds anything but such files.
    """
    from PIL import Image

    check_png_folder(path)
    index = start
    with replacing_folder(path) as partial:
        for index, frame in enumerate(frames, start + 1):
            Image.fromarray(frame).save(partial / f"{index - 1:06d}.png")
    return index - start


# ffmpeg ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pipe:
    """A pipe is one running ffmpeg, with what it says on stderr."""

    process: subprocess.Popen
    complaints: IO[bytes]

    def close(self) -> None:
        """Wait for ffmpeg's end. Raises StreamError with its last line when it failed."""
        if self.process.wait() != 0:
            self.complaints.seek(0)
            lines = self.complaints.read().decode("utf-8", "replace").strip().splitlines()
            raise StreamError(lines[-1] if lines else "ffmpeg was stopped")


@contextmanager
def _running(node: Any, **streams: int) -> Iterator[_Pipe]:
    """Start the ffmpeg-python graph `node`; the process never outlives the block."""
    import imageio_ffmpeg

    quiet = node.global_args("-v", "error", "-nostdin")
    command = quiet.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe(), overwrite_output=True)
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(command, stderr=complaints, **{"stdin": subprocess.DEVNULL, **streams})  # type: ignore[call-overload]
        try:
            yield _Pipe(process, complaints)
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(BrokenPipeError):
                        stream.close()


def encode_file(path: Path, frames: Iterable[np.ndarray], rate: Fraction, options: dict[str, Any]) -> int:
    """Encode RGB or straight RGBA frames [H, W, 3 or 4] of one size into `path` with ffmpeg's output `options`; return their
    number.

    Raises StreamError when ffmpeg fails, ValueError when there is no frame.
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
    node = ffmpeg.output(source, str(path), vf=convert, **{"pix_fmt": "yuv420p", **options})
    count = 0
    with _running(node, stdin=subprocess.PIPE) as pipe:
        assert pipe.process.stdin is not None
        with suppress(BrokenPipeError):  # pipe.close() tells why ffmpeg left.
            for frame in chain([first], frames):
                padding = ((0, height - frame.shape[0]), (0, width - frame.shape[1]), (0, 0))
                pipe.process.stdin.write(np.pad(frame, padding, mode="edge").tobytes())
                count += 1
            pipe.process.stdin.close()
        pipe.close()
    return count


def decode_file(path: Path, width: int, height: int, limit: int, options: dict[str, Any]) -> Iterator[np.ndarray]:
    """Yield at most `limit` RGB frames [height, width, 3] of what `encode_file` wrote, with ffmpeg's input `options`.

    Raises StreamError when the stream is damaged, or its pictures are far larger or anywhere smaller than asked.
    """
    import ffmpeg

    largest = (width + 256) * (height + 256)  # Decoders align their buffers, and a hostile header must not fill the memory.
    source = ffmpeg.input(str(path), max_pixels=largest, err_detect="explode", threads=1, **options)
    convert = f"scale=in_color_matrix=bt709:in_range=tv:{_CONVERSION},format=rgb24,crop={width}:{height}:0:0"
    output = {"format": "rawvideo", "vf": convert, "fps_mode": "passthrough", "frames:v": limit}
    yield from _read(ffmpeg.output(source, "pipe:", **output).global_args("-xerror"), width, height)


def frame_filter(source: tuple[int, int], size: tuple[int, int]) -> str:
    """Return ffmpeg's filter from a video of one (width, height) to RGB of another: area average down, Lanczos up."""
    shrinks = size != source and size[0] <= source[0] and size[1] <= source[1]
    kernel = "area" if shrinks else "lanczos"
    return f"scale={size[0]}:{size[1]}:flags={kernel}+{_EXACT}"


def read_video(path: Path, width: int, height: int) -> Iterator[np.ndarray]:
    """Yield all frames of any video as RGB [height, width, 3], scaled by `frame_filter`.

    Raises CaptureError for a file that is missing or that ffmpeg cannot read.
    """
    import ffmpeg

    if not path.is_file():
        raise CaptureError(f"{path} does not exist; name a video file")
    output = {"format": "rawvideo", "pix_fmt": "rgb24", "fps_mode": "passthrough"}
    try:
        output["vf"] = frame_filter(_displayed_size(path), (width, height))
        yield from _read(ffmpeg.output(ffmpeg.input(str(path)), "pipe:", **output), width, height)
    except StreamError as error:
        raise CaptureError(f"{path} cannot be read as a video ({error}); give a file that ffmpeg plays") from None


def _displayed_size(path: Path) -> tuple[int, int]:
    """Return width and height after rotation, from the header that ffmpeg writes before the first frame."""
    import ffmpeg

    first = {"format": "yuv4mpegpipe", "pix_fmt": "yuv420p", "frames:v": 1}
    with _running(ffmpeg.output(ffmpeg.input(str(path)), "pipe:", **first), stdout=subprocess.PIPE) as pipe:
        assert pipe.process.stdout is not None
        header = pipe.process.stdout.readline().split()
        if len(header) < 3:
            pipe.close()
            raise StreamError("it holds no picture")
    return int(header[1][1:]), int(header[2][1:])


def _read(node: Any, width: int, height: int) -> Iterator[np.ndarray]:
    with _running(node, stdout=subprocess.PIPE) as pipe:
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
