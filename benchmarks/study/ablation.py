"""This program takes a trained run apart: what each part of its bundle costs, and what quantisation costs in quality.

    nerfsem compress ../shared/data/vase/relic.mp4 relic.nsem --mattes ../shared/data/vase/masks --work-dir work
    python -m benchmarks.study.ablation --work-dir work

Everything is lossless on the same symbols but the last table, which compares pictures.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image
from rich.progress import track

from benchmarks.record import RESULTS, Table, keep
from nerfsem_method.cli.main import run
from nerfsem_method.codec import nsem
from nerfsem_method.codec.coder import Meter
from nerfsem_method.codec.context import Contexts
from nerfsem_method.codec.fixed_point import LOGIT_LIMIT, probability_table
from nerfsem_method.codec.neighbours import code_table
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.errors import NerfsemError
from nerfsem_method.evaluation.metrics import masked_reference, measure
from nerfsem_method.field.layout import table_layout
from nerfsem_method.field.state import QuantisedTensor
from nerfsem_method.playback.player import WHITE, Player
from nerfsem_method.plugin import checkpoint
from nerfsem_method.scene.scene import Scene
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.radiance import RadianceField

PROGRAM = "benchmarks.study.ablation"
RAYS = 1 << 14
"""So many rays are rendered at a time: more would not stay in the caches."""


@dataclass(frozen=True)
class TableBytes:
    """A table takes so many bytes by order-0 entropy of each feature, by context models alone, and as it is coded."""

    name: str
    symbols: int
    order0: float
    contexts: float
    coded: float


@dataclass(frozen=True)
class Ablation:
    """Take the FP bundle of a finished `nerfsem compress --work-dir` apart."""

    work_dir: Path
    """This is the folder that compress kept."""
    every: int = 4
    """Quality is measured on every so many-th frame."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> None:
        """Print the tables and keep them. Raises NerfsemError when there is no run in the folder."""
        runs = sorted((self.work_dir / "runs").rglob("config.yml"))
        if not runs:
            raise NerfsemError(f"{self.work_dir} holds no run; make one with nerfsem compress --work-dir")
        config = checkpoint.load_config(runs[-1])
        scene = checkpoint.run_scene(config)
        field, cameras = checkpoint.run_field(config, scene)
        bundle = checkpoint.run_bundle(config, scene, None)
        data, rows = nsem.encode(bundle), feature_bytes(bundle)
        quality = self._quality(field, cameras, scene, replace(nsem.decode(data), filter=None))
        note = f"{len(scene.frames)} frames of {scene.camera.width}x{scene.camera.height} from {scene.video.name}."
        parts = replace(parts_table(bundle, data, sum(row.order0 for row in rows)), note=note)
        keep(self.results, PROGRAM, parts, features_table(rows), quality)

    def _quality(self, field: RadianceField, cameras: CameraPath, scene: Scene, decoded: Bundle) -> Table:
        """Compare pictures by heads and cameras in floating point with those of the decoded bundle."""
        chosen = range(0, len(scene.frames), self.every)
        mattes = [np.asarray(Image.open(scene.root / scene.frames[i].matte).convert("L")) for i in chosen]
        truth = [
            masked_reference(np.asarray(Image.open(scene.root / scene.frames[i].image).convert("RGB")), matte)
            for i, matte in zip(chosen, mattes, strict=True)
        ]

        def trained() -> Iterator[np.ndarray]:
            for index in track(chosen, "trained field"):
                yield _unquantised_frame(field, cameras, index)

        def stored() -> Iterator[np.ndarray]:
            player = Player(decoded, "cpu")
            for index in track(chosen, "decoded bundle"):
                yield player.composited(index, WHITE)

        rows = []
        names = ("real-valued heads and cameras", "decoded bundle")
        for name, frames in zip(names, (trained(), stored()), strict=True):
            quality = measure(frames, truth, mattes)
            rows.append((name, f"{quality.psnr:.3f}", f"{quality.psnr_center:.3f}"))
        return Table("quantisation", (f"frames 0, {self.every}, ...", "PSNR", "PSNR-CENTER"), rows)


