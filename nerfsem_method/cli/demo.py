"""`make demo` turns the sample clip into an FP and a PC bundle, and back; every figure is measured on the files.

It leaves in demo/: relic-fp.nsem, relic-pc.nsem, relic-fp.mp4, relic-pc.mp4, comparison.png, metrics.json and a page. The
captured scene and the training run stay in its subfolder "work", so that ns-viewer can open the run.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.cli.decode import Decode
from nerfsem_method.cli.evaluate import Evaluate
from nerfsem_method.cli.info import Info
from nerfsem_method.cli.main import run
from nerfsem_method.errors import CaptureError
from nerfsem_method.pipeline import Options, compress

SAMPLE = Path("tests") / "data"


@dataclass(frozen=True)
class Demo:
    """The demo does the whole main job on the sample clip, from the root of a checkout."""

    preset: str = "quick"
    folder: Path = Path("demo")

    def run(self) -> None:
        """Run the verbs one after the other. Raises NerfsemError as they do."""
        clip, mattes = SAMPLE / "vase.mp4", SAMPLE / "vase_mattes"
        if not clip.exists():
            raise CaptureError(f"{clip} is not here; run the demo from the root of a checkout")
        started = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        pc, fp = self.folder / "relic-pc.nsem", self.folder / "relic-fp.nsem"
        options = Options("pc", self.preset, CaptureOptions(mattes=mattes))
        compress(clip, pc, options, self.folder / "work")
        _drop_background(pc, fp)
        for bundle in (fp, pc):
            Info((bundle,)).run()
            Decode(bundle, bundle.with_suffix(".mp4")).run()
        Evaluate(clip, (pc,), self.folder, mattes=mattes, peers=()).run()
        minutes = (time.monotonic() - started) / 60
        print(f"the demo took {minutes:.1f} minutes; look at {self.folder / 'comparison.png'}")


def _drop_background(pc: Path, fp: Path) -> None:
    from nerfsem_method.codec import nsem
    from nerfsem_method.files import replacing

    nsem.check_target(fp)
    with replacing(fp) as partial:
        partial.write_bytes(nsem.drop_background(nsem.read_bytes(pc)))


if __name__ == "__main__":
    sys.exit(run(Demo(sys.argv[1]) if len(sys.argv) > 1 else Demo()))
