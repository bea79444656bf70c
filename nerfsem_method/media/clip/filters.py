"""This module sends decoded frames through ffmpeg's filters: to RGB, upright, at the size asked for, one frame for a frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from nerfsem_method.media.video import EXACT_SCALING

BEAT = Fraction(1, 25)
"""Frames are counted, not timed, inside the filters: timestamps of files are missing, doubled or go backwards."""
_DEINTERLACE = "bwdif=mode=send_frame:parity=auto:deint="
COMBED = 1.15
"""Where rows differ from their neighbours so many times as much as from those behind these, two half pictures were woven into
one: in whole pictures it is 0.55 to 0.75, in noise 1, in half ones of a walk 2 and more."""
LEAST, NEAR = 1.5, 10
"""Rows that differ by fewer grey levels say nothing, for deep pictures are dithered row by row where 8 bits are made of them; a
picture alone says nothing either: among so many in a row there must be another one."""
SPARSE = 4
"""Combs are sought in each column of this number."""


def scaling(source: tuple[int, int], size: tuple[int, int], options: str = "") -> str:
    """Return ffmpeg's filter from pictures of one (width, height) to those of another: area average down, Lanczos up."""
    shrinks = size != source and size[0] <= source[0] and size[1] <= source[1]
    kernel = "area" if shrinks else "lanczos"
    return f"scale={size[0]}:{size[1]}:flags={kernel}+{EXACT_SCALING}{options}"


class Chain:
    """A chain is a row of ffmpeg's filters that give one frame for a frame; it is built anew where the kind of frame changes."""

    def __init__(self, filters: Sequence[str]) -> None:
        self.filters = list(filters)
        self._graph: Any = None
        self._kind: tuple | None = None
        self._count = 0

    def push(self, frame: Any) -> Iterator[Any]:
        """Put a frame in and yield the frames that come out, which may be earlier ones."""
        kind = (frame.width, frame.height, frame.format.name, int(frame.colorspace), int(frame.color_range))
        if kind != self._kind:
            yield from self.finish()
            self._graph, self._kind = self._built(*kind), kind
        frame.pts, frame.time_base = self._count, BEAT
        self._count += 1
        self._graph.push(frame)
        yield from self._pull()

    def finish(self) -> Iterator[Any]:
        """Yield the frames that are still inside."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._pull()
            self._graph = self._kind = None

    def _pull(self) -> Iterator[Any]:
        import av

        while True:
            try:
                yield self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return

    def _built(self, width: int, height: int, pixels: str, matrix: int, levels: int) -> Any:
        import av.filter

        graph = av.filter.Graph()
        graph.threads = 1
        source = {"video_size": f"{width}x{height}", "pix_fmt": pixels, "time_base": str(BEAT), "pixel_aspect": "1/1"}
        nodes = [graph.add("buffer", **source, colorspace=str(matrix), range=str(levels))]
        for text in self.filters:
            name, _, options = text.partition("=")
            nodes.append(graph.add(name, options or None))
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes).configure()
        return graph


def combed(frame: Any) -> bool:
    """Return whether a frame shows two half pictures of different times, whatever its file says.

    Pictures in RGB, such as a GIF's, are taken for whole: no camera films half ones in RGB, and dither looks woven.
    """
    if frame.format.is_rgb:
        return False
    rows = frame.reformat(format="gray16le").to_ndarray()[:, ::SPARSE].astype(np.float32) / 257
    if len(rows) < 3:
        return False
    beside, behind = np.abs(np.diff(rows, axis=0)).mean(), np.abs(rows[2:] - rows[:-2]).mean()
    return bool(beside > max(COMBED * behind, LEAST))


class Deinterlacer:
    """This makes whole pictures of interlaced frames; until the first one comes, frames pass as they are.

    Of a file that does not say which they are, all are taken for interlaced from the second on that shows it, see NEAR, and from
    the first if that comes right before it.
    """

    def __init__(self) -> None:
        self._chain: Chain | None = None
        self._unsaid = False
        self._held: list[Any] = []
        self._woven: deque[bool] = deque()
        self._combs: deque[bool] = deque(maxlen=NEAR)

    def push(self, frame: Any) -> Iterator[tuple[Any, bool]]:
        """Put a frame in and yield those that are ready, and whether they were interlaced.

        ffmpeg's bwdif looks at a frame's neighbours, and frames that may be the first woven ones are held back.
        """
        self._held.append(frame)
        if self._chain is None:
            comb = not frame.interlaced_frame and combed(frame)
            self._unsaid = (comb or bool(frame.interlaced_frame)) and any(self._combs)
            self._combs.append(comb)
            if comb and not self._unsaid:
                return
        yield from self._through()

    def finish(self) -> Iterator[tuple[Any, bool]]:
        """Yield the frames that are still inside."""
        yield from self._through()
        yield from [] if self._chain is None else self._told(self._chain.finish())

    def _through(self) -> Iterator[tuple[Any, bool]]:
        """Send on what is held back."""
        held, self._held = self._held, []
        for frame in held:
            self._woven.append(self._unsaid or bool(frame.interlaced_frame))
            if self._chain is None and self._woven[-1]:
                self._chain = Chain([_DEINTERLACE + ("all" if self._unsaid else "interlaced")])
            yield from self._told([frame] if self._chain is None else self._chain.push(frame))

    def _told(self, frames: Iterable[Any]) -> Iterator[tuple[Any, bool]]:
        return ((frame, self._woven.popleft()) for frame in frames)


class Resizer:
    """This brings pictures in memory to one size, as `scaling` does with a video's frames."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self._chains: dict[tuple, Chain] = {}

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Return a picture [H, W] or [H, W, 3] uint8 at the size."""
        import av

        source = (picture.shape[1], picture.shape[0])
        if source == self.size:
            return picture
        pixels = "gray" if picture.ndim == 2 else "rgb24"
        chain = self._chains.setdefault((source, pixels), Chain([scaling(source, self.size), f"format={pixels}"]))
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=pixels)
        return next(iter(chain.push(frame))).to_ndarray()
