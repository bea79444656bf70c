"""This module runs one evaluation from end to end: it decodes the files, measures them, and runs the peers on the same frames."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nerfsem_method.codec import nsem
from nerfsem_method.errors import NerfsemError, printable
from nerfsem_method.evaluation.findings import RANKS, Evaluation, Shown, Track
from nerfsem_method.evaluation.metrics import FrameFigures, Perceptual, load_lpips, mean_quality, measure_frames
from nerfsem_method.evaluation.peers import PEERS, RatePoint, rate_point
from nerfsem_method.evaluation.references import Clip, References, load_references
from nerfsem_method.evaluation.sweeps import Shelf, sweep, version
from nerfsem_method.files import scratch
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.media.video import StreamError
from nerfsem_method.playback.player import Player
from nerfsem_method.progress import track
from nerfsem_method.scene.scene import AGREED
from nerfsem_method.stopping import advise


@dataclass(frozen=True)
class _Opened:
    """This bundle is read and decoded; `data` are the bytes of its file."""

    name: str
    data: bytes
    bundle: nsem.Bundle

    def bytes_in(self, mode: str) -> int:
        """Return the bytes that a mode takes."""
        return len(self.data) if mode == self.bundle.mode else len(nsem.drop_background(self.data))


def evaluate(
    clip: Clip, paths: Sequence[Path], peers: Sequence[str], device: str, download_lpips: bool = False
) -> tuple[Evaluation, tuple[Shown, ...]]:
    """Return all numbers of bundle files of one clip, a rate sweep, say, and some frames to look at.

    PC bundles are measured in both modes. Raises NerfsemError when clip and bundles do not fit or a peer cannot run.
    """
    opened = _open(paths)
    first = opened[0].bundle
    perceptual = _perceptual(download_lpips)
    tracks, shown = [], []
    with scratch("evaluate") as folder:
        references = load_references(clip, first.video, folder)
        for mode in ("fp", "pc"):
            if those := [it for it in opened if mode == "fp" or it.bundle.background is not None]:
                bench = _Bench(mode, references, perceptual, first)
                tracks.append(bench.track(those, peers, device))
                shown += bench.shown(those[0], tracks[-1], device)
    names = (open_clip(clip.video).name, opened[0].name)
    facts = (*names, first.video.width, first.video.height, first.video.frames, nsem.sizes(opened[0].data))
    return Evaluation(*facts, tuple(tracks), _notes(clip, first, peers, references)), tuple(shown)


def _open(paths: Sequence[Path]) -> list[_Opened]:
    """Read all bundles. Raises NerfsemError where they are of different frames."""
    alike = len({path.name for path in paths}) < len(paths)
    opened = []
    for path in paths:
        data = nsem.read_bytes(path)
        opened.append(_Opened(printable(str(path) if alike else path.name), data, nsem.decode(data)))
    videos = [it.bundle.video for it in opened]
    for it, video in zip(opened, videos, strict=True):
        frames = [(v.width, v.height, v.frames, v.rate, v.left_out) for v in (videos[0], video)]
        if frames[0] != frames[1]:
            raise NerfsemError(f"{opened[0].name} and {it.name} hold different frames; evaluate them one by one")
    return opened


class _Bench:
    """On this bench ours and the peers are measured against the same frames, those of one mode."""

    def __init__(self, mode: str, references: References, perceptual: Perceptual, bundle: nsem.Bundle) -> None:
        self._mode, self._references, self._perceptual = mode, references, perceptual
        self._truth, self._mattes = references.of_mode(mode), references.mattes
        self._shelf = Shelf(self._truth, self._mattes, bundle.video.rate, perceptual)
        self._figures: dict[str, list[FrameFigures]] = {}

    def track(self, opened: list[_Opened], peers: Sequence[str], device: str) -> Track:
        """Return the points of all bundles and peers."""
        ours = {}
        for it in opened:
            pictures = Player(it.bundle, device).frames(self._mode)
            label = f"{self._mode}: decoding {it.name}"
            decoded = track(pictures, label, len(self._truth), sys.stderr)
            figures = measure_frames(decoded, self._truth, self._mattes, self._perceptual)
            self._figures[it.name] = figures
            frame = self._truth.shape[2], self._truth.shape[1]
            ours[it.name] = rate_point("nerfsem", None, it.bytes_in(self._mode), frame, mean_quality(figures, self._perceptual))
        return Track(self._mode, ours, self._peers(peers, tuple(ours.values())))

    def _peers(self, names: Sequence[str], ours: Sequence[RatePoint]) -> dict[str, tuple[RatePoint, ...]]:
        found = {}
        for name in names:
            peer = PEERS[name]
            points = track(sweep(self._shelf, peer, ours), f"{self._mode}: {name}", len(peer.levels), sys.stderr)
            try:
                found[name] = tuple(points)
            except StreamError as error:
                raise NerfsemError(f"{name} cannot run here ({error}); leave it out of --peers") from None
            except KeyboardInterrupt as stop:
                advise(stop)  # what the peers gave is kept
                raise
        return found

    def shown(self, opened: _Opened, found: Track, device: str) -> list[Shown]:
        """Return the worst, the middle and the best frame of the first bundle, with each peer's of the nearest bytes."""
        figures = self._figures[opened.name]
        order = sorted(range(len(figures)), key=lambda index: _center(figures[index]))
        indices = dict.fromkeys((order[0], order[len(order) // 2], order[-1]))
        columns = {
            f"{it.codec}, {it.bytes:,} bytes": self._shelf.frames(PEERS[it.codec], it.level or 0, tuple(indices))
            for it in found.nearest()
        }
        player, rows = Player(opened.bundle, device), []
        for rank, index in zip(RANKS, indices, strict=False):
            (ours,) = player.frames(self._mode, start=index, stop=index + 1)
            pictures = {"source": self._truth[index].copy(), f"nerfsem, {found.ours.bytes:,} bytes": ours}
            rows.append(Shown(self._mode, rank, index, pictures | {label: them[index] for label, them in columns.items()}))
        return rows


def _center(figures: FrameFigures) -> float:
    return figures.psnr if figures.psnr_center is None else figures.psnr_center


def _perceptual(download: bool) -> Perceptual:
    try:
        return Perceptual(load_lpips(download))
    except (ImportError, OSError) as error:
        return Perceptual(None, str(error))


def _notes(clip: Clip, bundle: nsem.Bundle, peers: Sequence[str], references: References) -> tuple[str, ...]:
    notes = []
    if peers:
        settings = "; ".join(f"{name}: {PEERS[name].words}" for name in peers)
        notes.append(
            f"Peers ({settings}; ffmpeg {version()}) code the very same frames in 4:2:0; their elementary streams count, without "
            "container and SEI."
        )
    if references.agreed:
        notes.append(f"Ours and the peers are measured by the mattes that field and views agreed on, in the scene's {AGREED}/.")
    if open_clip(clip.video).sha256 != bundle.video.sha256:
        notes.append("The clip is not byte for byte the one that was compressed.")
    return tuple(notes)
