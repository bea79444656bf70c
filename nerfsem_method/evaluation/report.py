"""An evaluation's findings become files: metrics.json, rd.png, comparison.png and index.html."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nerfsem_method.evaluation.bd_rate import Curve, at_bytes, bytes_at
from nerfsem_method.evaluation.peers import RatePoint
from nerfsem_method.files import replacing

CURVES = ("psnr", "psnr_center", "psnr_y_center")
_TITLES = {"psnr": "PSNR [dB]", "psnr_center": "PSNR-CENTER [dB]", "psnr_y_center": "PSNR-Y-CENTER [dB]", "lpips": "LPIPS"}
_LABEL_HEIGHT = 22


@dataclass(frozen=True)
class Track:
    """A track is one mode of a bundle against the peers: `peers` holds the points of each codec on the same references."""

    mode: str
    ours: RatePoint
    peers: dict[str, tuple[RatePoint, ...]]

    def nearest(self) -> RatePoint | None:
        """Return the peers' point whose bytes are nearest to ours, of the peer that looks best there; None without peers."""
        points = [min(curve, key=lambda p: abs(np.log(p.bytes / self.ours.bytes))) for curve in self.peers.values()]
        return max(points, key=lambda point: point.quality.psnr, default=None)


@dataclass(frozen=True)
class Evaluation:
    """An evaluation is all numbers of a report: `parts` are the bundle's bytes by section, `notes` what a reader must know."""

    clip: str
    bundle: str
    width: int
    height: int
    frames: int
    parts: dict[str, int]
    tracks: tuple[Track, ...]
    notes: tuple[str, ...] = ()


def curve(points: Sequence[RatePoint], metric: str) -> Curve:
    """Return (bytes, dB) of those rate points that have this metric."""
    pairs = [(float(point.bytes), getattr(point.quality, metric)) for point in points]
    return [(size, value) for size, value in pairs if value is not None]


def gains(track: Track) -> dict[str, dict[str, float | None]]:
    """Return, by peer, the dB that we gain at equal bytes, and the percent of bytes that we take more at equal quality.

    A figure is None off the peer's curve.
    """
    found: dict[str, dict[str, float | None]] = {}
    for name, points in track.peers.items():
        row: dict[str, float | None] = {}
        for metric in CURVES:
            value, peer = getattr(track.ours.quality, metric), curve(points, metric)
            if value is None or not peer:
                continue
            theirs, size = at_bytes(peer, track.ours.bytes), bytes_at(peer, value)
            row[f"{metric}_gain_db"] = None if theirs is None else value - theirs
            row[f"{metric}_bytes_percent"] = None if size is None else 100 * (track.ours.bytes / size - 1)
        found[name] = row
    return found


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return the content of metrics.json."""
    return {
        "clip": evaluation.clip,
        "bundle": evaluation.bundle,
        "width": evaluation.width,
        "height": evaluation.height,
        "frames": evaluation.frames,
        "parts": evaluation.parts,
        "notes": list(evaluation.notes),
        "modes": {
            track.mode: {
                "ours": track.ours.row(),
                "peers": {name: [point.row() for point in points] for name, points in track.peers.items()},
                "gains": gains(track),
            }
            for track in evaluation.tracks
        },
    }


def write_report(folder: Path, evaluation: Evaluation, comparison: np.ndarray) -> None:
    """Write all four files into an existing folder; `comparison` is a picture uint8 [H, W, 3]. Raises OutputError."""
    from PIL import Image

    with replacing(folder / "metrics.json") as partial:
        partial.write_text(json.dumps(as_json(evaluation), indent=1) + "\n")
    with replacing(folder / "comparison.png") as partial:
        Image.fromarray(comparison).save(partial, format="PNG")
    with replacing(folder / "rd.png") as partial:
        plot_curves(partial, evaluation.tracks)
    with replacing(folder / "index.html") as partial:
        partial.write_text(page(evaluation))


def comparison_picture(rows: Sequence[dict[str, np.ndarray]]) -> np.ndarray:
    """Return frames uint8 [H, W, 3] side by side, one row a moment, each with its label above: uint8 [H', W', 3]."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(13)
    strips = []
    for row in rows:
        cells = []
        for label, frame in row.items():
            cell = Image.new("RGB", (frame.shape[1], frame.shape[0] + _LABEL_HEIGHT), "white")
            cell.paste(Image.fromarray(frame), (0, _LABEL_HEIGHT))
            ImageDraw.Draw(cell).text((4, 3), label, fill="black", font=font)
            cells.append(np.asarray(cell))
        strips.append(np.concatenate(cells, 1))
    return np.concatenate(strips, 0)


