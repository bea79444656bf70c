"""This module makes a capture something to look at: `report.html`, one page that holds its pictures and needs nothing else."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nerfsem_method.capture.cameras.sparse import GIVEN
from nerfsem_method.capture.report.figures import Report
from nerfsem_method.capture.report.frames import BLURRED
from nerfsem_method.media.pictures import read_picture
from nerfsem_method.scene.camera import camera_centres
from nerfsem_method.scene.scene import Scene

SHEET_FRAMES = 24
"""The contact sheet shows at most so many frames, so that they are seen at a glance."""
SHEET_HEIGHT = 170
"""A picture on the contact sheet is so many pixels high, enough to judge its outline."""
JPEG_QUALITY = 80
"""Pictures of this quality keep the page small and their outlines clear."""
SHEET_GREY = 0.75
"""What the matte leaves out is faded to grey by this share; what is cut off by mistake must still be seen."""
PLOT, PLOT_MARGIN = 360, 26
"""A plan of the cameras is so wide, with so much free around it for labels, in SVG units."""
PLOT_POINTS = 700
"""A plan shows at most so many of the object's points, so that the cameras stay visible."""
CURVE_WIDTH, CURVE_HEIGHT = 720, 90
"""A curve is so large, in SVG units; the page stretches it to its column."""


@dataclass(frozen=True)
class Cloud:
    """A cloud is points on the object [P, 3], in the scene's units, with colours [P, 3] uint8."""

    points: np.ndarray
    colours: np.ndarray


def write_page(scene: Scene, report: Report, cloud: Cloud) -> None:
    """Write report.html into the scene's folder."""
    (scene.root / "report.html").write_text(page(scene, report, cloud), encoding="utf-8")


def page(scene: Scene, report: Report, cloud: Cloud) -> str:
    """Return the whole page. Nothing in it depends on where or when it was made."""
    video = scene.video
    remarks = len(report.warnings)
    verdict = "Nothing to complain about" if not remarks else f"Usable, with {remarks} remark{'s' * (remarks > 1)}"
    return _PAGE.format(
        name=html.escape(video.name),
        facts=f"{video.frames} frames of {video.width} &times; {video.height}, {float(video.rate):.4g} frames a second",
        state="good" if not remarks else "warn",
        verdict=verdict,
        warnings="".join(f"<li>{html.escape(_sentence(text))}</li>" for text in report.warnings),
        tiles="".join(_tile(*facts) for facts in _tiles(scene, report)),
        above=_plan(scene, report, cloud, (0, 1)),
        side=_plan(scene, report, cloud, (0, 2)),
        coverage=_curve([100 * share for share in report.coverage], report, 0, "%"),
        blur=_curve(report.blur, report, BLURRED, "pixels"),
        sheet=_contact_sheet(scene, report),
        lost=_without_camera(report),
    )


def _sentence(text: str) -> str:
    """Make a warning a sentence."""
    return f"{text[:1].upper()}{text[1:]}."


def _tiles(scene: Scene, report: Report) -> list[tuple[str, str, str]]:
    """Return value, name and explanation of each figure."""
    camera = scene.camera
    across = 2 * np.degrees(np.arctan(0.5 * max(camera.width / camera.fx, camera.height / camera.fy)))
    return [
        *_source_tiles(report),
        (f"{across:.1f}&deg;", "angle of view", f"the longer side; focal length {report.focal_pixels:.0f} pixels"),
        (f"{100 * np.median(report.coverage):.0f} %", "of the frame", f"is object; {report.points} points were found on it"),
    ]


