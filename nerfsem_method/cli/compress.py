"""`nerfsem compress`: a video to a bundle, everything in between included."""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from nerfsem_dataparsers.capture.options import CaptureOptions
from nerfsem_method.errors import CaptureError, NerfsemError
from nerfsem_method.scene import Scene


@dataclass(frozen=True)
class Compress:
    """Compress a video of one static object into a .nsem bundle: capture, training, export.

    Examples:
      nerfsem compress relic.mp4 relic.nsem
      nerfsem compress relic.mp4 relic.nsem --mode pc --preset quick --scale 270:480
      nerfsem compress relic.mp4 relic.nsem --mattes mattes/ --work-dir relic-work/
      nerfsem compress relic.mp4 relic.nsem --target-size 30kB
    """

    video: tyro.conf.Positional[Path]
    """A clip that circles one object, 8 frames or more."""
    bundle: tyro.conf.Positional[Path]
    """The .nsem file to write."""
    mode: Literal["fp", "pc"] = "fp"
    """fp: the object alone. pc: the object and its background, the full video."""
    preset: str = "standard"
    """quick (minutes on a CPU), standard, paper (the paper's own sizes, for a GPU), or another file of configs/."""
    capture: Annotated[CaptureOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=CaptureOptions)
    background_crf: int = 47
    """Quality of the background's H.264 stream, 0 (best) to 51; pc only."""
    background_gop: int = 60
    """Frames from one key frame of the background to the next; pc only."""
    max_steps: int | None = None
    """Train for this many steps instead of the preset's."""
    rate_weight: float | None = None
    """lambda instead of the preset's: mean squared error (colours in [0, 1], over the whole video) a byte may save."""
    target_size: str | None = None
    """Size of the file, met within 5 percent by steering lambda, such as 40kB or 40000 (1 kB is 1000 bytes)."""
    target_psnr: float | None = None
    """Mean PSNR of the object's pixels (PSNR-CENTER) in dB instead of a size, met within 0.3 dB."""
    work_dir: Path | None = None
    """Keep the capture and the run here, and use an earlier capture again; by default both are thrown away."""

    def run(self) -> None:
        """Raises NerfsemError before any long work when the video or the output cannot be used."""
        from nerfsem_method.video import replacing

        self._check()
        with ExitStack() as stack:
            work = self.work_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nerfsem-")))
            exported = self._export(work)
            with replacing(self.bundle) as partial:
                shutil.copyfile(exported, partial)
            print(f"{self.bundle}: {self.bundle.stat().st_size} bytes")
            self._judge(work)

    def _check(self) -> None:
        from nerfsem_method import presets
        from nerfsem_method.video import check_writable

        if not self.video.is_file():
            raise CaptureError(f"{self.video} is not a file; give the path of a video")
        if self.max_steps is not None and self.max_steps < 1:
            raise NerfsemError(f"--max-steps {self.max_steps} trains nothing; give 1 or more")
        if self.target_size is not None and self.target_psnr is not None:
            raise NerfsemError("--target-size and --target-psnr exclude each other; give one of them")
        _bytes(self.target_size)
        presets.load(self.preset)
        check_writable(self.bundle)

    def _field_bytes(self, scene: Scene) -> float | None:
        """What a wanted size leaves for the FP part of the file."""
        size = _bytes(self.target_size)
        if size is None or self.mode == "fp":
            return size
        from nerfsem_method.codec.container import Section
        from nerfsem_method.plugin.checkpoint import scene_background

        background = scene_background(scene, self.background_crf, self.background_gop)
        layer = Section("BACK", background.payload()).stored_bytes
        if layer > 0.8 * size:
            raise NerfsemError(
                f"the background alone takes {layer} of the {size:.0f} bytes; give a larger --target-size, a higher "
                "--background-crf, or --mode fp"
            )
        return size - layer

    def _judge(self, work: Path) -> None:
        """Raises NerfsemError when the finished file, decoded, misses its goal: it is kept, but a script must know."""
        size = _bytes(self.target_size)
        if size is None and self.target_psnr is None:
            return
        from nerfsem_method.goal import Goal

        if size is not None:
            measured: float = self.bundle.stat().st_size
            text, wanted = f"{measured} bytes", self.target_size
        else:
            from rich.progress import Progress

            from nerfsem_method.evaluation.references import Clip
            from nerfsem_method.evaluation.study import evaluate

            with Progress() as progress:
                evaluation, _ = evaluate(Clip(self.video, scene=work / "scene"), self.bundle, (), "auto", progress)
            found = evaluation.tracks[0].ours.quality.psnr_center
            assert found is not None  # the mattes show an object, or capture would have failed
            measured = found
            text, wanted = f"PSNR-CENTER {measured:.2f} dB", f"{self.target_psnr:g} dB"
            print(f"{self.bundle}: {text}")
        if not Goal(size, self.target_psnr).met(measured):
            raise NerfsemError(
                f"{wanted} is out of reach of the preset {self.preset!r} for this clip; {self.bundle} came closest with {text}; "
                "choose another preset, --scale, or more --max-steps"
            )

    def _export(self, work: Path) -> Path:
        """Capture, train and export inside the work folder; the path of the bundle there."""
        from nerfsem_dataparsers.capture.ingest import ingest
        from nerfsem_dataparsers.capture.report import read_report

        scene = ingest(self.video, self.capture, work / "scene")
        for warning in read_report(scene.root).warnings:
            print(f"warning: {warning}", flush=True)

        from nerfsem_method.plugin import checkpoint
        from nerfsem_method.plugin.config import trainer_config
        from nerfsem_method.plugin.training import train

        config = trainer_config(self.preset)
        config.data = config.pipeline.datamanager.data = scene.root.resolve()
        config.output_dir = work.resolve() / "runs"
        config.experiment_name = self.video.stem
        config.max_num_iterations = self.max_steps or config.max_num_iterations
        if self.rate_weight is not None:
            config.pipeline.model.rate_weight = self.rate_weight
        config.pipeline.model.target_psnr = self.target_psnr
        config.pipeline.model.target_bytes = self._field_bytes(scene)
        run = train(config)
        return checkpoint.export(run, work / "bundles", self.mode, self.background_crf, self.background_gop)


def _bytes(text: str | None) -> float | None:
    """Bytes of a size such as 40kB, 0.04 MB or 40000. Raises NerfsemError."""
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*(k|M)?B?\s*", text, re.IGNORECASE)
    size = float(found[1]) * {"": 1, "k": 1e3, "m": 1e6}[(found[2] or "").lower()] if found else 0.0
    if not size:
        raise NerfsemError(f"--target-size {text} is no size; give one such as 40kB")
    return size
