"""This program measures what the rate term costs with an object that fills half of its cube: a solid ball first, its shell later.

    python -m benchmarks.timing.half_cube

The initial hull is solid; once occupancy was carved, a shell of it is left. Each preset's field has a process of its own, whose
largest resident memory counts. Nothing is trained: the rate term is evaluated and differentiated, as in each step.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from benchmarks.record import RESULTS, Table, keep
from benchmarks.timing.memory import peak
from nerfsem_method.cli.main import run

PROGRAM = "benchmarks.timing.half_cube"
RADIUS = (3 / (8 * np.pi)) ** (1 / 3)
"""A ball of this radius fills half of the unit cube."""
COLUMNS = ("preset", "occupancy", "vertices", "listing them", "rate term a step", "memory of both")


@dataclass(frozen=True)
class HalfCube:
    """Measure time and memory of the rate term for an object that fills half of its cube."""

    presets: tuple[str, ...] = ("quick", "standard", "paper")
    """These presets are measured."""
    steps: int = 3
    """So many steps are timed; the least counts."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> None:
        """Print the table and keep it. Raises NerfsemError when a process fails."""
        rows = []
        for preset in self.presets:
            told: list[Any] = []
            memory = peak(_measure, preset, self.steps, told=told)
            rows += [(preset, *cells, f"{memory:.2f} GB" if cells[0] == "shell" else "") for cells in told]
        keep(self.results, PROGRAM, Table("half of the cube", COLUMNS, rows))


def ball(side: int, thickness: float) -> np.ndarray:
    """Return the occupancy [side, side, side] of a ball that fills half of the cube, `thickness` voxels deep."""
    axis = (np.arange(side) + 0.5) / side - 0.5
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    return (distance < RADIUS) & (distance > RADIUS - thickness / side)


def _measure(preset: str, steps: int) -> list[tuple[str, ...]]:
    """Return a row for the solid ball and one for its shell, three voxels thick."""
    from nerfsem_method.field.layout import count_vertices
    from nerfsem_method.training import presets
    from nerfsem_method.training.radiance import RadianceField

    recipe = presets.load(preset)
    spec, samples = recipe.field, recipe.model["course"].rate_samples
    hull = ball(spec.occupancy, spec.occupancy)
    field, rows, numbers = RadianceField(spec, hull), [], np.random.default_rng(0)
    for name, thickness in (("solid", spec.occupancy), ("shell", 3)):
        occupancy = ball(spec.occupancy, thickness)
        started = time.perf_counter()
        field.rate.set_occupancy(field.grids, occupancy)
        listing, seconds = time.perf_counter() - started, []
        for _ in range(steps + 1):
            started = time.perf_counter()
            field.rate.bits(field.grids, samples, numbers, told=False).backward()
            seconds.append(time.perf_counter() - started)
        vertices = sum(count_vertices(table, occupancy) for table in spec.tables)
        rows.append((name, f"{vertices / 1e6:.1f} million", f"{listing:.1f} s", f"{1e3 * min(seconds[1:]):.0f} ms"))
    return rows


if __name__ == "__main__":
    sys.exit(run(tyro.cli(HalfCube)))