@torch.no_grad()
def _unquantised_frame(field: RadianceField, cameras: CameraPath, index: int) -> np.ndarray:
    """Return a frame over white, uint8 [H, W, 3], by heads and cameras in floating point."""
    field.heads.quantised = False
    width, height = cameras.size
    parts = []
    for pixels in cameras.frame_pixels().split(RAYS):
        frames = torch.full((len(pixels),), index)
        rendering = field.render(*cameras.rays(frames, pixels))
        parts.append(rendering.color * cameras.gains[index] + 1 - rendering.accumulation[:, None])
    picture = torch.cat(parts).view(height, width, 3).clamp(0, 1).numpy()
    return np.rint(picture * 255).astype(np.uint8)


def feature_bytes(bundle: Bundle) -> list[TableBytes]:
    """Measure every table's coders on the bundle's symbols."""
    state, spec = bundle.state, bundle.state.spec
    contexts = Contexts(spec, {name: tensor.integers for name, tensor in state.contexts.items()})
    rows, decoded = [], []
    for index, table in enumerate(spec.tables):
        layout = table_layout(table, state.occupancy)
        values = state.tables[index][layout.entries]
        logits = contexts.logits(index, layout, decoded)
        ones = probability_table()[logits.clip(-LOGIT_LIMIT, LOGIT_LIMIT) + LOGIT_LIMIT] / 65536
        share = (values > 0).mean(0).clip(1e-9, 1 - 1e-9)
        order0 = -(share * np.log2(share) + (1 - share) * np.log2(1 - share)).sum() * len(values)
        alone = -np.log2(np.where(values > 0, ones, 1 - ones)).sum()
        meter = Meter()
        code_table(meter, table, layout, values, logits)
        name = "xyz"[table.axes[0]] + "".join("xyz"[axis] for axis in table.axes[1:])
        rows.append(
            TableBytes(f"{name} {table.resolution} x {table.features}", values.size, order0 / 8, alone / 8, meter.bits / 8)
        )
        decoded.append(state.tables[index])
        if index == len(spec.volume) - 1:
            contexts.remember_volume(layout, state.tables[index])
    return rows


def features_table(rows: list[TableBytes]) -> Table:
    """Return the bytes of the tables by coder."""
    total = TableBytes("all", *(sum(getattr(row, key) for row in rows) for key in ("symbols", "order0", "contexts", "coded")))
    cells = []
    for row in (*rows, total):
        sizes = (row.symbols / 8, row.order0, row.contexts, row.coded)
        below = f"{100 * (1 - row.coded / row.order0):.0f} %"
        cells.append((row.name, str(row.symbols), *(f"{size:.0f}" for size in sizes), below))
    columns = ("table", "symbols", "a bit each", "order 0", "context models", "+ neighbours (stored)", "below order 0")
    return Table("tables by coder", columns, cells)


def parts_table(bundle: Bundle, data: bytes, order0: float) -> Table:
    """Return the bytes of the parts, written plainly and as stored; `order0` bytes are the tables' order-0 entropy."""
    state, sizes = bundle.state, nsem.sizes(data)
    heads, contexts = _weights(state.heads), _weights(state.contexts)
    plain = {
        "CAMS": ("seven binary32 a frame", 28 * len(bundle.poses)),
        nsem.OCCUPANCY: ("a bit a voxel", state.occupancy.size / 8),
        "HEAD": ("binary16", 2 * heads),
        "CTXT": ("8 bits", contexts),
        "GRID": ("order-0 entropy of the coded entries", order0),
    }
    units = {
        "CAMS": f"{sizes['CAMS'] / len(bundle.poses):.2f} bytes a frame",
        nsem.OCCUPANCY: f"{8 * sizes[nsem.OCCUPANCY] / state.occupancy.sum():.2f} bits an occupied voxel",
        "HEAD": f"{8 * sizes['HEAD'] / heads:.2f} bits a weight",
        "CTXT": f"{8 * sizes['CTXT'] / contexts:.2f} bits a weight",
        "GRID": f"{8 * sizes['GRID'] / sum(int(np.count_nonzero(table)) for table in state.tables):.2f} bits a symbol",
    }
    rows, whole = [], 0.0
    for part, size in sizes.items():
        how, written = plain.get(part, ("", size))
        whole += written
        rows.append((part, how, f"{written:,.0f}", f"{size:,}", units.get(part, "")))
    rows.append(("all", "", f"{whole:,.0f}", f"{len(data):,}", ""))
    return Table("parts", ("part", "written plainly", "bytes", "stored", "a unit"), rows, "parts")


def _weights(tensors: dict[str, QuantisedTensor]) -> int:
    return sum(tensor.integers.size for tensor in tensors.values())


if __name__ == "__main__":
    sys.exit(run(tyro.cli(Ablation)))