def _source_tiles(report: Report) -> list[tuple[str, str, str]]:
    """Return the figures that depend on where the cameras come from."""
    circle = f"{report.turn_degrees:.0f}&deg;", "of the circle"
    if report.features_from == GIVEN:
        return [(f"{report.frames}", "cameras", "were given with the pictures"), (*circle, "is covered by the cameras")]
    source = {"frame": "features of the whole frame", "object": "features of the object alone"}[report.features_from]
    count = report.frames + len(report.unposed)
    share = 100 * report.registered / count
    return [
        (f"{share:.0f} %", "cameras found", f"{report.registered} of {count}; {source}"),
        (f"{report.reprojection_error_pixels:.2f} px", "reprojection error", "mean over all triangulated points"),
        (*circle, f"{report.loop_closures} pairs tie its end to its beginning"),
    ]


def _tile(value: str, name: str, explanation: str) -> str:
    """Return the HTML of one figure."""
    return f'<div class="tile"><b>{value}</b><span>{name}</span><small>{explanation}</small></div>'


def _plan(scene: Scene, report: Report, cloud: Cloud, axes: tuple[int, int]) -> str:
    """Return an SVG of the cameras' way and the object's points along two of the world's axes; the second one points up."""
    centres = camera_centres(scene.poses)[:, axes] - 0.5
    views = scene.poses[:, 2, :3][:, axes]
    dots = cloud.points[:, axes] - 0.5
    low, high = (f(np.concatenate([centres, [[-0.5, -0.5], [0.5, 0.5]]]), axis=0) for f in (np.min, np.max))
    unit = (PLOT - 2 * PLOT_MARGIN) / float((high - low)[0])
    height = round(unit * float((high - low)[1])) + 2 * PLOT_MARGIN

    def at(places: np.ndarray) -> np.ndarray:
        """Return places [*, 2] of the world in SVG units."""
        return (places - (low[0], high[1])) * (unit, -unit) + PLOT_MARGIN

    parts = [_box(at(np.array([[-0.5, 0.5], [0.5, -0.5]])))]
    chosen = np.unique(np.linspace(0, len(dots) - 1, PLOT_POINTS).astype(int)) if len(dots) else []
    for index in chosen:
        (x, y), colour = at(dots[index]), "#{:02x}{:02x}{:02x}".format(*cloud.colours[index])
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.3" fill="{colour}"/>')
    way = " ".join(f"{x:.1f},{y:.1f}" for x, y in at(centres))
    parts.append(f'<polyline class="way" points="{way}"/>')
    for index, (centre, view) in enumerate(zip(at(centres), views * (1, -1), strict=True)):
        parts.append(_camera(centre, view, index, report))
    parts += _ends(at(centres[[0, -1]]), at(np.zeros(2)))
    return f'<svg viewBox="0 0 {PLOT} {height}" role="img">{"".join(parts)}</svg>'


def _ends(places: np.ndarray, middle: np.ndarray) -> list[str]:
    """Write beside their cameras [2, 2] which are the first and the last frame; once where these stand together."""
    labels = ["first", "last"]
    if np.linalg.norm(places[1] - places[0]) < 14:
        places, labels = places[:1], ["first, last"]
    written = []
    for place, label in zip(places, labels, strict=True):
        outward = place - middle
        x, y = place + 15 * outward / max(float(np.linalg.norm(outward)), 1e-9)
        written.append(f'<text x="{x:.1f}" y="{y + 4:.1f}">{label}</text>')
    return written


def _box(corners: np.ndarray) -> str:
    """Return the outline of the unit cube between two corners [2, 2]."""
    (x, y), (right, bottom) = corners
    return f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{right - x:.1f}" height="{bottom - y:.1f}"/>'


def _camera(centre: np.ndarray, view: np.ndarray, index: int, report: Report) -> str:
    """Return a wedge that opens towards where the camera looks, from blue (first frame) to red (last)."""
    length = float(np.linalg.norm(view))
    ahead = 8 * view / max(length, 1e-9) * max(length, 0.3)
    aside = 3.2 * np.array([-ahead[1], ahead[0]]) / max(float(np.linalg.norm(ahead)), 1e-9)
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in (centre, centre + ahead + aside, centre + ahead - aside))
    hue = 215 + 145 * index / max(report.frames - 1, 1)
    missing = index in report.interpolated
    paint = f'class="camera missing" stroke="hsl({hue:.0f} 70% 50%)"' if missing else f'fill="hsl({hue:.0f} 70% 50%)"'
    note = ", interpolated" if missing else ""
    return f'<polygon {paint} points="{corners}"><title>{_name(report, index)}{note}</title></polygon>'


