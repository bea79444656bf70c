"""A video becomes a bundle: capture, background, training, export, and a look at the finished file.

`nerfsem compress`, the demo and the benchmarks call `compress`. The rooms behind it are imported late: options are shown at once.
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from nerfsem_method import log
from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.errors import GoalMissed, NerfsemError, OutputError
from nerfsem_method.files import followed, named, present, writing
from nerfsem_method.locks import LOCK, locked
from nerfsem_method.outputs import check_apart
from nerfsem_method.stopping import advise
from nerfsem_method.training.options import PaperOptions

if TYPE_CHECKING:
    from nerfsem_method.codec.nsem import Layer
    from nerfsem_method.scene.scene import Scene

PRESETS_BY_SIZE = {"quick": 20e3, "standard": 65e3}
"""Objects of a wanted size up to these bytes have these presets, larger ones archive: lambda alone moves a preset little."""
BACKGROUND_SHARE = 0.4
"""At most so much of a wanted size goes to a background whose crf is not chosen, if its codec can: as by default beside quick."""
LEAST_BYTES = 250
"""No trained bundle is this small: who wants one has left out the unit."""
LARGEST_BACKGROUND = 0.8
"""A background that takes a larger share than this of a wanted size leaves nothing to describe the object with."""


@dataclass(frozen=True)
class Options:
    """These options are all that may be chosen about a compression, but for the names of its files."""

    mode: Literal["fp", "pc"] = "fp"
    """fp keeps the object alone, pc the object and its background, the full video."""
    preset: str | None = None
    """Take quick (minutes on a CPU), standard, archive (more detail, an hour or two on a CPU), paper (the
    published sizes, for a GPU; its heads alone are 63 kB), or another file of configs/; by default standard, but quick for a
    --target-size below 20 kB and archive for one above 65 kB; of pc's, three fifths count."""
    capture: Annotated[CaptureOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=CaptureOptions)
    background: Annotated[BackgroundOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=BackgroundOptions)
    paper: Annotated[PaperOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=PaperOptions)
    backend: Literal["auto", "tcnn", "triton", "torch"] = "auto"
    """On a GPU, train by tiny-cuda-nn, in Triton kernels or in plain torch; auto takes Triton where it is there."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Train on this device; auto takes a GPU if there is one."""
    seed: int = 42
    """Draw first weights and rays from this seed: another one gives another bundle of the same quality."""
    max_steps: int | None = None
    """Train for this many steps instead of the preset's."""
    rate_weight: float | None = None
    """Use this lambda instead of the preset's: mean squared error (colours in [0, 1], over the whole video) a byte may save."""
    target_size: str | None = None
    """Steer lambda to a file of this size, met within 5 percent, such as 40kB or 40000 (1 kB is 1000 bytes). What the field
    leaves of it goes to a residual: what is each frame's own, as a stream of AV1."""
    target_psnr: float | None = None
    """Steer lambda to this mean PSNR of the object's pixels over white (PSNR-CENTER) in dB instead, met within 0.3 dB; where the
    field does not reach it, a residual does."""

    def check(self) -> None:
        """Raise NerfsemError for what cannot be meant."""
        from nerfsem_method.training import presets

        if self.max_steps is not None and self.max_steps < 1:
            raise NerfsemError(f"--max-steps {self.max_steps} trains nothing; give 1 or more")
        if self.target_size is not None and self.target_psnr is not None:
            raise NerfsemError("--target-size and --target-psnr exclude each other; give one of them")
        if self.paper.paper_lambda is not None and self.rate_weight is not None:
            raise NerfsemError("--paper-lambda and --rate-weight are one thing in two units; give one of them")
        given = {"--rate-weight": self.rate_weight, "--paper-lambda": self.paper.paper_lambda, "--target-psnr": self.target_psnr}
        for option, number in given.items():
            if number is not None and not 0 <= number < math.inf:
                raise NerfsemError(f"{option} {number:g} cannot be met; give a finite number that is not negative")
        if self.rate_weight == 0 and (self.target_size, self.target_psnr) != (None, None):
            raise NerfsemError("--rate-weight 0 cannot be steered to a goal; give more than 0, such as 1e-8, or leave it out")
        if not 0 <= self.seed < 1 << 32:
            raise NerfsemError(f"--seed {self.seed} is no seed; give a number from 0 to {(1 << 32) - 1}")
        if self.device == "cuda":
            from nerfsem_method.training.backend import insist_on_cuda

            insist_on_cuda()
        self.paper.check(presets.load(self.chosen_preset).field)
        self.background.check()
        if self.mode == "fp" and self.background != BackgroundOptions():
            raise NerfsemError("fp keeps no background, which --background-... is about; add --mode pc, or leave that out")
        if self.wanted_bytes is not None and self.wanted_bytes < LEAST_BYTES:
            raise NerfsemError(f"--target-size {self.target_size} is less than any bundle takes; give one such as 40kB")

    @property
    def chosen_preset(self) -> str:
        """Return the preset, the one for the wanted size where none is named. Raises NerfsemError when the text is no size."""
        if self.preset is not None:
            return self.preset
        size = self.wanted_bytes
        if size is None:
            return "standard"
        objects = size * (1 - BACKGROUND_SHARE) if self.mode == "pc" else size
        return next((name for name, most in PRESETS_BY_SIZE.items() if objects <= most), "archive")

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

    What a command that was stopped has done is kept, and the same command goes on from there.

    Args:
        work_dir: The capture (`scene/`) and the run (`runs/`) stay here and are found again; by default they lie beside the
            bundle until it is written.
        tell: It hears warnings and results, a line each.

    Raises:
        NerfsemError: The video, an option or the output cannot be used, which is told before any long work, or a goal is missed.
    """
    from nerfsem_method.capture.entry import open_source

    open_source(video, options.capture)
    options.check()
    _check_target(video, target, options)
    with present(followed(target).parent), _working_in(target, work_dir, tell) as work:
        check_apart([work / "scene", work / "runs"], [video, options.capture.mattes, options.capture.segmenter_weights])
        _make(video, target, options, work, tell)
        tell(f"{target}: {target.stat().st_size} bytes")
        _judge(target, options, work, tell)


def _check_target(video: Path, target: Path, options: Options) -> None:
    """Raise OutputError where the bundle would replace an input, or anything that is no bundle."""
    from nerfsem_method.codec import nsem

    inputs = (video, options.capture.mattes, options.capture.segmenter_weights)
    if not target.is_dir():
        check_apart([target], [path for path in inputs if path is not None and path.is_file()])
    if target.suffix and target.suffix.lower() == video.suffix.lower():  # two clips, as of *.mp4
        raise OutputError(
            f"{target} is named like a clip, not like a bundle; compress takes one clip and the name of its bundle, "
            f"such as {video.with_suffix('.nsem')}"
        )
    nsem.check_target(target)


@contextmanager
def _working_in(target: Path, chosen: Path | None, tell: Callable[[str], None]) -> Iterator[Path]:
    """Hold the folder of capture and run, `chosen` or one beside the bundle, and keep a log there.

    The one beside the bundle goes when the block ends well, and all that is new where it ends before a stage is complete. Raises
    OutputError when another process works there, or somebody else's files lie in the one beside the bundle.
    """
    from nerfsem_method.capture.stages import StageFolder

    work = chosen or named(followed(target).parent, target.name, "-work")
    with ExitStack() as stack:
        with writing(work):
            stack.enter_context(present(work))
        held = {path.name for path in work.iterdir()}
        if chosen is None and held - {LOCK} and log.NAME not in held:
            raise OutputError(f"{work} holds other files, and is where the work would be done; move it, or name a --work-dir")
        stack.enter_context(locked(work))
        stages = StageFolder(work / "scene")
        if chosen is None and stages.keys():
            tell(f"going on with what an earlier command left in {work}")
        try:
            with log.kept_in(work):
                yield work
        except BaseException as error:
            if stages.keys():
                if isinstance(error, KeyboardInterrupt):
                    advise(error)
                error.add_note(f"what is done is kept in {work}")
            elif chosen is None:
                shutil.rmtree(work, ignore_errors=True)
            elif log.NAME not in held:
                (work / log.NAME).unlink(missing_ok=True)
            raise
        if chosen is None:
            shutil.rmtree(work, ignore_errors=True)


def _make(video: Path, target: Path, options: Options, work: Path, tell: Callable[[str], None]) -> None:
    """Capture, train and write the bundle."""
    from nerfsem_method.capture.entry import capture
    from nerfsem_method.capture.report.figures import read_report

    scene = capture(video, options.capture, work / "scene")
    for warning in read_report(scene.root).warnings:
        tell(f"warning: {warning}")

    from nerfsem_method.media.clip.clip import stem_of
    from nerfsem_method.plugin import checkpoint

    background = None
    if options.mode == "pc":
        share = None if options.wanted_bytes is None else BACKGROUND_SHARE * options.wanted_bytes
        background = checkpoint.scene_background(scene, options.background, share)
    field_bytes = _field_bytes(options, background)
    if options.preset is None and options.wanted_bytes is not None:
        tell(f"preset {options.chosen_preset}, for {options.target_size}; --preset takes another")
    config = checkpoint.load_config(train_scene(scene, stem_of(video), options, field_bytes, work, tell))
    checkpoint.write_bundle(target, checkpoint.run_bundle(config, scene, background))

    from nerfsem_method.evaluation import gate
    from nerfsem_method.plugin import agreed

    agreed.report(scene, tell)
    gate.check(scene, target, tell)


def train_scene(
    scene: Scene, name: str, options: Options, field_bytes: float | None, work: Path, tell: Callable[[str], None] = print
) -> Path:
    """Train on a scene, or go on with an equal training that was stopped, and return the path of the run's config.yml."""
    from nerfsem_method.plugin.config import trainer_config
    from nerfsem_method.plugin.training import run_name, train

    config = trainer_config(options.chosen_preset)
    config.data = config.pipeline.datamanager.data = scene.root.resolve()
    config.output_dir = work.resolve() / "runs"
    config.experiment_name = name.strip(".") or "unnamed"  # ".." would lead elsewhere
    config.machine.seed = options.seed
    if options.device != "auto":
        config.machine.device_type = options.device
    config.max_num_iterations = options.max_steps or config.max_num_iterations
    model = config.pipeline.model
    model.rate_weight = options.rate_weight if options.rate_weight is not None else model.rate_weight
    model.paper, model.backend = options.paper, options.backend
    model.target_psnr, model.target_bytes = options.target_psnr, field_bytes
    config.timestamp = run_name(config, scene)
    return train(config, tell)


