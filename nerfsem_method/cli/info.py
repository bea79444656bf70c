"""`nerfsem info` shows what a bundle holds and where its bytes go."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from nerfsem_method.errors import printable
from nerfsem_method.media.matte_names import frames_text

if TYPE_CHECKING:
    from nerfsem_method.codec import nsem

PARTS = {
    "SPEC": "facts and shapes",
    "CAMS": "cameras",
    "OCCU": "occupancy grid",
    "HEAD": "rendering heads",
    "CTXT": "context models",
    "GRID": "embeddings",
    "HASH": "symbol hash",
    "BACK": "background",
    "gaps": "frames left out",
    "meta": "metadata",
    "container": "container",
}


@dataclass(frozen=True)
class Info:
    """Show what a .nsem bundle holds: clip, camera, and bytes by part.

    Example: nerfsem info relic.nsem --json
    """

    bundle: tyro.conf.Positional[Path]
    """Read this .nsem file."""
    json: bool = False
    """Print one JSON object on stdout, for programs."""

    def run(self) -> None:
        """Show the facts. Raises BundleError for a file that cannot be decoded."""
        from nerfsem_method.codec import nsem
        from nerfsem_method.codec.container import unpack
        from nerfsem_method.codec.metadata import metadata_of

        data = nsem.read_bytes(self.bundle)
        facts = describe(nsem.decode(data), nsem.sizes(data))
        facts["metadata"] = metadata_of(unpack(data, nsem.KNOWN_SECTIONS))
        print(json.dumps(facts, indent=1) if self.json else _as_text(self.bundle.name, facts))


def describe(bundle: nsem.Bundle, sizes: dict[str, int]) -> dict[str, Any]:
    """Return the facts of a bundle for JSON; `sizes` are its bytes by section. `bpp` are bits per pixel of the whole file."""
    video, camera = bundle.video, bundle.camera
    total = sum(sizes.values())
    return {
        "mode": bundle.mode,
        "bytes": total,
        "bpp": 8 * total / (video.frames * video.width * video.height),
        "video": {
            "name": video.name,
            "width": video.width,
            "height": video.height,
            "frames": video.frames,
            "rate": str(video.rate),
            "sha256": video.sha256,
            "left_out": list(video.left_out),
        },
        "camera": {
            "model": "OPENCV",
            "width": camera.width,
            "height": camera.height,
            "params": list(camera.params),
        },
        "exposure": "constant" if (bundle.gains == 1).all() else "per frame",
        "parts": sizes,
    }


def _as_text(name: str, facts: dict[str, Any]) -> str:
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
    if video["left_out"]:
        lines.append(f"  left out  {frames_text(video['left_out'])} of the clip, which have no camera or are damaged")
    lines += [f"  {element:<14}{printable(text)}" for element, text in facts["metadata"].items()]
    for tag, size in facts["parts"].items():
        label = PARTS.get(tag, tag)
        lines.append(f"  {label:<18}{size:>9} bytes{100 * size / facts['bytes']:>7.1f} %")
    return "\n".join(lines)
