"""What each part of a bundle costs, coded plainly and as it is; and what quantisation costs in quality: on one trained run.

    nerfsem compress ../shared/data/vase/relic.mp4 relic.nsem --mattes ../shared/data/vase/masks --work-dir work
    python -m benchmarks.ablation --work-dir work

Prints Markdown tables for docs/ablation.md. Everything is lossless on the same symbols but the last table, which is rendered.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image
from rich.progress import track

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
from nerfsem_method.playback.player import Player
from nerfsem_method.playback.torch_renderer import RAYS
from nerfsem_method.plugin import checkpoint
from nerfsem_method.training.radiance import RadianceField


@dataclass(frozen=True)
class TableBytes:
    """Bytes of one table: a bit a symbol, order-0 entropy a feature, context models alone, and as coded."""

    name: str
    symbols: int
    order0: float
    contexts: float
    coded: float


@dataclass(frozen=True)
class Ablation:
    """Take the FP bundle of a finished `nerfsem compress --work-dir` apart."""

    work_dir: Path
    """The folder that compress kept."""
    every: int = 4
    """Quality is measured on every so many-th frame."""

    def run(self) -> None:
        """Print the tables. Raises NerfsemError when there is no single run in the folder."""
        runs = sorted((self.work_dir / "runs").rglob("config.yml"))
        if not runs:
            raise NerfsemError(f"{self.work_dir} holds no run; make one with nerfsem compress --work-dir")
        config = checkpoint.load_config(runs[-1])
        scene = checkpoint.run_scene(config)
        bundle = checkpoint.run_bundle(config, scene, None)
        data = nsem.encode(bundle)
        print(parts_table(bundle, data))
        print()
        print(features_table(feature_bytes(bundle)))
        print()
        print(self._quality(config, scene, nsem.decode(data)))

    def _quality(self, config, scene, decoded: Bundle) -> str:
        field, cameras = checkpoint.run_field(config, scene)
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
                yield player.composited(index, (255, 255, 255))

        lines = [f"| frames 0, {self.every}, ... | PSNR | PSNR-CENTER |", "|---" * 3 + "|"]
        names = ("real-valued heads and cameras", "decoded bundle")
        for name, frames in zip(names, (trained(), stored()), strict=True):
            quality = measure(frames, truth, mattes)
            lines.append(f"| {name} | {quality.psnr:.3f} | {quality.psnr_center:.3f} |")
        return "\n".join(lines)


@torch.no_grad()
def _unquantised_frame(field: RadianceField, cameras, index: int) -> np.ndarray:
    """A frame over white, uint8 [H, W, 3], by heads and cameras in floating point."""
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


def features_table(rows: list[TableBytes]) -> str:
    """Bytes of the tables by coder."""
    total = TableBytes("all", *(sum(getattr(row, key) for row in rows) for key in ("symbols", "order0", "contexts", "coded")))
    lines = [
        "| table | symbols | a bit each | order 0 | context models | + neighbours (stored) | below order 0 |",
        "|---" * 7 + "|",
    ]
    for row in (*rows, total):
        lines.append(
            f"| {row.name} | {row.symbols} | {row.symbols / 8:.0f} | {row.order0:.0f} | {row.contexts:.0f} | {row.coded:.0f} "
            f"| {100 * (1 - row.coded / row.order0):.0f} % |"
        )
    return "\n".join(lines)


def parts_table(bundle: Bundle, data: bytes) -> str:
    """Bytes of the parts, written plainly and as stored."""
    state = bundle.state
    count = lambda tensors: sum(tensor.integers.size for tensor in tensors.values())  # noqa: E731
    order0 = sum(row.order0 for row in feature_bytes(bundle))
    plain = {
        "CAMS": ("seven binary32 a frame", 28 * len(bundle.poses)),
        "OCCU": ("a bit a voxel", state.occupancy.size / 8),
        "HEAD": ("binary16", 2 * count(state.heads)),
        "CTXT": ("8 bits", count(state.contexts)),
        "GRID": ("order-0 entropy of the coded entries", order0),
    }
    sizes = nsem.sizes(data)
    lines = ["| part | plainly | bytes | stored | a unit |", "|---" * 5 + "|"]
    units = {
        "CAMS": f"{sizes['CAMS'] / len(bundle.poses):.2f} bytes a frame",
        "OCCU": f"{8 * sizes['OCCU'] / state.occupancy.sum():.2f} bits an occupied voxel",
        "HEAD": f"{8 * sizes['HEAD'] / count(state.heads):.2f} bits a weight",
        "CTXT": f"{8 * sizes['CTXT'] / count(state.contexts):.2f} bits a weight",
    }
    for part, size in sizes.items():
        how, bytes_ = plain.get(part, ("", size))
        lines.append(f"| {part} | {how} | {bytes_:.0f} | {size} | {units.get(part, '')} |")
    both = sum(plain.get(part, ("", size))[1] for part, size in sizes.items())
    lines.append(f"| all | | {both:.0f} | {len(data)} | |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run(tyro.cli(Ablation)))
