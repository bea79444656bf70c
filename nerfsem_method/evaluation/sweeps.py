"""Rate sweeps of peers begin with the fewest bytes and go on until they pass our points; each point is kept by its content.

What a peer gave is kept in the user's cache under all that it depends on: the frames that it saw, the codec with its settings and
version, and what measures it. A second evaluation, of another bundle say, encodes and measures nothing again.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np

from nerfsem_method.compiled.cache import user_cache
from nerfsem_method.errors import OutputError
from nerfsem_method.evaluation import metrics, neural
from nerfsem_method.evaluation.findings import reaches
from nerfsem_method.evaluation.metrics import FrameFigures, Perceptual, mean_quality
from nerfsem_method.evaluation.peers import NEURAL, Peer, RatePoint, measure_stream, rate_point
from nerfsem_method.files import replacing
from nerfsem_method.media import annexb, video

_SEAL = hashlib.sha256().digest_size
"""A kept stream begins with so many bytes of digest: one that the disk has damaged must not count."""
FEWEST = 4
"""A curve has so many points at least: Bjontegaard's rate asks for them."""


@cache
def version() -> str:
    """Return the version of ffmpeg, which holds the peers."""
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_version()


class Shelf:
    """A shelf keeps the peers' streams and figures of one clip, which is uint8 references [N, H, W, 3] and mattes [N, H, W].

    Where no folder can be written, what is made lasts as long as the shelf.
    """

    def __init__(self, references: np.ndarray, mattes: np.ndarray, rate: Fraction, perceptual: Perceptual) -> None:
        self._references, self._mattes, self._rate, self._perceptual = references, mattes, rate, perceptual
        encoding = (inspect.getsource(source) for source in (Peer, annexb, video))
        self._seen = _digest(version(), str(rate), *encoding, frames=references)
        self._measured = _digest(inspect.getsource(metrics), str(perceptual.distance is not None), frames=mattes)
        self._streams: dict[str, bytes] = {}
        try:
            self._folder: Path | None = user_cache() / "peers"
        except RuntimeError:  # there is no home
            self._folder = None

    def point(self, peer: Peer, level: int) -> RatePoint:
        """Return a peer's point, made now or before. Raises StreamError where the codec fails."""
        stream = self._stream(peer, level)
        name = f"{self._key(peer, level)}-{self._measured[:16]}.json"
        try:
            figures = [FrameFigures(*row) for row in json.loads(self._read(name) or "")]
        except (ValueError, TypeError):  # nothing is kept, or a file that somebody changed
            figures = measure_stream(peer, stream, self._references, self._mattes, self._perceptual)
            self._keep(name, json.dumps(figures).encode())
        height, width = self._references.shape[1:3]
        return rate_point(peer.name, level, len(stream), (width, height), mean_quality(figures, self._perceptual))

    def frames(self, peer: Peer, level: int, indices: Sequence[int]) -> dict[int, np.ndarray]:
        """Return some decoded frames of a peer's point by their index."""
        height, width = self._references.shape[1:3]
        stream = peer.decode(self._stream(peer, level), width, height, len(self._references))
        return {index: frame for index, frame in enumerate(islice(stream, max(indices) + 1)) if index in indices}

    def _stream(self, peer: Peer, level: int) -> bytes:
        key = self._key(peer, level)
        if key not in self._streams:
            name = f"{key}.stream"
            kept = self._read(name) or b""
            stream, whole = kept[_SEAL:], hashlib.sha256(kept[_SEAL:]).digest() == kept[:_SEAL]
            if not whole:
                stream = peer.encode(self._references, self._rate, level)
                self._keep(name, hashlib.sha256(stream).digest() + stream)
            self._streams[key] = stream
        return self._streams[key]

    def _key(self, peer: Peer, level: int) -> str:
        settings = {**asdict(peer), "levels": None, "words": None, "syntax": None}
        if peer.muxer == NEURAL:
            settings["maker"] = neural.maker()
        return f"{peer.name}-{level}-{_digest(self._seen, json.dumps(settings, sort_keys=True))[:24]}"

    def _read(self, name: str) -> bytes | None:
        with suppress(OSError):
            return (self._folder / name).read_bytes() if self._folder else None
        return None

    def _keep(self, name: str, data: bytes) -> None:
        """Keep a file. A disk that refuses it, or another evaluation that writes it now, costs time later and nothing else."""
        if self._folder is not None:
            with suppress(OSError, OutputError):
                self._folder.mkdir(parents=True, exist_ok=True)
                with replacing(self._folder / name) as partial:
                    partial.write_bytes(data)


def sweep(shelf: Shelf, peer: Peer, ours: Sequence[RatePoint]) -> Iterator[RatePoint]:
    """Yield a peer's points, the smallest first: at least `FEWEST`, and so many that they pass ours, where its levels do.

    Raises StreamError where the codec fails.
    """
    found: list[RatePoint] = []
    for level in reversed(peer.levels):
        found.append(shelf.point(peer, level))
        yield found[-1]
        if len(found) >= FEWEST and reaches(found, ours):
            break


def _digest(*texts: str, frames: np.ndarray | None = None) -> str:
    digest = hashlib.sha256(json.dumps(texts).encode())
    if frames is not None:
        digest.update(str(frames.shape).encode())
        for frame in frames:
            digest.update(frame.tobytes())
    return digest.hexdigest()
