"""`nerfsem info` shows what a bundle holds and where its bytes go."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nerfsem_method.cli.manners import AsJson, BundlesIn, named
from nerfsem_method.errors import printable
from nerfsem_method.media.naming import frames_text

if TYPE_CHECKING:
    from nerfsem_method.codec.facts import Facts

PARTS = {
    "SPEC": "facts and shapes",
    "CAMS": "cameras",
    "ZOOM": "zooms of frames",
    "TINT": "colours of frames",
    "FILT": "filter of frames",
    "OCCU": "occupancy grid",
    "VOXL": "occupancy grid",
    "HEAD": "rendering heads",
    "CTXT": "context models",
    "GRID": "embeddings",
    "HASH": "symbol hash",
    "BACK": "background",
    "HEVC": "background, H.265",
    "OBUS": "background, AV1",
    "HNRV": "background, a network",
    "resi": "residual, AV1",
    "gaps": "frames left out",
    "meta": "metadata",
    "container": "container",
}


@dataclass(frozen=True)
class Info:
    """Show what a .nsem bundle holds: clip, camera, and bytes by part.

    Examples:
      nerfsem info relic.nsem
      nerfsem info archive/*.nsem --json
    """

    bundles: BundlesIn
    json: AsJson = False

    def run(self) -> None:
        """Show the facts. Raises BundleError for a file that cannot be decoded."""
        from nerfsem_method.api import open_bundle

        if self.json:
            found = [open_bundle(path).facts for path in named(self.bundles)]
            print(json.dumps(found[0] if len(found) == 1 else found, indent=1))
            return
        for path in named(self.bundles):
            print(_as_text(path.name, open_bundle(path).facts), flush=True)


def _as_text(name: str, facts: Facts) -> str:
    video, camera = facts["video"], facts["camera"]
    fx, fy, cx, cy, *distortion = camera["params"]
    seconds = f"{video['frames']} frames at {video['rate']} a second"
    lines = [
        f"{name}: {facts['mode']}, {facts['bytes']} bytes, {facts['bpp']:.5f} bits per pixel",
        f"  clip      {video['name']}, {video['width']} x {video['height']}, {seconds}",
        f"  camera    focal {fx:.2f} {fy:.2f}, centre {cx:.2f} {cy:.2f}, distortion "
        + " ".join(f"{value:.5f}" for value in distortion),
        f"  exposure  {facts['exposure']}",
    ]
    others = [zoom for zoom in camera["zooms"] if zoom != 1]
    if others:
        frames = f"{len(others)} frame{' was' if len(others) == 1 else 's were'} taken by other lenses"
        reach = " to ".join(dict.fromkeys(f"{zoom:.2f}" for zoom in (min(others), max(others))))
        lines.append(f"  lenses    {frames}, of {reach} times this focal length")
    if video["left_out"]:
        lines.append(f"  left out  {frames_text(video['left_out'])} of the clip, which have no camera or are damaged")
    lines += [f"  {element:<14}{printable(text)}" for element, text in facts["metadata"].items()]
    for tag, size in facts["parts"].items():
        label = PARTS.get(tag, tag)
        lines.append(f"  {label:<18}{size:>9} bytes{100 * size / facts['bytes']:>7.1f} %")
    return "\n".join(lines)
