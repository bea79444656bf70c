"""This program made the golden bundles: `python tests/golden/make.py` (with tests/ on the path) writes those that are not there.

They are what version 1 looks like, so they are never made anew to please a test: only what is new adds new ones. Those from
before section VOXL hold their occupancy in OCCU. The tiny ones are random fields that together use every option of the format;
vase.nsem is a trained bundle of the sample object (CC0), 120 frames of 270x480, kept as it was exported. Beside each bundle lie

- NAME.json: SHA-256 of all symbols (of which the HASH section holds the first bytes), of the background's stream or its
  network's integers, little-endian int32, and of the residual's stream;
- NAME.png: every `stride`-th pixel of every `stride`-th row of frame 0 over white, as docs/reference_decoder.py renders it,
  without a residual. It is a picture and not a hash because rendering is floating-point arithmetic, and may differ by 1/255 from
  machine to machine.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from neural_background import tiny_network
from test_reference_decoder import background_facts
from tiny_field import DENSE, FINE_POSES, HASHED, lighter_and_darker, ramps, tiny_bundle

from nerfsem_method.codec import cameras, nsem
from nerfsem_method.codec.background import StreamCodec
from nerfsem_method.codec.container import pack
from nerfsem_method.codec.filter import CHANNELS, TAPS, Filter
from nerfsem_method.codec.tints import Tints
from nerfsem_method.field.spec import Level
from nerfsem_method.field.state import QuantisedTensor

FOLDER = Path(__file__).parent
REFERENCE = FOLDER.parents[1] / "docs/reference_decoder.py"
STRIDES = {
    "dense-fp": 1, "dense-pc": 1, "hashed-fp": 1, "hashed-pc": 1, "hevc-pc": 1, "mixed-fp": 1, "neural-pc": 1, "obus-pc": 1,
    "residual-fp": 1, "sharp-pc": 1, "tinted-fp": 1, "vase": 2, "zoomed-fp": 1,
}  # fmt: skip


def tiny_bundles() -> dict[str, nsem.Bundle]:
    """Return the bundles of the tiny fields by name."""
    dense_sample = replace(DENSE, shading="sample", directions=4, color_layers=0)
    hashed_ray = replace(HASHED, shading="ray", planes=tuple(Level(side, 1) for side in (12, 16, 24, 32, 40)))
    return {
        "dense-fp": tiny_bundle(DENSE),
        "dense-pc": with_everything(tiny_bundle(dense_sample)),
        "hashed-fp": tiny_bundle(HASHED, frames=1),
        "hashed-pc": with_everything(tiny_bundle(hashed_ray)),
        "hevc-pc": filmed(tiny_bundle(DENSE), "h265"),
        "mixed-fp": tiny_bundle(replace(HASHED, occupancy=24), frames=1),
        "neural-pc": painted(tiny_bundle(HASHED)),
        "obus-pc": filmed(tiny_bundle(DENSE), "av1"),
        "residual-fp": replace(tiny_bundle(DENSE), residual=lighter_and_darker(tiny_bundle(DENSE).video)),
        "sharp-pc": sharpened(with_everything(tiny_bundle(DENSE))),
        "tinted-fp": tinted(tiny_bundle(hashed_ray)),
        "zoomed-fp": zoomed(tiny_bundle(DENSE)),
    }


def with_everything(made: nsem.Bundle) -> nsem.Bundle:
    """Return a bundle with strong distortion, a changing exposure and a background."""
    camera = replace(made.camera, fy=42.0, cx=11.5, k1=-0.6, k2=2.0, p1=0.03, p2=-0.04)
    phases = np.arange(len(made.poses))[:, None] + np.arange(3)
    gains = np.exp2(0.8 * np.sin(phases)).astype(np.float32)
    return replace(made, camera=camera, gains=gains, background=ramps(made.video)).quantised()


def sharpened(made: nsem.Bundle, width: int = 5) -> nsem.Bundle:
    """Return a bundle with a filter whose weights are waves."""
    count = width * CHANNELS * TAPS * TAPS
    first = np.rint(60 * np.sin(1.7 * np.arange(count))).astype(np.int32).reshape(width, CHANNELS, TAPS, TAPS)
    second = np.rint(50 * np.sin(2.3 * np.arange(count) + 1)).astype(np.int32).reshape(CHANNELS, width, TAPS, TAPS)
    return replace(made, filter=Filter(QuantisedTensor(first, -6), QuantisedTensor(second, -9)))


def filmed(made: nsem.Bundle, codec: StreamCodec) -> nsem.Bundle:
    """Return a bundle with a background of another codec than H.264."""
    return replace(made, background=ramps(made.video, codec))


def painted(made: nsem.Bundle) -> nsem.Bundle:
    """Return a bundle whose background is a network."""
    return replace(made, background=tiny_network(made.video))


def tinted(made: nsem.Bundle) -> nsem.Bundle:
    """Return a bundle whose frames differ in colour along two directions, beside their exposure."""
    turns = np.arange(len(made.poses))[:, None] + np.arange(2)
    directions = np.array([np.arange(-330, 330, 55), 500 * np.sin(np.arange(12))]).astype(np.int64)
    tints = Tints(directions, np.rint(9 * np.sin(turns)).astype(np.int64))
    return replace(made, gains=np.full_like(made.gains, 0.9), tints=tints).quantised()


def zoomed(made: nsem.Bundle) -> nsem.Bundle:
    """Return a bundle with strong distortion, the first and two other frames of which other lenses took."""
    camera = replace(made.camera, fy=42.0, cx=11.5, k1=-0.6, k2=2.0, p1=0.03, p2=-0.04)
    return replace(made, camera=camera, zooms=np.array([1.7, 1, 0.6, 1, 1, 1.7])).quantised()


def record(name: str) -> None:
    """Write what decoders must make of a bundle."""
    path, stride = FOLDER / f"{name}.nsem", STRIDES[name]
    read = nsem.read(path)
    symbols = hashlib.sha256(b"".join(table.tobytes() for table in read.state.tables)).hexdigest()
    facts = {"symbols": symbols, "stride": stride}
    facts |= background_facts(read)
    path.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    output = ["--output", path.with_suffix(".png"), "--stride", str(stride)]
    subprocess.run([sys.executable, REFERENCE, path, *output], check=True)


if __name__ == "__main__":
    cameras.REPROJECTION = FINE_POSES
    for name, made in tiny_bundles().items():
        if not (path := FOLDER / f"{name}.nsem").exists():
            path.write_bytes(pack(nsem.sections(made)))
            record(name)
