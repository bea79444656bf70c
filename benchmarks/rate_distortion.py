"""Rate-distortion on the full vase clip: bundles at several lambdas against x264 and x265 on the same masked frames.

    python -m benchmarks --source ../shared/data/vase --output-dir rd --rate-weights 2e-8 7e-9

Every figure comes from the decoded file. Prints a Markdown table for RESULTS.md. Bundles that exist are not trained again.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.cli.evaluate import Evaluate
from nerfsem_method.evaluation.bd_rate import at_bytes
from nerfsem_method.pipeline import Options, compress

METRICS = ("psnr", "psnr_center", "psnr_y", "psnr_y_center", "ssim")


@dataclass(frozen=True)
class RateDistortion:
    """Train, decode and measure one clip at several lambdas."""

    source: Path = Path("../shared/data/vase")
    """A folder with relic.mp4 and masks/."""
    output_dir: Path = Path("rd")
    """Bundles, reports and the captured scene."""
    scale: str = "270:480"
    """Size of the frames."""
    preset: str = "standard"
    """Training recipe."""
    rate_weights: tuple[float, ...] = (2e-8, 7e-9)
    """Lambdas, mean squared error a byte."""
    max_steps: int | None = None
    """Steps instead of the preset's."""

    def run(self) -> None:
        """Print the table."""
        clip, masks = self.source / "relic.mp4", self.source / "masks"
        reports = []
        for number, weight in enumerate(self.rate_weights):
            folder = self.output_dir / f"lambda-{weight:g}"
            bundle = folder / "relic.nsem"
            folder.mkdir(parents=True, exist_ok=True)
            if not bundle.exists():
                self._compress(clip, masks, bundle, weight)
            peers = ("x264", "x265") if number == 0 else ()
            if not (folder / "metrics.json").exists():
                Evaluate(clip, bundle, folder, scene_dir=self.output_dir / "work" / "scene", peers=peers).run()
            reports.append(json.loads((folder / "metrics.json").read_text()))
        print(table(reports, self.rate_weights))

    def _compress(self, clip: Path, masks: Path, bundle: Path, weight: float) -> None:
        capture = CaptureOptions(mattes=masks, scale=self.scale)
        started = time.monotonic()
        options = Options(preset=self.preset, capture=capture, rate_weight=weight, max_steps=self.max_steps)
        compress(clip, bundle, options, self.output_dir / "work")
        print(f"lambda {weight:g}: {(time.monotonic() - started) / 60:.1f} minutes, capture included where not cached")


def table(reports: list[dict[str, Any]], weights: tuple[float, ...]) -> str:
    """Ours, the peers, our gain over x265 at equal bytes, and where our bytes go."""
    tracks = [report["modes"]["fp"] for report in reports]
    peers = tracks[0]["peers"]
    lines = [
        "| codec | bytes | PSNR | PSNR-CENTER | PSNR-Y | PSNR-Y-CENTER | SSIM | over x265: CENTER, Y-CENTER |",
        "|---" * 8 + "|",
    ]
    for weight, track in zip(weights, tracks, strict=True):
        gains = []
        for metric in ("psnr_center", "psnr_y_center"):
            theirs = at_bytes([(p["bytes"], p[metric]) for p in peers["x265"]], track["ours"]["bytes"])
            gains.append("off the curve" if theirs is None else f"{track['ours'][metric] - theirs:+.2f} dB")
        lines.append(f"| nerfsem, lambda {weight:g} | {_cells(track['ours'])} | {', '.join(gains)} |")
    for name, points in peers.items():
        lines += [f"| {name} crf {point['level']} | {_cells(point)} | |" for point in points]
    parts = list(reports[0]["parts"])
    lines += ["", "| bytes of | " + " | ".join(parts) + " |", "|---" * (len(parts) + 1) + "|"]
    for weight, report in zip(weights, reports, strict=True):
        lines.append(f"| lambda {weight:g} | " + " | ".join(str(report["parts"][part]) for part in parts) + " |")
    return "\n".join(lines)


def _cells(point: dict[str, Any]) -> str:
    return " | ".join(
        [
            str(point["bytes"]),
            *(f"{point[metric]:.4f}" if metric == "ssim" else f"{point[metric]:.2f}" for metric in METRICS),
        ]
    )
