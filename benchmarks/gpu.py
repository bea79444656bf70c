"""All that wants a GPU, in one call: do frames agree with the CPU's, how fast are the kernels, a training step and decoding.

    python -m benchmarks.gpu --scene scene

Prints two tables and appends them to RESULTS.md. With `--scene`, a captured scene folder, `standard` is trained on it and the
bundle decoded, which takes nerfstudio; the rest needs torch, Triton and numba alone. `--device cpu` tries the program in Triton's
interpreter (TRITON_INTERPRET=1) with few samples: its figures mean nothing.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro

from benchmarks.speed import RESULTS, Work
from benchmarks.stopwatch import Machine, Row, report, timed
from benchmarks.subjects import quick_bundle, resized, standard_bundle
from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.cli.main import run
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.errors import NerfsemError
from nerfsem_method.playback.torch_renderer import TorchRenderer
from nerfsem_method.raycast.caster import Raycaster
from nerfsem_method.training.backend import using
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.course import Course
from nerfsem_method.training.march import march
from nerfsem_method.training.radiance import RadianceField
from nerfsem_method.training.render import accumulate


@dataclass(frozen=True)
class Gpu:
    """Measure, print, and append to RESULTS.md."""

    scene: Path | None = None
    """A captured scene to train `standard` on."""
    device: Literal["cuda", "cpu"] = "cuda"
    """Where."""
    rays: int = 65536
    """Rays of the kernels' rows and of a step."""
    frames: int = 30
    """Frames whose rendering is timed."""
    scale: int = 1
    """Frames are so many times smaller than 720x1280."""

    def run(self) -> None:
        """Some minutes with a scene, less than one without."""
        if self.device == "cuda" and not torch.cuda.is_available():
            raise NerfsemError("torch finds no CUDA device; --device cpu tries this program in Triton's interpreter")
        torch.manual_seed(0)
        quick = quick_bundle()
        standard = standard_bundle(quick)
        with ExitStack() as stack:
            if self.device == "cpu":
                stack.enter_context(using("fused"))
            machine = self._machine()
            rows = [*self._kernel_rows(quick, machine), *self._kernel_rows(standard, machine)]
            for name, made in (("quick", quick), ("standard", standard)):
                rows.append(self._frame_row(made, name))
        text = report(machine, rows, "Triton")
        if self.scene is not None:
            text += "\n" + self._trained(self.scene)
        print(text)
        if self.device == "cuda":
            with RESULTS.open("a") as file:
                file.write("\n" + text)

    def _machine(self) -> Machine:
        """What the device can do at best."""
        side, size = (8192, 1 << 28) if self.device == "cuda" else (64, 1 << 10)
        source, target = torch.ones(size, device=self.device), torch.empty(size, device=self.device)
        matrix = torch.rand(side, side, device=self.device)
        copied, multiplied = self._timed(lambda: target.copy_(source)), self._timed(lambda: matrix @ matrix)
        return Machine(2 * source.nbytes / copied, 2 * side**3 / multiplied)

    def _timed(self, work: Callable[[], object]) -> float:
        def waited() -> None:
            work()
            if self.device == "cuda":
                torch.cuda.synchronize()

        return timed(waited) if self.device == "cuda" else timed(waited, 1, 1)

    def _compared(self, work: Callable[[], object]) -> tuple[float, float]:
        """Seconds in Triton kernels, and in plain torch on the same device."""
        ours = self._timed(work)
        with using("plain"):
            return ours, self._timed(work)

    def _kernel_rows(self, made: Bundle, machine: Machine) -> Iterator[Row]:
        """Look-up, marching, sums along rays, and a whole step."""
        field = RadianceField.from_state(made.state).to(self.device)
        cameras = CameraPath(made.camera, made.poses).to(self.device)
        generator = torch.Generator().manual_seed(0)
        frames = torch.randint(made.video.frames, (self.rays,), generator=generator).to(self.device)
        place = torch.rand(self.rays, 2, generator=generator) * torch.tensor([made.camera.width, made.camera.height])
        rays = cameras.rays(frames, place.to(self.device))
        tables, offsets = range(len(made.state.spec.tables)), torch.full((self.rays,), 0.5, device=self.device)

        def samples_of():
            return march(*rays, field.occupancy.empty, field.occupancy.density, 1 / field.spec.steps, offsets)

        samples = samples_of()
        count, features = len(samples.rays), made.state.spec.features
        work, theta = Work(made.state.spec), 8 * field.grids.slots.size
        name, gradient = f"{features} features", torch.randn(count, features, device=self.device)

        def both() -> None:
            field.grids.encode(samples.positions, tables).backward(gradient)

        limit = machine.limit(2 * work.encoded * count + theta, 2 * work.look_up * count)
        yield Row(f"grid encoding forward and backward, {count} samples, {name}", *self._compared(both), limit)
        limit = machine.limit(24 * count, 15 * count)
        yield Row(f"ray marching, {self.rays} rays, {count} samples", *self._compared(samples_of), limit)
        density = torch.rand(count, device=self.device, requires_grad=True)
        values = torch.randn(count, field.spec.geometry, device=self.device, requires_grad=True)

        def sums() -> None:
            accumulate(density, values, samples)[0].sum().backward()

        limit = machine.limit(4 * 3 * values.numel(), 6 * values.numel())
        yield Row("sums along rays forward and backward", *self._compared(sums), limit)
        optimizer = torch.optim.Adam(field.parameters(), lr=1e-6)

        def step() -> None:
            optimizer.zero_grad()
            made = field.step(*rays, Course())
            (made.rendering.color.mean() + 1e-9 * made.bits).backward()
            optimizer.step()

        ours, plain = self._compared(step)
        yield Row(f"a step of the field with Adam, {name}, without nerfstudio", ours, plain)
        numbers = np.random.default_rng(0)
        rate, plain = self._compared(lambda: field.rate.bits(field.grids, Course().rate_samples, numbers).backward())
        yield Row(f"rate term of it: {100 * rate / ours:.0f} % (bar: 20 %)", rate, plain)

    def _frame_row(self, made: Bundle, name: str) -> Row:
        """Rendering of frames over the whole turn, and how far they are from the CPU's."""
        large = resized(made)
        camera = large.camera.scaled(large.camera.width // self.scale, large.camera.height // self.scale)
        renderer, caster = TorchRenderer(made.state, camera, self.device), Raycaster(made.state, camera)
        chosen = np.linspace(0, len(made.poses) - 1, self.frames).astype(int)
        renderer.picture(made.poses[0])
        started = time.perf_counter()
        for index in chosen:
            picture = renderer.picture(made.poses[index])
        seconds = (time.perf_counter() - started) / self.frames
        difference = 255 * np.abs(picture - caster.picture(made.poses[chosen[-1]]))
        far = f"{difference.max():.2f}/255 at most from the CPU's, {(difference > 0.5).mean():.1e} of the values above a half"
        return Row(f"a frame of {camera.width}x{camera.height}, `{name}`; {far}", seconds, within=1 / 30)

    def _trained(self, scene: Path) -> str:
        """`standard` trained through nerfstudio; its bundle decoded and measured."""
        from rich.progress import Progress

        from nerfsem_method.evaluation.references import Clip
        from nerfsem_method.evaluation.study import evaluate
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
            with Progress() as progress:
                clip = Clip(scene / "scene.json", scene=scene)  # the video itself is not needed
                evaluation, _ = evaluate(clip, bundle, (), self.device, progress)
            quality = evaluation.tracks[0].ours.quality
            return (
                f"`standard` on {scene.name}: {seconds:.0f} s of training with reading the frames (bar: 300), "
                f"{bundle.stat().st_size} bytes, PSNR {quality.psnr:.2f}, PSNR-CENTER {quality.psnr_center:.2f} dB.\n"
            )


if __name__ == "__main__":
    sys.exit(run(tyro.cli(Gpu)))
