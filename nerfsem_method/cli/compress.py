"""`nerfsem compress`: a video to a bundle, everything in between included."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from nerfsem_dataparsers.capture.options import CaptureOptions
from nerfsem_method.errors import CaptureError, NerfsemError


@dataclass(frozen=True)
class Compress:
    """Compress a video of one static object into a .nsem bundle: capture, training, export.

    Examples:
      nerfsem compress relic.mp4 relic.nsem
      nerfsem compress relic.mp4 relic.nsem --mode pc --preset quick --scale 270:480
      nerfsem compress relic.mp4 relic.nsem --mattes mattes/ --work-dir relic-work/
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

    def _check(self) -> None:
        from nerfsem_method import presets
        from nerfsem_method.video import check_writable

        if not self.video.is_file():
            raise CaptureError(f"{self.video} is not a file; give the path of a video")
        if self.max_steps is not None and self.max_steps < 1:
            raise NerfsemError(f"--max-steps {self.max_steps} trains nothing; give 1 or more")
        presets.load(self.preset)
        check_writable(self.bundle)

    def _export(self, work: Path) -> Path:
        """Capture, train and export inside the work folder; the path of the bundle there."""
        from nerfsem_dataparsers.capture.ingest import ingest

        scene = ingest(self.video, self.capture, work / "scene")

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
        run = train(config)
        return checkpoint.export(run, work / "bundles", self.mode, self.background_crf, self.background_gop)
