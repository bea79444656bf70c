"""This program tells how fast the hot loops are, beside the same work in plain torch and what the machine can do at best.

    python -m benchmarks.timing.speed

`stopwatch` measures, `subjects` makes what is measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro

from benchmarks.record import RESULTS, Table, keep
from benchmarks.timing.stopwatch import COLUMNS, Machine, Row, Stopwatch
from benchmarks.timing.subjects import GOLDEN, quick_bundle, resized, scene_of, standard_bundle
from nerfsem_method.cli.main import run
from nerfsem_method.codec import nsem
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.field.spec import FieldSpec
from nerfsem_method.playback.player import WHITE, Player
from nerfsem_method.playback.torch_renderer import TorchRenderer
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.density import density
from nerfsem_method.training.march import march
from nerfsem_method.training.radiance import RadianceField
from nerfsem_method.training.render import sample_weights

PROGRAM = "benchmarks.timing.speed"
SAMPLES = 32768
STEP = 6001
"""At this step of `quick` the occupancy has been frozen, and none but the usual happens."""
SMALLER = 16
"""A rehearsal renders frames that are so many times smaller."""


@dataclass(frozen=True)
class Work:
    """The work on a field's samples is so many operations and bytes, each float32 read or written once."""

    spec: FieldSpec

    @property
    def look_up(self) -> float:
        """Return the operations a sample takes: a product and a sum for each corner and feature, and the weights."""
        return sum((1 << len(table.axes)) * (2 * table.features + 2) for table in self.spec.tables)

    @property
    def density_head(self) -> float:
        """Return the operations a sample takes."""
        spec = self.spec
        return 2 * spec.width * (spec.features + 6 * spec.frequencies + 1 + spec.geometry)

    @property
    def encoded(self) -> float:
        """Return the bytes of a sample: its position and its features."""
        return 12 + 4 * self.spec.features


def field_rows(made: Bundle, machine: Machine, stopwatch: Stopwatch) -> list[Row]:
    """Time encoding, marching and heads of a training step's samples."""
    field = RadianceField.from_state(made.state)
    field.estimate_density()
    work, tables = Work(made.state.spec), range(len(made.state.spec.tables))
    cameras = _rays(made)
    samples = _march(field, cameras)
    positions = samples.positions[:SAMPLES].contiguous()
    gradient = torch.randn(SAMPLES, made.state.spec.features)
    heads = field.heads

    def forward() -> object:
        with torch.no_grad():
            return field.grids.encode(positions, tables)

    def both() -> None:
        field.grids.encode(positions, tables).backward(gradient)

    def evaluate() -> None:
        values, geometry = density(field.grids, heads, positions)
        torch.autograd.backward([values, geometry], [values.detach(), geometry.detach()])

    operations, theta = work.look_up * SAMPLES, 8 * field.grids.slots.size
    rows = []
    for what, call, moved, count, faster in (
        (f"grid encoding forward, {SAMPLES} samples", forward, work.encoded, operations, None),
        ("grid encoding forward and backward", both, 2 * work.encoded, 2 * operations, 15.0),
        ("the same with density head", evaluate, 2 * 12 + 8 * 16, 2 * operations + 3 * SAMPLES * work.density_head, None),
    ):
        ours, plain = stopwatch.compared(call)
        limit = machine.limit(moved * SAMPLES + (theta if call is not forward else 0), count)
        rows.append(Row(what, ours, plain, limit, faster))
    ours, plain = stopwatch.compared(lambda: _march(field, cameras))
    written = 24 * len(samples.rays)
    what = f"ray marching, {samples.count} rays, {len(samples.rays)} samples"
    return [*rows, Row(what, ours, plain, machine.limit(written, 15 * len(samples.rays)))]


