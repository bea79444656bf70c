"""This program compares tiny-cuda-nn with our Triton kernels on a GPU: the same features and gradients, and how long they take.

    python -m benchmarks.timing.tcnn

It needs torch, numba and tinycudann; Triton is compared where it is there. Nothing is downloaded. Fields have the shapes of the
presets, a hollow ball for their occupancy and random signs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from torch import Tensor

from benchmarks.record import RESULTS, Table, keep
from benchmarks.timing.stopwatch import Stopwatch
from nerfsem_method.cli.main import run
from nerfsem_method.errors import NerfsemError
from nerfsem_method.training import presets
from nerfsem_method.training.backend import Backend, using
from nerfsem_method.training.radiance import RadianceField

PROGRAM = "benchmarks.timing.tcnn"
COLUMNS = ("what", "tiny-cuda-nn", "Triton", "plain torch", "largest difference from plain torch, of it")


@dataclass(frozen=True)
class Tcnn:
    """Compare tiny-cuda-nn with Triton and plain torch."""

    presets: tuple[str, ...] = ("quick", "standard", "paper")
    """Fields of these presets' shapes are looked up."""
    samples: int = 1 << 18
    """So many samples are looked up."""
    device: Literal["cuda", "cpu"] = "cuda"
    """Everything runs on this device; the CPU has neither, but for tests."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> None:
        """Print the table and keep it. Raises NerfsemError where there is no GPU or no tinycudann."""
        if self.device == "cuda" and not torch.cuda.is_available():
            raise NerfsemError("torch finds no CUDA device; this program compares what runs on one alone")
        if "tinycudann" not in sys.modules and find_spec("tinycudann") is None:
            raise NerfsemError("tinycudann is not installed: python -m pip install 'nerfsem[tcnn]'")
        rows = [row for preset in self.presets for row in self._rows(preset)]
        keep(self.results, PROGRAM, Table("tiny-cuda-nn beside Triton", COLUMNS, rows))

    def _rows(self, preset: str) -> list[tuple[str, ...]]:
        torch.manual_seed(0)
        spec = presets.load(preset).field
        field = RadianceField(spec, _ball(spec.occupancy)).to(self.device)
        points = torch.rand(4 * self.samples, 3, device=self.device)
        x, y, z = (points * spec.occupancy).long().unbind(1)
        points = points[field.occupancy.occupied[x, y, z]][: self.samples]
        features = torch.rand(len(points), spec.features, device=self.device, requires_grad=True)
        heads = list(field.heads.parameters())[:4]

        def look_up() -> tuple[Tensor, ...]:
            found = field.grids.encode(points, range(len(spec.tables)))
            return found.detach(), *torch.autograd.grad(found.square().sum(), field.grids.theta)

        def density() -> tuple[Tensor, ...]:
            sigma, geometry = field.heads.density(features, points)
            return geometry.detach(), *torch.autograd.grad(sigma.log().mean() + geometry.mean(), heads)

        size = f"forward and backward, {len(points)} samples, `{preset}`"
        return [self._row(f"grid encoding {size}", look_up, True), self._row(f"density head {size}", density, False)]

    def _row(self, what: str, work: Callable[[], tuple[Tensor, ...]], triton: bool) -> tuple[str, ...]:
        """Time a work; `triton` says whether our kernels do it, too."""
        stopwatch = Stopwatch(once=self.device == "cpu")

        def waited() -> None:
            work()
            if self.device == "cuda":
                torch.cuda.synchronize()

        def timed(backend: Backend) -> tuple[str, tuple[Tensor, ...]]:
            with using(backend):
                return f"{1e3 * stopwatch.timed(waited):.2f} ms", work()

        theirs, found = timed("tcnn")
        plain, expected = timed("plain")
        ours = timed("fused")[0] if triton and self.device == "cuda" and find_spec("triton") is not None else ""
        apart = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(found, expected, strict=True))
        return what, theirs, ours, plain, f"{apart:.1e}"


def _ball(side: int) -> np.ndarray:
    """Return the occupancy [side, side, side] of a hollow ball."""
    axis = (np.arange(side) + 0.5) / side - 0.5
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    return (distance < 0.45) & (distance > 0.45 - 4 / side)


if __name__ == "__main__":
    sys.exit(run(tyro.cli(Tcnn)))