def _name(report: Report, index: int) -> str:
    """Return the HTML of what a frame is called."""
    return html.escape(report.naming.of_rows([index]))


def _curve(values: list[float], report: Report, limit: float, unit: str) -> str:
    """Return an SVG of one figure a frame, from zero; interpolated frames are marked, and the `limit` where there is one."""
    top = max(max(*values, limit) * 1.15, 1e-6)
    step = CURVE_WIDTH / max(len(values) - 1, 1)
    points = " ".join(f"{i * step:.1f},{CURVE_HEIGHT * (1 - v / top):.1f}" for i, v in enumerate(values))
    marks = "".join(
        f'<rect class="lost" x="{(i - 0.5) * step:.1f}" y="0" width="{step:.1f}" height="{CURVE_HEIGHT}"/>'
        for i in report.interpolated
    )
    area = f'<polygon class="area" points="0,{CURVE_HEIGHT} {points} {CURVE_WIDTH},{CURVE_HEIGHT}"/>'
    line = f'<polyline class="curve" points="{points}"/>'
    if limit:
        level = CURVE_HEIGHT * (1 - limit / top)
        line += f'<line class="limit" x1="0" x2="{CURVE_WIDTH}" y1="{level:.1f}" y2="{level:.1f}"/>'
    svg = f'<svg viewBox="-2 0 {CURVE_WIDTH + 4} {CURVE_HEIGHT}" preserveAspectRatio="none">{marks}{area}{line}</svg>'
    ends = (_name(report, 0), f"{min(values):.3g} to {max(values):.3g} {unit}", _name(report, len(values) - 1))
    return svg + '<div class="ends">' + "".join(f"<span>{end}</span>" for end in ends) + "</div>"


def _contact_sheet(scene: Scene, report: Report) -> str:
    """Return the HTML of evenly spread frames, cut out by their mattes."""
    count = len(scene.frames)
    chosen = np.unique(np.linspace(0, count - 1, min(SHEET_FRAMES, count)).round().astype(int))
    missing = set(report.interpolated)
    cells = []
    for index in chosen.tolist():
        frame = scene.frames[index]
        note = " interpolated" if index in missing else ""
        address = _data_uri(cut_out(scene.root / frame.image, scene.root / frame.matte))
        cells.append(
            f'<figure{" class=lost" if note else ""}><img src="{address}" alt="{_name(report, index)} and its matte">'
            f"<figcaption>{_name(report, index)}{note}</figcaption></figure>"
        )
    return "".join(cells)


def _without_camera(report: Report) -> str:
    """Return the HTML of all photographs without a camera, for a sentence names some of many alone."""
    if not report.files or not report.unposed:
        return ""
    names = ", ".join(report.naming.of([number]) for number in report.unposed)
    return f"<section><h2>Without a camera</h2><p>{html.escape(names)}</p></section>"


def cut_out(frame: Path, matte: Path) -> np.ndarray:
    """Return a frame, SHEET_HEIGHT high, in which all but the object is faded; [H, W, 3] uint8, blue first."""
    import cv2

    picture, soft = read_picture(frame), read_picture(matte, grey=True)
    size = (max(1, round(picture.shape[1] * SHEET_HEIGHT / picture.shape[0])), SHEET_HEIGHT)
    picture, soft = (cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (picture, soft))
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[..., None]
    faded = (1 - SHEET_GREY) * grey + SHEET_GREY * 235.0
    share = soft[..., None] / 255.0
    shown = np.round(share * picture + (1 - share) * faded).astype(np.uint8)
    outline, _ = cv2.findContours((soft > 127).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(shown, outline, -1, (60, 110, 255), 1, cv2.LINE_AA)


def _data_uri(picture: np.ndarray) -> str:
    """Return a picture as an address that holds it."""
    import cv2

    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}: capture</title>
