"""This program measures all that wants a GPU: whether frames agree with the CPU's, and how fast kernels, steps and decoding are.

    python -m benchmarks.timing.gpu --scene scene

With `--scene`, a captured scene folder, `standard` is trained on it and the bundle decoded, which takes nerfstudio; the rest
needs torch, Triton and numba alone. `--device cpu` tries the program in Triton's interpreter, which is very slow:

    TRITON_INTERPRET=1 python -m benchmarks.timing.gpu --device cpu --bundle tests/golden/dense-fp.nsem --rays 20 --frames 1 \
        --scale 80 --results tried
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from torch import Tensor

from benchmarks.record import RESULTS, Table, keep
from benchmarks.timing.speed import Work
from benchmarks.timing.stopwatch import COLUMNS, Machine, Row, Stopwatch
from benchmarks.timing.subjects import quick_bundle, resized, standard_bundle
from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.cli.main import run
from nerfsem_method.codec import nsem
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.errors import NerfsemError
from nerfsem_method.playback.torch_renderer import TorchRenderer
from nerfsem_method.raycast.caster import Raycaster
from nerfsem_method.scene.scene import Scene
from nerfsem_method.training.backend import using
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.course import Course
from nerfsem_method.training.march import Samples, march
from nerfsem_method.training.radiance import RadianceField
from nerfsem_method.training.render import accumulate

PROGRAM = "benchmarks.timing.gpu"


@dataclass(frozen=True)
class Gpu:
    """Measure everything on a GPU, in some minutes with a scene and in less than one without."""

    scene: Path | None = None
    """`standard` is trained on this captured scene."""
    device: Literal["cuda", "cpu"] = "cuda"
    """Everything runs on this device; on "cpu" figures mean nothing."""
    bundle: Path | None = None
    """The field of this bundle is measured, instead of the golden vase in the sizes of `quick` and of `standard`."""
    rays: int = 65536
    """Kernels and steps are timed on so many rays."""
    frames: int = 30
    """So many frames are rendered."""
    scale: int = 1
    """They are so many times smaller than 720x1280."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> None:
        """Print the tables and keep them. Raises NerfsemError where there is no GPU, BundleError for a broken bundle."""
        if self.device == "cuda" and not torch.cuda.is_available():
            raise NerfsemError("torch finds no CUDA device; --device cpu tries this program in Triton's interpreter")
        torch.manual_seed(0)
        bundles = self._bundles()
        with ExitStack() as stack:
            if self.device == "cpu":
                stack.enter_context(using("fused"))
            clock = Clock(self.device)
            machine = _machine(clock)
            subjects = {name: Subject(made, self.rays, self.device) for name, made in bundles.items()}
            kernels = [row for name, subject in subjects.items() for row in kernel_rows(subject, name, clock, machine)]
            rows = [step_row(subject, name, clock) for name, subject in subjects.items()]
            rows += [self._frame_row(resized(made, self.scale), name) for name, made in bundles.items()]
        if self.scene is not None:
            rows.append(self._trained(self.scene))
        whole = Table("on a GPU", COLUMNS, [row.cells() for row in rows], "speed", machine.note())
        keep(self.results, PROGRAM, whole, Table("the GPU's kernels", COLUMNS, [row.cells() for row in kernels]))

    def _bundles(self) -> dict[str, Bundle]:
        """Return what is measured, by the names of the presets or of the bundle."""
        if self.bundle is not None:
            return {self.bundle.stem: nsem.read(self.bundle)}
        quick = quick_bundle()
        return {"quick": quick, "standard": standard_bundle(quick)}

    def _frame_row(self, made: Bundle, name: str) -> Row:
        """Render frames over the whole turn, and tell how far the last one is from the CPU's."""
        renderer, caster = TorchRenderer(made.state, made.camera, self.device), Raycaster(made.state, made.camera)
        chosen = np.linspace(0, len(made.poses) - 1, self.frames).astype(int)
        picture = renderer.picture(made.poses[0])
        started = time.perf_counter()
        for index in chosen:
            picture = renderer.picture(made.poses[index])
        seconds = (time.perf_counter() - started) / self.frames
        difference = 255 * np.abs(picture - caster.picture(made.poses[chosen[-1]]))
        far = f"{difference.max():.2f}/255 at most from the CPU's, {(difference > 0.5).mean():.1e} of the values above a half"
        return Row(f"a frame of {made.camera.width}x{made.camera.height}, `{name}`; {far}", seconds, within=1 / 30)

    def _trained(self, scene: Path) -> Row:
        """Train `standard` through nerfstudio, decode its bundle and measure it."""

        from nerfsem_method.evaluation.gate import psnr_center
        from nerfsem_method.plugin import checkpoint
        from nerfsem_method.plugin.config import trainer_config
        from nerfsem_method.plugin.training import train

        with tempfile.TemporaryDirectory() as name:
            config = trainer_config("standard")
            config.data = config.pipeline.datamanager.data = scene.resolve()
            config.output_dir, config.machine.device_type, config.experiment_name = Path(name), self.device, "gpu"
            started = time.perf_counter()
            trained = train(config)
            seconds = time.perf_counter() - started
            bundle = checkpoint.export(trained, Path(name) / "bundles", "fp", BackgroundOptions())
            made = f"{bundle.stat().st_size} bytes, PSNR-CENTER {psnr_center(Scene.load(scene), nsem.read(bundle)):.2f} dB"
            return Row(f"training `standard` on {scene.name}, frames read included: {made}", seconds, within=300)


