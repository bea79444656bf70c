"""`nerfsem compress` turns a video into a bundle, everything in between included."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from nerfsem_method import pipeline
from nerfsem_method.cli.manners import WritingManners


@dataclass(frozen=True)
class Compress:
    """Compress a video of one static object into a .nsem bundle: capture, training, export.

    Examples:
      nerfsem compress relic.mp4 relic.nsem
      nerfsem compress relic.mp4 relic.nsem --mode pc --preset quick --scale 270:480
      nerfsem compress relic.mp4 relic.nsem --mattes mattes/ --work-dir relic-work/
      nerfsem compress relic.mp4 relic.nsem --target-size 30kB
    """

    video: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="CLIP")]
    """Take this clip, which circles one object, 8 frames or more: a video, a folder of photographs or a quoted pattern of their
    names, such as 'shots/*.JPG'."""
    bundle: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="BUNDLE")]
    """Write this .nsem file."""
    options: Annotated[pipeline.Options, tyro.conf.OmitArgPrefixes] = field(default_factory=pipeline.Options)
    work_dir: Path | None = None
    """Keep the capture, the run and a log here, and use earlier ones again. By default they lie in BUNDLE-work until the bundle
    is written; when the command is stopped, the same command goes on from there."""
    manners: Annotated[WritingManners, tyro.conf.OmitArgPrefixes] = field(default_factory=WritingManners)

    def run(self) -> None:
        """Compress. Raises NerfsemError before any long work when the video or the output cannot be used."""
        pipeline.compress(self.video, self.bundle, self.options, self.work_dir, tell=_say)


def _say(line: str) -> None:
    print(line, flush=True)
