"""An evaluation's page is one HTML file that a browser opens from a disk: tables, and frames to wipe over with a slider."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from nerfsem_method.evaluation.findings import (
    BUNDLES,
    CURVES,
    METRICS,
    RANKS,
    Evaluation,
    Reading,
    Shown,
    Track,
    at_our_bytes,
    at_our_quality,
    delta_rate,
)
from nerfsem_method.evaluation.metrics import STRONG_CHROMA
from nerfsem_method.evaluation.peers import RatePoint

_COLOURS = ("ciede2000", "ciede2000_p95", "ciede2000_strong")


def page(evaluation: Evaluation, shown: Sequence[Shown]) -> str:
    """Return the page: what was found, by mode, and below it all points and the pictures."""
    parts = ", ".join(f"{name} {size:,}" for name, size in evaluation.parts.items())
    size = f"{evaluation.width} x {evaluation.height}"
    facts = f"{evaluation.frames} frames of {size}; bytes of {evaluation.bundle} by part: {parts}"
    modes = []
    for track in evaluation.tracks:
        modes += [f"<h2>{track.mode.upper()}</h2>", *_findings(track), _wipe([it for it in shown if it.mode == track.mode])]
        modes += [f"<details><summary>All points of {track.mode.upper()}</summary>", _points(track), "</details>"]
    return _PAGE.format(
        title=html.escape(f"{_together(evaluation)} against {evaluation.clip}"),
        facts=html.escape(facts),
        notes="".join(f"<p>{html.escape(note)}</p>" for note in evaluation.notes),
        modes="\n".join(modes),
    )


def _together(evaluation: Evaluation) -> str:
    others = len(evaluation.tracks[0].sweep) - 1
    return evaluation.bundle if not others else f"{evaluation.bundle} and {others} more"


def _findings(track: Track) -> Iterator[str]:
    """Yield the tables that answer which codec takes fewer bytes, at which quality, and which has the truer colours."""
    yield "<h3>Our bundles</h3>"
    named = ((name, point) for name, point in track.sweep.items())
    yield _table(("bundle", *_HEAD), ((name, *_cells(point)) for name, point in named))
    if (reason := track.ours.quality.lpips_reason) is not None:
        yield f"<p>LPIPS was not measured: {html.escape(reason)}.</p>"
    if not track.peers:
        return
    metrics = [metric for metric in CURVES if getattr(track.ours.quality, metric) is not None]
    titles = [METRICS[metric].title for metric in metrics]
    yield "<h3>Bytes of a peer at our quality</h3><p>In brackets stands what we take of them.</p>"
    yield _table(("bundle", "peer", *titles), _at_our_quality(track, metrics))
    yield "<h3>Over the whole curves</h3><p>Bjontegaard's delta rate: so much more we take at equal quality, or less below 0.</p>"
    if len(track.sweep) < BUNDLES:
        yield "<p>It takes four bundles of different sizes or more.</p>"
    else:
        yield _table(("peer", *titles), ((peer, *(_rate(track, peer, metric) for metric in metrics)) for peer in track.peers))
    colours = [metric for metric in _COLOURS if getattr(track.ours.quality, metric) is not None]
    if colours:
        yield "<h3>Colour at our bytes</h3><p>CIEDE2000 over the object, lower is better; 1 is just seen. A colour is strong "
        yield f"where the source's chroma exceeds {STRONG_CHROMA:g}.</p>"
        yield _table(("bundle", "codec", *(METRICS[metric].title for metric in colours)), _colours(track, colours))


def _at_our_quality(track: Track, metrics: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for name, ours in track.sweep.items():
        for peer, points in track.peers.items():
            readings = [at_our_quality(points, ours, metric) for metric in metrics]
            yield name, peer, *(_text(it, "{:,.0f}") + _share(ours.bytes, it) for it in readings)


def _colours(track: Track, metrics: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for name, ours in track.sweep.items():
        yield name, "nerfsem", *(f"{getattr(ours.quality, metric):.2f}" for metric in metrics)
        for peer, points in track.peers.items():
            yield name, peer, *(_text(at_our_bytes(points, ours, metric), "{:.2f}") for metric in metrics)


def _rate(track: Track, peer: str, metric: str) -> str:
    rate, span = delta_rate(track, peer, metric)
    if span is None:
        return rate.why
    low, high = (f"{value:.{METRICS[metric].digits}f}" for value in span)
    return f"{rate.value:+.0f} % ({low} to {high})"


def _text(reading: Reading, form: str) -> str:
    return reading.why if reading.value is None else form.format(reading.value)


def _share(size: int, reading: Reading) -> str:
    return "" if reading.value is None else f" ({size / reading.value:.2f})"


_HEAD = ("bytes", "bpp", "PSNR", "PSNR-CENTER", "PSNR-Y", "PSNR-Y-CENTER", "SSIM", "LPIPS", "CIEDE2000", "95th pct.", "strong")


def _points(track: Track) -> str:
    rows = ((point.codec, str(point.level), *_cells(point)) for points in track.peers.values() for point in points)
    return _table(("codec", "level", *_HEAD), rows)


def _cells(point: RatePoint) -> tuple[str, ...]:
    quality = point.quality
    decibels = (quality.psnr, quality.psnr_center, quality.psnr_y, quality.psnr_y_center)
    colours = (getattr(quality, metric) for metric in _COLOURS)
    return (
        f"{point.bytes:,}",
        f"{point.bpp:.5f}",
        *("-" if value is None else f"{value:.2f}" for value in decibels),
        f"{quality.ssim:.4f}",
        "-" if quality.lpips is None else f"{quality.lpips:.4f}",
        *("-" if value is None else f"{value:.2f}" for value in colours),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(head, "th"), *(_row(row, "td") for row in rows)]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _wipe(shown: Sequence[Shown]) -> str:
    """Return two pictures of a frame one over the other, chosen by their labels, with a slider that moves the border between."""
    labels = list(shown[0].pictures)
    frames = "".join(f'<option value="{row.rank}">{row.rank}: frame {row.index}</option>' for row in shown)
    chosen = (f"{labels[0]}", labels[1])
    menus = [
        f'<select class="{side}" aria-label="{side} picture">'
        + "".join(
            f'<option value="{n}"{" selected" * (label == mine)}>{html.escape(label)}</option>' for n, label in enumerate(labels)
        )
        + "</select>"
        for side, mine in zip(("left", "right"), chosen, strict=True)
    ]
    pictures = "".join(
        f'<img data-frame="{row.rank}" data-label="{n}" alt="{html.escape(label)}, {row.rank} frame" src="{_embedded(picture)}">'
        for row in shown
        for n, (label, picture) in enumerate(row.pictures.items())
    )
    height, width = next(iter(shown[0].pictures.values())).shape[:2]
    return _WIPE.format(
        frames=frames, left=menus[0], right=menus[1], pictures=pictures, width=width, height=height, ranks=", ".join(RANKS)
    )


def _embedded(picture: np.ndarray) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


_WIPE = """<div class="wipe">
<h3>Frames</h3>
<p>Frames by our PSNR over the object: {ranks}. Peers are shown at the bytes nearest to ours. Pull the line.</p>
<p><select class="frame" aria-label="frame">{frames}</select> {left} beside {right}</p>
<div class="stage" style="width: {width}px; aspect-ratio: {width} / {height}">{pictures}<i></i></div>
<input type="range" min="0" max="100" value="50" step="0.5" aria-label="border between both pictures" style="width: {width}px">
</div>"""

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 80em; padding: 0 1em }}
table {{ border-collapse: collapse; display: block; overflow-x: auto }}
td, th {{ padding: .15em .8em; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }}
td:first-child, th:first-child {{ text-align: left }}
img {{ max-width: 100% }}
.stage {{ position: relative; max-width: 100%; overflow: hidden; background: #eee; touch-action: none; cursor: ew-resize }}
.stage img {{ position: absolute; inset: 0; width: 100%; height: 100%; display: none; pointer-events: none }}
.stage i {{ position: absolute; top: 0; bottom: 0; width: 1px; background: #d00; pointer-events: none }}
.wipe input {{ max-width: 100%; margin: .5em 0 }}
</style>
<h1>{title}</h1>
<p>{facts}</p>
{notes}
{modes}
<h2>Rate and distortion</h2>
<p>Better is up.</p>
<img src="rd.png" alt="quality over bytes">
<script>
for (const wipe of document.querySelectorAll(".wipe")) {{
  const [frame, left, right] = ["frame", "left", "right"].map(name => wipe.querySelector("." + name));
  const stage = wipe.querySelector(".stage"), slider = wipe.querySelector("input");
  const draw = () => {{
    for (const picture of stage.querySelectorAll("img")) {{
      const here = picture.dataset.frame === frame.value, {{label}} = picture.dataset;
      const above = here && label === left.value;
      picture.style.display = above || (here && label === right.value) ? "block" : "none";
      picture.style.zIndex = above ? 1 : 0;
      picture.style.clipPath = above ? `inset(0 ${{100 - slider.value}}% 0 0)` : "none";
    }}
    stage.querySelector("i").style.cssText = `left: ${{slider.value}}%; z-index: 2`;
  }};
  const follow = event => {{
    if (event.buttons || event.type === "pointerdown") {{
      const box = stage.getBoundingClientRect();
      slider.value = 100 * (event.clientX - box.left) / box.width;
      draw();
    }}
  }};
  for (const control of [frame, left, right, slider]) control.addEventListener("input", draw);
  for (const kind of ["pointerdown", "pointermove"]) stage.addEventListener(kind, follow);
  draw();
}}
</script>
</html>
"""
