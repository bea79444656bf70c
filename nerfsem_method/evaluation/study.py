"""This module runs one evaluation from end to end: it decodes the file, measures it, and runs the peers on the same frames."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from nerfsem_method.codec import nsem
from nerfsem_method.errors import NerfsemError, printable
from nerfsem_method.evaluation.metrics import Perceptual, load_lpips, measure
from nerfsem_method.evaluation.peers import PEERS, RatePoint, rate_point, run_peer
from nerfsem_method.evaluation.references import Clip, References, load_references
from nerfsem_method.evaluation.report import Evaluation, Track, comparison_picture
from nerfsem_method.files import scratch
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.media.video import StreamError
from nerfsem_method.playback.player import Player
from nerfsem_method.progress import track

MOMENTS = 4
"""The comparison picture shows so many frames of the clip."""

Kept = dict[int, np.ndarray]
"""Decoded frames that the comparison picture needs are kept by their index."""


def evaluate(
    clip: Clip, bundle_path: Path, peers: Sequence[str], device: str, download_lpips: bool = False
) -> tuple[Evaluation, np.ndarray]:
    """Return all numbers of a bundle file, and the comparison picture uint8 [H, W, 3].

    A PC bundle is measured in both modes. Raises NerfsemError when clip and bundle do not fit or a peer cannot run.
    """
    data = nsem.read_bytes(bundle_path)
    bundle = nsem.decode(data)
    video = bundle.video
    keep = [moment * video.frames // MOMENTS for moment in range(min(MOMENTS, video.frames))]
    perceptual = _perceptual(download_lpips)
    with scratch("nerfsem-evaluate-") as folder:
        references = load_references(clip, video, folder)
        player = Player(bundle, device)
        tracks, columns = [], {"source": {index: references.frames[index].copy() for index in keep}}
        for mode in ("fp",) if bundle.background is None else ("fp", "pc"):
            size = len(data) if mode == bundle.mode else len(nsem.drop_background(data))
            ours, columns[mode.upper()] = _measure_ours(player, mode, size, references, perceptual, keep)
            curves, columns_of_peers = _run_peers(peers, mode, bundle, references, perceptual, keep)
            track = Track(mode, ours, curves)
            tracks.append(track)
            if (nearest := track.nearest()) is not None:
                label = f"{nearest.codec} {nearest.bytes} B ({mode.upper()})"
                columns[label] = columns_of_peers[nearest.codec, nearest.level]
    names = (open_clip(clip.video).name, printable(bundle_path.name))
    facts = (*names, video.width, video.height, video.frames, nsem.sizes(data))
    rows = [{f"{label} #{index}": frames[index] for label, frames in columns.items()} for index in keep]
    return Evaluation(*facts, tuple(tracks), _notes(clip, bundle)), comparison_picture(rows)


def _measure_ours(
    player: Player,
    mode: str,
    size: int,
    references: References,
    perceptual: Perceptual,
    keep: Sequence[int],
) -> tuple[RatePoint, Kept]:
    kept: Kept = {}

    def decoded() -> Iterator[np.ndarray]:
        pictures = track(player.frames(mode), f"{mode}: decoding", len(references.frames), sys.stderr)
        for index, frame in enumerate(pictures):
            if index in keep:
                kept[index] = frame
            yield frame

    truth = references.of_mode(mode)
    quality = measure(decoded(), truth, references.mattes, perceptual)
    return rate_point("nerfsem", None, size, (truth.shape[2], truth.shape[1]), quality), kept


def _run_peers(
    names: Sequence[str],
    mode: str,
    bundle: nsem.Bundle,
    references: References,
    perceptual: Perceptual,
    keep: Sequence[int],
) -> tuple[dict[str, tuple[RatePoint, ...]], dict[tuple[str, int | None], Kept]]:
    """Return the curve of each peer, and the frames to keep of each point."""
    runs = [(name, level) for name in names for level in PEERS[name].levels]
    points: dict[str, list[RatePoint]] = {name: [] for name in names}
    kept: dict[tuple[str, int | None], Kept] = {}
    for name, level in track(runs, f"{mode}: {', '.join(names) or 'no peers'}", len(runs), sys.stderr):
        try:
            point, kept[name, level] = run_peer(
                PEERS[name], level, references.of_mode(mode), references.mattes, bundle.video.rate, perceptual, keep
            )
        except StreamError as error:
            raise NerfsemError(f"{name} cannot run here ({error}); leave it out of --peers") from None
        points[name].append(point)
    return {name: tuple(found) for name, found in points.items()}, kept


def _perceptual(download: bool) -> Perceptual:
    try:
        return Perceptual(load_lpips(download))
    except (ImportError, OSError) as error:
        return Perceptual(None, str(error))


def _notes(clip: Clip, bundle: nsem.Bundle) -> tuple[str, ...]:
    notes = ["Peers: elementary streams without container and SEI, slow presets tuned for PSNR; they code 4:2:0."]
    if open_clip(clip.video).sha256 != bundle.video.sha256:
        notes.append("The clip is not byte for byte the one that was compressed.")
    return tuple(notes)