def plot_curves(path: Path, tracks: Sequence[Track]) -> None:
    """Write a PNG of quality over bytes: one row a mode, one column a metric (LPIPS where it was measured), bytes logarithmic."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    metrics = [metric for metric in _TITLES if metric in CURVES or any(curve([t.ours], metric) for t in tracks)]
    figure = Figure(figsize=(4.6 * len(metrics), 3.8 * len(tracks)), layout="constrained")
    axes = figure.subplots(len(tracks), len(metrics), squeeze=False)
    for track, row in zip(tracks, axes, strict=True):
        for metric, axis in zip(metrics, row, strict=True):
            for name, points in track.peers.items():
                pairs = sorted(curve(points, metric))
                axis.plot([size / 1000 for size, _ in pairs], [value for _, value in pairs], ".-", label=name)
            for size, value in curve([track.ours], metric):
                axis.plot(size / 1000, value, "*", markersize=14, color="black", label="nerfsem")
            axis.set(xscale="log", xlabel="kilobytes", ylabel=_TITLES[metric], title=track.mode.upper())
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 6, 8)))
            axis.xaxis.set_major_formatter(ScalarFormatter())
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.grid(True, alpha=0.3)
            axis.legend()
    FigureCanvasAgg(figure).print_png(path)


def page(evaluation: Evaluation) -> str:
    """Return one plain HTML page: the facts, a table of all points, both pictures."""
    head = ("codec", "level", "bytes", "bpp", "PSNR", "PSNR-CENTER", "PSNR-Y", "PSNR-Y-CENTER", "SSIM", "LPIPS")
    sections = []
    for track in evaluation.tracks:
        points = [track.ours, *(point for curve in track.peers.values() for point in curve)]
        rows = "\n".join(_row(_cells(point), "td") for point in points)
        sections.append(f"<h2>{track.mode.upper()}</h2>\n<table>\n{_row(head, 'th')}\n{rows}\n</table>")
    parts = ", ".join(f"{name} {size}" for name, size in evaluation.parts.items())
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in evaluation.notes)
    return _PAGE.format(
        clip=html.escape(evaluation.clip),
        bundle=html.escape(evaluation.bundle),
        facts=f"{evaluation.frames} frames of {evaluation.width} x {evaluation.height}; bytes by part: {parts}",
        notes=notes,
        tables="\n".join(sections),
    )


def _cells(point: RatePoint) -> tuple[str, ...]:
    quality = point.quality
    decibels = (quality.psnr, quality.psnr_center, quality.psnr_y, quality.psnr_y_center)
    return (
        point.codec,
        "" if point.level is None else str(point.level),
        str(point.bytes),
        f"{point.bpp:.5f}",
        *("-" if value is None else f"{value:.2f}" for value in decibels),
        f"{quality.ssim:.4f}",
        f"not available: {quality.lpips_reason}" if quality.lpips is None else f"{quality.lpips:.4f}",
    )


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{bundle}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em }}
table {{ border-collapse: collapse }} td, th {{ padding: .15em .8em; text-align: right; border-bottom: 1px solid #ddd }}
tr:nth-child(2) {{ font-weight: bold }} img {{ max-width: 100% }}
</style>
<h1>{bundle} against {clip}</h1>
<p>{facts}</p>
{notes}
{tables}
<h2>Rate and distortion</h2>
<img src="rd.png" alt="quality over bytes">
<h2>Frames</h2>
<img src="comparison.png" alt="source, decoded and peer frames side by side">
</html>
"""