def _rays(made: Bundle, count: int = 2400) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rays of a few frames through pixels where the object is."""
    generator = torch.Generator().manual_seed(0)
    cameras, player = CameraPath(made.camera, made.poses), Player(made, "cpu")
    parts = []
    for index in range(0, made.video.frames, made.video.frames // 4):
        rows, columns = torch.from_numpy(player.frame(index)[..., 3] > 0).nonzero(as_tuple=True)
        pick = torch.randint(len(rows), (count // 4,), generator=generator)
        pixels = torch.stack([columns[pick], rows[pick]], -1) + 0.5
        parts.append(cameras.rays(torch.full((len(pick),), index), pixels))
    origins, directions = (torch.cat(values) for values in zip(*parts, strict=True))
    return origins, directions


def _march(field: RadianceField, rays: tuple[torch.Tensor, torch.Tensor]):
    space = field.occupancy.empty, field.occupancy.density
    return march(*rays, *space, 1 / field.spec.steps, torch.full_like(rays[0][:, 0], 0.5))


def step_rows(made: Bundle, machine: Machine, stopwatch: Stopwatch, folder: Path) -> list[Row]:
    """Time a whole training step through nerfstudio's trainer, and the rate term's part of it."""
    trainer = _trainer(scene_of(made, folder / "scene"), made, folder)
    field = trainer.pipeline.model.field
    step = iter(range(STEP, STEP + 10**6))

    def iterate() -> None:
        trainer.pipeline.train()
        number = next(step)
        for callback in trainer.callbacks:
            callback.run_callback(number)
        trainer.train_iteration(number)

    for _ in range(8):  # the number of rays settles
        iterate()
    ours, plain = stopwatch.compared(iterate, (15, 5))
    generator = np.random.default_rng(0)
    samples = trainer.pipeline.model.config.course.rate_samples
    rate, plain_rate = stopwatch.compared(lambda: field.rate.bits(field.grids, samples, generator, told=False).backward())
    work = Work(field.spec)
    operations = SAMPLES * (2 * work.look_up + 3 * work.density_head)
    moved = SAMPLES * (2 * 12 + 8 * 16) + 28 * field.grids.slots.size  # Adam reads four and writes three values
    share = f"rate term forward and backward: {100 * rate / ours:.0f} % of that (bar: 20 %)"
    return [
        Row("a whole `quick` training step", ours, plain, machine.limit(moved, operations), faster=6),
        Row(share, rate, plain_rate),
    ]


def _trainer(scene, made: Bundle, folder: Path):
    """Return a trainer of `quick` that stands where it made the bundle."""
    from nerfsem_method.plugin.config import trainer_config

    config = trainer_config("quick")
    config.data = config.pipeline.datamanager.data = scene.root
    config.output_dir, config.vis, config.logging.local_writer.enable = folder, "none", False
    config.machine.device_type = "cpu"
    config.set_timestamp()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    field, state = trainer.pipeline.model.field, made.state
    field.grids.load_tables(state.tables)
    field.heads.load(state.heads)
    field.rate.load(state.contexts)
    field.occupancy.set(torch.from_numpy(state.occupancy) & field.occupancy.hull)
    field.resume()
    return trainer


def coding_rows(standard: Bundle, stopwatch: Stopwatch) -> list[Row]:
    """Time coding the whole bundle to bytes and back."""
    data = nsem.encode(standard)
    signs = sum(int(np.count_nonzero(table)) for table in standard.state.tables)
    return [
        Row(f"encode a `standard` bundle, {signs} signs", stopwatch.timed(lambda: nsem.encode(standard), 1), within=3),
        Row(f"decode it, {len(data)} bytes", stopwatch.timed(lambda: nsem.decode(data), 1), within=3),
    ]


def frame_row(large: Bundle, name: str, machine: Machine, stopwatch: Stopwatch, within: float) -> Row:
    """Time a frame over white; the reference renders a sixteenth of the pixels and counts sixteen times."""
    player = Player(large, "cpu")
    ours = stopwatch.timed(lambda: player.composited(0, WHITE), 3)
    small = large.camera.scaled(large.camera.width // 4, large.camera.height // 4)
    renderer = TorchRenderer(large.state, small, "cpu")
    with stopwatch.reference():
        plain = 16 * stopwatch.timed(lambda: renderer.picture(large.poses[0]), 1, 1)
    work, visible = Work(large.state.spec), _visible_samples(large)
    width, height = large.camera.width, large.camera.height
    limit = machine.limit(width * height * 16, visible * (work.look_up + work.density_head))
    return Row(f"a frame of {width}x{height}, `{name}`, {visible / 1e6:.1f} M samples", ours, plain, limit, within=within)


def _visible_samples(made: Bundle) -> float:
    """Estimate, from every sixteenth pixel, how many samples of frame 0 a ray reaches before it is opaque."""
    field, cameras = RadianceField.from_state(made.state), CameraPath(made.camera, made.poses)
    pixels = cameras.frame_pixels()[::16]
    rays = cameras.rays(torch.zeros(len(pixels), dtype=torch.int64), pixels)
    with torch.no_grad():
        samples = march(*rays, field.occupancy.empty, None, 1 / field.spec.steps, torch.full((len(pixels),), 0.5))
        weights = sample_weights(field.densities(samples.positions), samples)
    running = weights.double().cumsum(0) - weights
    before = running - running[samples.starts[:-1].clamp(max=len(weights) - 1)][samples.rays]
    return 16.0 * int((1 - before > 1e-4).sum())


def first_run(folder: Path) -> Row:
    """Time `nerfsem decode` of one frame where nothing is compiled yet."""
    start = "import sys; from nerfsem_method.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", start, "decode", str(GOLDEN), str(folder / "frames"), "--frames", "0:1"]
    started = time.perf_counter()
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "kernels")}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return Row("first `nerfsem decode` after an installation, one frame", time.perf_counter() - started, within=30)


@dataclass(frozen=True)
class Speed:
    """Measure the speed of training and decoding on this machine's processor, in some minutes."""

    rehearse: bool = False
    """Time every call once, on small frames and without a fresh installation: it tries the program, its figures mean nothing."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> None:
        """Print the table and keep it."""
        torch.manual_seed(0)
        stopwatch, scale = Stopwatch(self.rehearse), SMALLER if self.rehearse else 1
        machine = Machine.measured(stopwatch)
        torch.set_num_threads(1)
        quick = quick_bundle()
        standard = standard_bundle(quick)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            rows = [
                *field_rows(quick, machine, stopwatch),
                *step_rows(quick, machine, stopwatch, folder),
                *coding_rows(standard, stopwatch),
                frame_row(resized(quick, scale), "quick", machine, stopwatch, 0.7),
                frame_row(resized(standard, scale), "standard", machine, stopwatch, 2),
            ]
            if not self.rehearse:
                rows.append(first_run(folder))
        keep(self.results, PROGRAM, Table("on a processor", COLUMNS, [row.cells() for row in rows], "speed", machine.note()))


if __name__ == "__main__":
    sys.exit(run(tyro.cli(Speed)))
