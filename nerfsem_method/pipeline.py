"""A video becomes a bundle: capture, background, training, export, and a look at the finished file.

`nerfsem compress`, the demo and the benchmarks call `compress`. The rooms behind it are imported when they are needed, so that
the command line can show the options at once.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.errors import CaptureError, NerfsemError
from nerfsem_method.files import check_writable
from nerfsem_method.training.options import PaperOptions

if TYPE_CHECKING:
    from nerfsem_method.codec.background import Background
    from nerfsem_method.scene.scene import Scene

LARGEST_BACKGROUND = 0.8
"""A background that takes a larger share than this of a wanted size leaves nothing to describe the object with."""


@dataclass(frozen=True)
class Options:
    """These options are all that may be chosen about a compression, but for the names of its files."""

    mode: Literal["fp", "pc"] = "fp"
    """fp keeps the object alone, pc the object and its background, the full video."""
    preset: str = "standard"
    """Take quick (minutes on a CPU), standard, paper (the published sizes, for a GPU; its heads alone are 63 kB), or another file
    of configs/."""
    capture: Annotated[CaptureOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=CaptureOptions)
    background: Annotated[BackgroundOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=BackgroundOptions)
    paper: Annotated[PaperOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=PaperOptions)
    backend: Literal["auto", "tcnn", "triton", "torch"] = "auto"
    """On a GPU, train by tiny-cuda-nn, in Triton kernels or in plain torch; auto takes Triton where it is there."""
    max_steps: int | None = None
    """Train for this many steps instead of the preset's."""
    rate_weight: float | None = None
    """Use this lambda instead of the preset's: mean squared error (colours in [0, 1], over the whole video) a byte may save."""
    target_size: str | None = None
    """Steer lambda to a file of this size, met within 5 percent, such as 40kB or 40000 (1 kB is 1000 bytes)."""
    target_psnr: float | None = None
    """Steer lambda to this mean PSNR of the object's pixels (PSNR-CENTER) in dB instead, met within 0.3 dB."""

    def check(self) -> None:
        """Raise NerfsemError for what cannot be meant."""
        from nerfsem_method.training import presets

        if self.max_steps is not None and self.max_steps < 1:
            raise NerfsemError(f"--max-steps {self.max_steps} trains nothing; give 1 or more")
        if self.target_size is not None and self.target_psnr is not None:
            raise NerfsemError("--target-size and --target-psnr exclude each other; give one of them")
        if self.paper.paper_lambda is not None and self.rate_weight is not None:
            raise NerfsemError("--paper-lambda and --rate-weight are one thing in two units; give one of them")
        self.paper.check(presets.load(self.preset).field)
        _ = self.wanted_bytes

    @property
    def wanted_bytes(self) -> float | None:
        """Return the wanted size of the file in bytes, None without one. Raises NerfsemError when the text is no size."""
        text = self.target_size
        if text is None:
            return None
        found = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*(k|M)?B?\s*", text, re.IGNORECASE)
        size = float(found[1]) * {"": 1, "k": 1e3, "m": 1e6}[(found[2] or "").lower()] if found else 0.0
        if not size:
            raise NerfsemError(f"--target-size {text} is no size; give one such as 40kB")
        return size


def compress(
    video: Path, target: Path, options: Options, work_dir: Path | None = None, tell: Callable[[str], None] = print
) -> None:
    """Write the bundle `target` of a clip; a finished bundle that misses its goal is kept, and named in an error.

    Args:
        work_dir: The capture (`scene/`) and the run (`runs/`) stay here and are found again; by default they are thrown away.
        tell: It hears warnings and results, a line each.

    Raises:
        NerfsemError: The video, an option or the output cannot be used, which is told before any long work, or a goal is missed.
    """
    if not video.is_file():
        raise CaptureError(f"{video} is not a file; give the path of a video")
    options.check()
    check_writable(target)
    with ExitStack() as stack:
        work = work_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nerfsem-")))
        _make(video, target, options, work, tell)
        tell(f"{target}: {target.stat().st_size} bytes")
        _judge(video, target, options, work, tell)


def _make(video: Path, target: Path, options: Options, work: Path, tell: Callable[[str], None]) -> None:
    """Capture, train and write the bundle."""
    from nerfsem_method.capture.ingest import ingest
    from nerfsem_method.capture.report.figures import read_report

    scene = ingest(video, options.capture, work / "scene")
    for warning in read_report(scene.root).warnings:
        tell(f"warning: {warning}")

    from nerfsem_method.plugin import checkpoint

    background = checkpoint.scene_background(scene, options.background) if options.mode == "pc" else None
    config = checkpoint.load_config(_train(scene, video.stem, options, _field_bytes(options, background), work))
    checkpoint.write_bundle(target, checkpoint.run_bundle(config, scene, background))


def _train(scene: Scene, name: str, options: Options, field_bytes: float | None, work: Path) -> Path:
    """Train on a scene and return the path of the run's config.yml."""
    from nerfsem_method.plugin.config import trainer_config
    from nerfsem_method.plugin.training import train

    config = trainer_config(options.preset)
    config.data = config.pipeline.datamanager.data = scene.root.resolve()
    config.output_dir = work.resolve() / "runs"
    config.experiment_name = name
    config.max_num_iterations = options.max_steps or config.max_num_iterations
    model = config.pipeline.model
    model.rate_weight = options.rate_weight if options.rate_weight is not None else model.rate_weight
    model.paper, model.backend = options.paper, options.backend
    model.target_psnr, model.target_bytes = options.target_psnr, field_bytes
    return train(config)


def _field_bytes(options: Options, background: Background | None) -> float | None:
    """Return what a wanted size leaves for the FP part of the file."""
    from nerfsem_method.codec import nsem
    from nerfsem_method.codec.container import Section

    size = options.wanted_bytes
    if size is None or background is None:
        return size
    layer = Section(nsem.BACKGROUND, background.payload()).stored_bytes
    if layer > LARGEST_BACKGROUND * size:
        raise NerfsemError(
            f"the background alone takes {layer} of the {size:.0f} bytes; give a larger --target-size, a higher "
            "--background-crf, or --mode fp"
        )
    return size - layer


def _judge(video: Path, target: Path, options: Options, work: Path, tell: Callable[[str], None]) -> None:
    """Raise NerfsemError when the finished file, decoded, misses its goal: a script must know."""
    from nerfsem_method.training.goal import Goal

    size = options.wanted_bytes
    if size is not None:
        measured: float = target.stat().st_size
        text, wanted = f"{measured} bytes", options.target_size
    elif options.target_psnr is not None:
        measured = _center_psnr(video, target, work)
        text, wanted = f"PSNR-CENTER {measured:.2f} dB", f"{options.target_psnr:g} dB"
        tell(f"{target}: {text}")
    else:
        return
    if not Goal(size, options.target_psnr).met(measured):
        raise NerfsemError(
            f"{wanted} is out of reach of the preset {options.preset!r} for this clip; {target} came closest with {text}; "
            "choose another preset, --scale, or more --max-steps"
        )


def _center_psnr(video: Path, target: Path, work: Path) -> float:
    """Measure PSNR-CENTER in dB of the decoded file."""
    from rich.progress import Progress

    from nerfsem_method.evaluation.references import Clip
    from nerfsem_method.evaluation.study import evaluate

    with Progress() as progress:
        evaluation, _ = evaluate(Clip(video, scene=work / "scene"), target, (), "auto", progress)
    found = evaluation.tracks[0].ours.quality.psnr_center
    assert found is not None  # The mattes show an object, or capture would have failed.
    return found
