"""The facts of a bundle are what its owner wants to know: clip, camera, bytes by part, and the metadata."""

from __future__ import annotations

from typing import TypedDict

from nerfsem_method.codec import nsem
from nerfsem_method.codec.container import unpack
from nerfsem_method.codec.metadata import metadata_of


class VideoFacts(TypedDict):
    """These are the facts of the clip: pixels, frames a second as a fraction in text, and the SHA-256 of the source.

    The clip's frames `left_out`, by their numbers there, are damaged or have no pose.
    """

    name: str
    width: int
    height: int
    frames: int
    rate: str
    sha256: str
    left_out: list[int]


class CameraFacts(TypedDict):
    """This is COLMAP's description of the camera: fx, fy, cx, cy, k1, k2, p1, p2.

    Frame i has zooms[i] times this focal length; `zooms` is empty where one lens took all frames.
    """

    model: str
    width: int
    height: int
    params: list[float]
    zooms: list[float]


class Facts(TypedDict):
    """These facts are what `nerfsem info --json` prints.

    `bpp` are bits a pixel of the whole file; `exposure` is "constant" or "per frame"; `parts` are bytes by section.
    """

    mode: str
    bytes: int
    bpp: float
    video: VideoFacts
    camera: CameraFacts
    exposure: str
    parts: dict[str, int]
    metadata: dict[str, str]


def facts_of(data: bytes, bundle: nsem.Bundle) -> Facts:
    """Return the facts of a bundle, given its bytes and what they decode to. Raises CorruptBundle for damaged metadata."""
    video, camera = bundle.video, bundle.camera
    return {
        "mode": bundle.mode,
        "bytes": len(data),
        "bpp": 8 * len(data) / (video.frames * video.width * video.height),
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
            "zooms": [] if bundle.zooms is None else bundle.zooms.tolist(),
        },
        "exposure": "constant" if (bundle.gains == 1).all() and bundle.tints is None else "per frame",
        "parts": nsem.sizes(data),
        "metadata": metadata_of(unpack(data, nsem.KNOWN_SECTIONS)),
    }
