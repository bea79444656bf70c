"""This program studies rate and distortion: bundles of a clip at several lambdas against x264 and x265 on the same masked frames.

    python -m benchmarks.study.rate_distortion --source ../shared/data/vase --output-dir rd --rate-weights 2e-8 7e-9

Every figure comes from the decoded file. Bundles that exist are not trained again.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks.record import RESULTS, Table, keep
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.cli.evaluate import Evaluate
from nerfsem_method.cli.main import run
from nerfsem_method.evaluation.bd_rate import at_bytes
from nerfsem_method.pipeline import Options, compress

PROGRAM = "benchmarks.study.rate_distortion"
METRICS = ("psnr", "psnr_center", "psnr_y", "psnr_y_center", "ssim")
QUALITY = ("bytes", "PSNR", "PSNR-CENTER", "PSNR-Y", "PSNR-Y-CENTER", "SSIM")
COLUMNS = ("bundle", *QUALITY, "over x265 at equal bytes: CENTER, Y-CENTER")


@dataclass(frozen=True)
class RateDistortion:
    """Train, decode and measure one clip at several lambdas: hours."""

    source: Path = Path("../shared/data/vase")
    """This folder holds relic.mp4 and masks/."""
    output_dir: Path = Path("rd")
    """Bundles, reports and the captured scene lie in this folder, and are found again."""
    scale: str = "270:480"
    """Frames have this size."""
    preset: str = "standard"
    """This preset is trained."""
    rate_weights: tuple[float, ...] = (2e-8, 7e-9)
    """These are the lambdas, mean squared error a byte."""
    max_steps: int | None = None
    """So many steps are trained instead of the preset's."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> None:
        """Print the tables and keep them. Raises NerfsemError as `nerfsem compress` and `nerfsem evaluate` do."""
        clip, tables = f"{self.source.name} {self.scale.replace(':', 'x')}", []
        peers: dict[str, Any] = {}
        for number, weight in enumerate(self.rate_weights):
            report = self._report(weight, ("x264", "x265") if number == 0 else ())
            peers = peers or report["modes"]["fp"]["peers"]
            name = f"{clip}, `{self.preset}`, lambda {weight:g}"
            tables += [_quality(name, report["modes"]["fp"]["ours"], peers["x265"]), _parts(name, report["parts"])]
        keep(self.results, PROGRAM, *tables, _peers(clip, peers))

    def _report(self, weight: float, peers: tuple[Any, ...]) -> dict[str, Any]:
        """Return the content of metrics.json for a lambda, measured now or before."""
        clip, folder = self.source / "relic.mp4", self.output_dir / f"lambda-{weight:g}"
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "relic.nsem").exists():
            self._compress(clip, folder / "relic.nsem", weight)
        if not (folder / "metrics.json").exists():
            Evaluate(clip, (folder / "relic.nsem",), folder, scene_dir=self.output_dir / "work" / "scene", peers=peers).run()
        return json.loads((folder / "metrics.json").read_text())

    def _compress(self, clip: Path, bundle: Path, weight: float) -> None:
        capture = CaptureOptions(mattes=self.source / "masks", scale=self.scale)
        started = time.monotonic()
        options = Options(preset=self.preset, capture=capture, rate_weight=weight, max_steps=self.max_steps)
        compress(clip, bundle, options, self.output_dir / "work")
        print(f"lambda {weight:g}: {(time.monotonic() - started) / 60:.1f} minutes, capture included where not cached")


def _quality(name: str, ours: dict[str, Any], x265: list[dict[str, Any]]) -> Table:
    """Return our figures, and our gain over x265 at equal bytes."""
    gains = []
    for metric in ("psnr_center", "psnr_y_center"):
        theirs = at_bytes([(point["bytes"], point[metric]) for point in x265], ours["bytes"])
        gains.append("off the curve" if theirs is None else f"{ours[metric] - theirs:+.2f} dB")
    return Table(name, COLUMNS, [(name, *_cells(ours), ", ".join(gains))], "size")


def _parts(name: str, parts: dict[str, int]) -> Table:
    """Return where our bytes go."""
    return Table(f"bytes of {name}", tuple(parts), [tuple(str(size) for size in parts.values())])


def _peers(clip: str, peers: dict[str, list[dict[str, Any]]]) -> Table:
    """Return the frame codecs' points."""
    rows = [(f"{name} crf {point['level']}", *_cells(point)) for name, points in peers.items() for point in points]
    return Table(f"frame codecs on {clip}", ("codec", *QUALITY), rows)


def _cells(point: dict[str, Any]) -> tuple[str, ...]:
    quality = [f"{point[metric]:.4f}" if metric == "ssim" else f"{point[metric]:.2f}" for metric in METRICS]
    return (f"{point['bytes']:,}", *quality)


if __name__ == "__main__":
    sys.exit(run(tyro.cli(RateDistortion)))
