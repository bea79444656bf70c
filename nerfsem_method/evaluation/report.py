"""An evaluation's findings become files: metrics.json, rd.png, comparison.png and index.html."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nerfsem_method.evaluation.findings import CURVES, METRICS, Evaluation, Shown, Track, as_json, curve
from nerfsem_method.evaluation.page import page
from nerfsem_method.files import replacing

_LABEL_HEIGHT = 22
_ROW = 3


def write_report(folder: Path, evaluation: Evaluation, shown: Sequence[Shown]) -> None:
    """Write all four files into a folder, which is made if missing. Raises OutputError."""
    from PIL import Image

    with replacing(folder / "metrics.json") as partial:
        partial.write_text(json.dumps(as_json(evaluation), indent=1) + "\n")
    with replacing(folder / "comparison.png") as partial:
        Image.fromarray(comparison_picture(shown)).save(partial, format="PNG")
    with replacing(folder / "rd.png") as partial:
        plot_curves(partial, evaluation.tracks)
    with replacing(folder / "index.html") as partial:
        partial.write_text(page(evaluation, shown), encoding="utf-8")


def comparison_picture(shown: Sequence[Shown]) -> np.ndarray:
    """Return frames uint8 [H, W, 3] side by side, one row a frame and mode, each with its label above: uint8 [H', W', 3]."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(13)
    strips = []
    for row in shown:
        cells = []
        for label, frame in row.pictures.items():
            cell = Image.new("RGB", (frame.shape[1], frame.shape[0] + _LABEL_HEIGHT), "white")
            cell.paste(Image.fromarray(frame), (0, _LABEL_HEIGHT))
            ImageDraw.Draw(cell).text((4, 3), f"{row.mode} #{row.index} {label}", fill="black", font=font)
            cells.append(np.asarray(cell))
        strips.append(np.concatenate(cells, 1))
    return np.concatenate(strips, 0)


def plot_curves(path: Path, tracks: Sequence[Track]) -> None:
    """Write a PNG of quality over bytes, logarithmic: one plot a mode and a metric that was measured, three in a row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    metrics = [metric for metric in CURVES if any(curve([t.ours], metric) for t in tracks)]
    rows = -(-len(metrics) // _ROW)
    figure = Figure(figsize=(4.6 * _ROW, 3.8 * rows * len(tracks)), layout="constrained")
    parts = figure.subfigures(len(tracks), squeeze=False)[:, 0]
    for track, part in zip(tracks, parts, strict=True):
        for number, metric in enumerate(metrics, 1):
            axis = part.add_subplot(rows, _ROW, number)
            sign = METRICS[metric].sign
            for name, points in (*track.peers.items(), ("nerfsem", tuple(track.sweep.values()))):
                pairs = sorted(curve(points, metric))
                style = {"marker": "*", "markersize": 12, "color": "black"} if name == "nerfsem" else {"marker": "."}
                axis.plot([size / 1000 for size, _ in pairs], [sign * value for _, value in pairs], label=name, **style)
            if sign < 0:
                axis.invert_yaxis()  # so that better is up everywhere
            axis.set(xscale="log", xlabel="kilobytes", ylabel=METRICS[metric].title, title=track.mode.upper())
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 6, 8)))
            axis.xaxis.set_major_formatter(ScalarFormatter())
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.grid(True, alpha=0.3)
            axis.legend()
    FigureCanvasAgg(figure).print_png(path)