@dataclass(frozen=True)
class Clock:
    """A clock times what runs on a device, until the device has finished it."""

    device: str

    def timed(self, work: Callable[[], object]) -> float:
        """Return the seconds of a call."""

        def waited() -> None:
            work()
            if self.device == "cuda":
                torch.cuda.synchronize()

        return Stopwatch(once=self.device == "cpu").timed(waited)

    def compared(self, work: Callable[[], object]) -> tuple[float, float]:
        """Return seconds in Triton kernels, and in plain torch on the same device."""
        ours = self.timed(work)
        with using("plain"):
            return ours, self.timed(work)


def _machine(clock: Clock) -> Machine:
    """Measure what the device can do at best."""
    side, size = (8192, 1 << 28) if clock.device == "cuda" else (64, 1 << 10)
    source, target = torch.ones(size, device=clock.device), torch.empty(size, device=clock.device)
    matrix = torch.rand(side, side, device=clock.device)
    copied, multiplied = clock.timed(lambda: target.copy_(source)), clock.timed(lambda: matrix @ matrix)
    return Machine(2 * source.nbytes / copied, 2 * side**3 / multiplied)


class Subject:
    """A subject is a bundle's field on the device, and random rays through the bundle's frames."""

    def __init__(self, made: Bundle, count: int, device: str) -> None:
        self.device, self.count = device, count
        self.field = RadianceField.from_state(made.state).to(device)
        self.field.estimate_density()
        cameras = CameraPath(made.camera, made.poses).to(device)
        generator = torch.Generator().manual_seed(0)
        frames = torch.randint(made.video.frames, (count,), generator=generator).to(device)
        pixels = torch.rand(count, 2, generator=generator) * torch.tensor([made.camera.width, made.camera.height])
        self.rays: tuple[Tensor, Tensor] = cameras.rays(frames, pixels.to(device))

    def samples(self) -> Samples:
        """Return the samples along the rays."""
        middle = torch.full((self.count,), 0.5, device=self.device)
        space = self.field.occupancy.empty, self.field.occupancy.density
        return march(*self.rays, *space, 1 / self.field.spec.steps, middle)


def kernel_rows(subject: Subject, name: str, clock: Clock, machine: Machine) -> list[Row]:
    """Time look-up, marching, sums along rays and the rate term."""
    field, samples, device = subject.field, subject.samples(), subject.device
    count, spec = len(samples.rays), field.spec
    work, theta = Work(spec), 8 * field.grids.slots.size
    gradient = torch.randn(count, spec.features, device=device)
    density = torch.rand(count, device=device, requires_grad=True)
    values = torch.randn(count, spec.geometry, device=device, requires_grad=True)
    numbers = np.random.default_rng(0)

    def look_up() -> None:
        field.grids.encode(samples.positions, range(len(spec.tables))).backward(gradient)

    def sums() -> None:
        accumulate(density, values, samples)[0].sum().backward()

    def rate() -> None:
        field.rate.bits(field.grids, Course().rate_samples, numbers).backward()

    encoded = machine.limit(2 * work.encoded * count + theta, 2 * work.look_up * count)
    marched, summed = machine.limit(24 * count, 15 * count), machine.limit(4 * 3 * values.numel(), 6 * values.numel())
    return [
        Row(f"grid encoding forward and backward, {count} samples, `{name}`", *clock.compared(look_up), encoded),
        Row(f"ray marching, {subject.count} rays, {count} samples", *clock.compared(subject.samples), marched),
        Row("sums along rays forward and backward", *clock.compared(sums), summed),
        Row("rate term forward and backward", *clock.compared(rate)),
    ]


def step_row(subject: Subject, name: str, clock: Clock) -> Row:
    """Time a training step of the field alone, without nerfstudio's trainer around it."""
    field = subject.field
    optimizer = torch.optim.Adam(field.parameters(), lr=1e-6)

    def step() -> None:
        optimizer.zero_grad()
        made = field.step(*subject.rays, Course().rate_samples)
        (made.rendering.color.mean() + 1e-9 * made.bits).backward()
        optimizer.step()

    return Row(f"a step of the field with Adam, `{name}`, without nerfstudio", *clock.compared(step))


if __name__ == "__main__":
    sys.exit(run(tyro.cli(Gpu)))