def _field_bytes(options: Options, background: Layer | None) -> float | None:
    """Return what a wanted size leaves for the FP part of the file."""
    from nerfsem_method.codec import nsem
    from nerfsem_method.codec.container import Section

    size = options.wanted_bytes
    if size is None or background is None:
        return size
    layer = Section(nsem.background_tag(background), background.payload()).stored_bytes
    if layer > LARGEST_BACKGROUND * size:
        smaller = options.background.smaller
        raise NerfsemError(
            f"the background alone takes {layer} of the {size:.0f} bytes; give a larger --target-size, "
            f"{f'a smaller background ({smaller}), ' if smaller else ''}or --mode fp"
        )
    return size - layer


def _judge(target: Path, options: Options, work: Path, tell: Callable[[str], None]) -> None:
    """Raise GoalMissed when the finished file, decoded, misses its goal: a script must know."""
    from nerfsem_method.training.goal import Goal

    size = options.wanted_bytes
    if size is not None:
        measured: float = target.stat().st_size
        text, wanted = f"{measured} bytes", options.target_size
    elif options.target_psnr is not None:
        measured = _center_psnr(target, work)
        text, wanted = f"PSNR-CENTER {measured:.2f} dB", f"{options.target_psnr:g} dB"
        tell(f"{target}: {text}")
    else:
        return
    if not Goal(size, options.target_psnr).met(measured):
        raise GoalMissed(
            f"{wanted} is out of reach of the preset {options.chosen_preset!r} for this clip; {target} came closest with {text}; "
            "choose another preset, --scale, or more --max-steps"
        )


def _center_psnr(target: Path, work: Path) -> float:
    """Measure PSNR-CENTER in dB of the decoded file, on all frames of its scene."""
    from nerfsem_method.codec import nsem
    from nerfsem_method.evaluation import gate
    from nerfsem_method.scene.scene import Scene

    found = gate.psnr_center(Scene.load(work / "scene"), nsem.read(target))
    assert found is not None  # The mattes show an object, or the gate would have failed.
    return found
