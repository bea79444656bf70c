"""A collection becomes something to look at: OUT/index.html, with posters, sizes and qualities, the worst captures first."""

from __future__ import annotations

import html
import os
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from string import Template

from nerfsem_method.collection import store
from nerfsem_method.collection.items import Item
from nerfsem_method.collection.shelf import Shelf
from nerfsem_method.collection.store import Row
from nerfsem_method.errors import printable
from nerfsem_method.files import check_writable, replacing

INDEX = "index.html"
MOST_ROWS = 5000
"""A page of more rows than these is slow in a browser; the worst are shown, and `collection status --json` has all."""
WIDTH, HEIGHT, MARGIN = 720, 260, 34
"""The plot is so large, with so much free on its left and below for labels, in SVG units."""
_RANK = {"failed": 0, "running": 1, "waiting": 2, "done": 3}


@dataclass(frozen=True)
class Entry:
    """An entry is a row, and which of the files that may belong to it are there."""

    row: Row
    shelf: Shelf

    @property
    def warnings(self) -> list[str]:
        """Return what is to be said of the item: why it failed, and what capture warns of."""
        return [*([self.row.reason] if self.row.reason else []), *self.row.facts.get("warnings", [])]

    @property
    def quality(self) -> float | None:
        """Return the decoded bundle's PSNR-CENTER in dB."""
        return self.row.facts.get("psnr_center")

    @property
    def badness(self) -> tuple[int, int, float, str]:
        """Return by what the worst come first: failed ones, then many warnings, then a low quality."""
        return _RANK[self.row.state], -len(self.warnings), self.quality or 0.0, self.row.name

    def linked(self, path: Path, text: str) -> str:
        """Return a text that leads to one of the collection's files, if that is there."""
        if not path.is_file():
            return text
        return f'<a href="{urllib.parse.quote(os.fsencode(path.relative_to(self.shelf.out)))}">{text}</a>'


def write_page(out: Path) -> Path:
    """Write a collection's page, and return its path. Raises NerfsemError where there is no collection, OutputError."""
    with store.seen(out) as states:
        rows = states.rows()
    path = out / INDEX
    check_writable(path)
    entries = sorted((Entry(row, Shelf(out)) for row in rows), key=lambda entry: entry.badness)
    with replacing(path) as partial:
        partial.write_text(page(entries), encoding="utf-8")
    return path


def page(entries: list[Entry]) -> str:
    """Return the whole page."""
    done = [entry for entry in entries if entry.row.state == "done"]
    counts = ", ".join(f"{sum(e.row.state == state for e in entries)} {state}" for state in store.STATES)
    size = sum(entry.row.bytes for entry in done)
    shown = entries[:MOST_ROWS]
    more = f" The worst {MOST_ROWS} are shown." if len(entries) > MOST_ROWS else ""
    return Template(_PAGE).substitute(
        title=f"{len(entries)} items",
        facts=f"{counts}; {size / 1e6:.2f} MB of bundles.{more}",
        plot=_plot([(e.row.bytes / 1000, e.quality, e.row.name) for e in done if e.quality is not None][:MOST_ROWS]),
        rows="\n".join(map(_line, shown)),
    )