<style>
:root {{
  --ground: #f6f5f2; --card: #fff; --ink: #23211e; --soft: #77726a; --line: #e3e0da; --accent: #2f6f9f; --warn: #b06a00;
  --good: #2e7d4f; color-scheme: light dark
}}
@media (prefers-color-scheme: dark) {{ :root {{
  --ground: #191817; --card: #232220; --ink: #ece9e4; --soft: #a09a91; --line: #38352f; --accent: #7db6df; --warn: #e6a23c;
  --good: #6fc492
}} }}
* {{ box-sizing: border-box }}
body {{ margin: 0; padding: 2.5rem 1.25rem 4rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; font-variant-numeric: tabular-nums }}
main {{ max-width: 62rem; margin: auto; display: grid; gap: 1.1rem }}
h1 {{ font-size: 1.6rem; margin: 0; font-weight: 650; letter-spacing: -.01em; overflow-wrap: anywhere }}
h2 {{ font-size: .95rem; margin: 0 0 .6rem; font-weight: 600 }}
p {{ margin: .1rem 0 0; color: var(--soft) }}
section {{ background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.15rem }}
.verdict {{ border-left: 5px solid var(--good) }} .verdict.warn {{ border-left-color: var(--warn) }}
.verdict h2 {{ margin: 0; color: var(--good) }} .verdict.warn h2 {{ color: var(--warn) }}
.verdict ul {{ margin: .5rem 0 0; padding-left: 1.15rem }} .verdict ul:empty {{ display: none }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: 1.1rem }}
.tile {{ background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .8rem 1rem }}
.tile b {{ font-size: 1.55rem; font-weight: 600; display: block; line-height: 1.25 }}
.tile span {{ display: block }} .tile small {{ color: var(--soft); display: block; line-height: 1.35; margin-top: .2rem }}
.pair {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: 1.1rem }}
svg {{ display: block; width: 100%; height: auto }}
.box {{ fill: none; stroke: var(--line); stroke-width: 1.2; stroke-dasharray: 4 3 }}
.way {{ fill: none; stroke: var(--soft); stroke-width: 1; opacity: .55 }}
.missing {{ fill: var(--card); stroke-width: 1.3 }}
text {{ font-size: 10px; fill: var(--soft); text-anchor: middle }}
.area {{ fill: var(--accent); opacity: .14 }} .curve {{ fill: none; stroke: var(--accent); stroke-width: 1.6 }}
.limit {{ stroke: var(--warn); stroke-width: 1; stroke-dasharray: 5 4 }}
.curves svg {{ height: 90px }} .lost {{ fill: var(--warn); opacity: .25 }}
.ends {{ display: flex; justify-content: space-between; color: var(--soft); font-size: .8rem; border-top: 1px solid var(--line) }}
.sheet {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(6.3rem, 1fr)); gap: .6rem }}
figure {{ margin: 0 }} figure img {{ width: 100%; display: block; border-radius: 4px }}
figcaption {{ font-size: .78rem; color: var(--soft); overflow-wrap: anywhere }} figure.lost figcaption {{ color: var(--warn) }}
</style></head><body><main>
<header><h1>{name}</h1><p>{facts}</p></header>
<section class="verdict {state}"><h2>{verdict}</h2><ul>{warnings}</ul></section>
<div class="tiles">{tiles}</div>
<div class="pair">
<section><h2>Cameras from above</h2>{above}</section>
<section><h2>Cameras from the side</h2>{side}</section>
</div>
<div class="pair curves">
<section><h2>The object's share of the frame</h2>{coverage}</section>
<section><h2>Softness of the edges</h2>{blur}</section>
</div>
<section><h2>Mattes</h2><div class="sheet">{sheet}</div></section>
{lost}
</main></body></html>
"""
