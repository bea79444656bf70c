"""This program writes the seeds: bundles of 1 kB or less that decode in a moment.

PYTHONPATH=.:tests python -m benchmarks.fuzz.make_seeds

older-fp.nsem is not among them: its occupancy is in section OCCU, which is only read.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from neural_background import tiny_network
from tiny_field import tiny_bundle

from benchmarks.fuzz.mutate import SEEDS
from nerfsem_method.codec import nsem
from nerfsem_method.codec.background import Background
from nerfsem_method.codec.container import pack
from nerfsem_method.codec.filter import Filter
from nerfsem_method.codec.hinerv import Shape, Stage
from nerfsem_method.codec.metadata import with_metadata
from nerfsem_method.codec.tints import Tints
from nerfsem_method.field.spec import FieldSpec, Level
from nerfsem_method.field.state import QuantisedTensor

FRAMES = 4
SMALL: dict[str, Any] = {"occupancy": 8, "steps": 16, "width": 2, "geometry": 2, "directions": 1, "context_width": 2}
SPECS = {
    "dense": FieldSpec((Level(2, 2), Level(4, 1)), (Level(4, 1), Level(6, 2)), **SMALL),
    "hashed": FieldSpec(
        (Level(3, 1), Level(5, 1), Level(8, 2)), (Level(8, 1), Level(17, 1)), log2_volume_limit=8, log2_plane_limit=8,
        frequencies=1, shading="sample", color_layers=2, **SMALL,
    ),
}  # fmt: skip


def make() -> dict[str, bytes]:
    """Return the seeds by name: dense and hashed, FP and PC; tints, zooms, a residual, other backgrounds, metadata. PC's exposure
    changes.

    Their streams are none: the reader looks at their beginnings alone.
    """
    means = np.arange(3 * FRAMES, dtype=np.uint8).reshape(FRAMES, 3) * 20
    background = Background(b"\x00\x00\x01\x67" + bytes(range(12)), np.array([90, 80, 70], np.uint8), means)
    made = {}
    for name, spec in SPECS.items():
        plain = tiny_bundle(spec, FRAMES)
        made[f"{name}-fp"] = pack(nsem.sections(plain))
        gains = np.exp2(np.linspace(-0.2, 0.3, 3 * FRAMES)).reshape(FRAMES, 3).astype(np.float32)
        made[f"{name}-pc"] = pack(nsem.sections(replace(plain, gains=gains, background=background)))
    for name, codec, begins in (("hevc", "h265", b"\0\0\1\x40"), ("obus", "av1", b"\x12\0\x0a\x0e")):
        layer = replace(background, stream=begins + bytes(range(12)), codec=codec)
        made[f"{name}-pc"] = pack(nsem.sections(replace(tiny_bundle(SPECS["dense"], FRAMES), background=layer)))
    tints = Tints(np.arange(-120, 120, 10).reshape(2, 12), np.arange(2 * FRAMES).reshape(FRAMES, 2))
    made["tinted-fp"] = pack(nsem.sections(replace(tiny_bundle(SPECS["dense"], FRAMES), tints=tints)))
    zooms = np.array([1, 2.5, 1, 0.5])
    made["zoomed-fp"] = pack(nsem.sections(replace(tiny_bundle(SPECS["dense"], FRAMES), zooms=zooms)))
    residual = b"\x12\0\x0a\x0e" + bytes(range(12))
    made["residual-fp"] = pack(nsem.sections(replace(tiny_bundle(SPECS["dense"], FRAMES), residual=residual)))
    weights = np.arange(-36, 36, dtype=np.int32).reshape(2, 4, 3, 3)
    layers = QuantisedTensor(weights, -4), QuantisedTensor(weights.reshape(4, 2, 3, 3), -8)
    made["sharp-fp"] = pack(nsem.sections(replace(tiny_bundle(SPECS["dense"], FRAMES), filter=Filter(*layers))))
    bundle = tiny_bundle(SPECS["dense"], FRAMES)
    network = tiny_network(bundle.video, Shape(4, 2, 1, 1, (Stage(3, 1, 1), Stage(2, 1, 1))))
    made["neural-pc"] = pack(nsem.sections(replace(bundle, background=network)))
    record = {"title": "Amphora \u03b1", "rights": "CC0"}
    made["described-fp"] = with_metadata(made["dense-fp"], record, nsem.KNOWN_SECTIONS)
    return made


if __name__ == "__main__":
    for name, data in make().items():
        (SEEDS / f"{name}.nsem").write_bytes(data)