def _line(entry: Entry) -> str:
    row, item = entry.row, Item(entry.row.name, Path())
    poster, done = entry.shelf.poster(item), row.state == "done"
    address = urllib.parse.quote(poster.relative_to(entry.shelf.out).as_posix())
    picture = f'<img src="{address}" alt="" loading="lazy">' if done and poster.is_file() else ""
    name = html.escape(printable(row.name.encode("utf-8", "replace").decode()))
    title = f"<small>{html.escape(printable(row.metadata['title']))}</small>" if "title" in row.metadata else ""
    texts = "".join(f"<li>{html.escape(printable(text))}</li>" for text in entry.warnings)
    links = " ".join(
        entry.linked(path, text) for path, text in ((entry.shelf.page(item), "capture"), (entry.shelf.log(item), "log"))
        if path.is_file()
    )  # fmt: skip
    quality = entry.quality
    cells = (
        (name, picture),
        (name, f"{entry.linked(entry.shelf.bundle(row), name) if done else name}{title}"),
        (str(_RANK[row.state]), f'<span class="{row.state}">{row.state}</span>'),
        (str(row.bytes), f"{row.bytes:,}" if done else ""),
        (str(quality or 0), "" if quality is None else f"{quality:.2f}"),
        (str(row.seconds), f"{row.seconds:.0f}" if row.seconds else ""),
        (str(len(entry.warnings)), f"<ul>{texts}</ul>{links}"),
    )
    return "<tr>" + "".join(f'<td data-key="{key}">{cell}</td>' for key, cell in cells) + "</tr>"


def _plot(points: list[tuple[float, float, str]]) -> str:
    """Return an SVG of quality in dB over size in kilobytes; nothing where no item is done."""
    if not points:
        return ""
    (left, right), (low, high) = (_range(list(values)) for values in ([p[0] for p in points], [p[1] for p in points]))
    marks = []
    for size, quality, name in points:
        x = MARGIN + (WIDTH - 2 * MARGIN) * (size - left) / (right - left)
        y = (HEIGHT - MARGIN) * (1 - (quality - low) / (high - low))
        told = html.escape(f"{printable(name.encode('utf-8', 'replace').decode())}: {size:.1f} kB, {quality:.2f} dB")
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{told}</title></circle>')
    bottom = HEIGHT - MARGIN
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="PSNR-CENTER over size">'
        f'<path class="axes" d="M{MARGIN} 0V{bottom}H{WIDTH}"/>{"".join(marks)}'
        f'<text x="{MARGIN}" y="{HEIGHT - 12}">{left:.1f} kB</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 12}" text-anchor="end">{right:.1f} kB</text>'
        f'<text x="0" y="{bottom}">{low:.0f}</text><text x="0" y="12">{high:.0f} dB</text></svg>'
    )


def _range(values: list[float]) -> tuple[float, float]:
    """Return bounds around values, with some air on either side."""
    air = 0.05 * (max(values) - min(values)) or 1.0
    return min(values) - air, max(values) + air


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title><link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #888; --bad: #c0392b; --good: #2e7d4f }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } td, th { padding: .4rem .6rem; border-bottom: 1px solid var(--line) }
th { text-align: left; cursor: pointer } td { vertical-align: top; overflow-wrap: anywhere }
:is(td, th):is(:nth-child(4), :nth-child(5), :nth-child(6)) { text-align: right; font-variant-numeric: tabular-nums }
img { max-height: 120px; max-width: 160px; display: block } ul { margin: 0; padding-left: 1.1rem } ul:empty { display: none }
small { display: block; color: var(--soft) } .failed { color: var(--bad) } .done { color: var(--good) }
svg { width: 100%; height: auto } circle { fill: #2f6f9f99 } .axes { fill: none; stroke: var(--soft) }
text { font-size: 11px; fill: var(--soft) }
</style></head><body>
<h1>$title</h1><p>$facts</p>
$plot
<table><thead><tr>
<th>poster</th><th>clip</th><th>state</th><th>bytes</th><th>PSNR-CENTER [dB]</th><th>seconds</th><th>what is to be said</th>
</tr></thead><tbody>
$rows
</tbody></table>
<script>
document.querySelectorAll("th").forEach((head, column) => head.addEventListener("click", () => {
  const body = document.querySelector("tbody"), key = row => row.cells[column].dataset.key
  const down = head.dataset.down = head.dataset.down === "1" ? "0" : "1"
  const order = (a, b) => column < 2 ? key(a).localeCompare(key(b)) : key(a) - key(b)
  body.append(...[...body.rows].sort((a, b) => down === "1" ? order(a, b) : order(b, a)))
}))
</script>
</body></html>
"""
