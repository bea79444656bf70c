"""This program takes a training's three answers to real photographs apart: outlines, colours, and agreement of mattes and field.

    python -m benchmarks.study.parts --scene work/scene --preset quick --output-dir parts

It trains with none of them, with each alone, and with all, from the same seed. Every bundle is measured on the same pictures,
once by the captured mattes and once by those on which the training with all parts agreed. Bundles that exist are not made again.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import tyro

from benchmarks.record import RESULTS, Table, keep
from nerfsem_method.cli.main import run
from nerfsem_method.codec import nsem
from nerfsem_method.evaluation import gate
from nerfsem_method.plugin import checkpoint
from nerfsem_method.plugin.config import trainer_config
from nerfsem_method.plugin.training import train
from nerfsem_method.scene.scene import AGREED, Scene
from nerfsem_method.training import align
from nerfsem_method.training.outline import Outline

PROGRAM = "benchmarks.study.parts"
PARTS = ("outlines", "colours", "agreement")
VARIANTS = {"none": (), **{part: (part,) for part in PARTS}, "all": PARTS}
NOTE = "Cells are bytes, PSNR-CENTER by the captured mattes and, in brackets, by those that `all` agreed on."


@dataclass(frozen=True)
class PartsStudy:
    """Train a scene with each part alone, none and all."""

    scene: Path
    """This is a captured scene; it is copied, and stays as it is."""
    preset: str = "quick"
    """This preset is trained."""
    max_steps: int | None = None
    """So many steps are trained instead of the preset's."""
    output_dir: Path = Path("parts")
    """Scenes, runs and bundles lie in this folder, by the names of the variants."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> None:
        """Print the table and keep it. Raises NerfsemError where the folder is no scene."""
        bundles = {name: self._bundle(name, parts) for name, parts in VARIANTS.items()}
        captured, agreed = (Scene.load(self.output_dir / name / "scene") for name in ("none", "all"))
        cells = []
        for path in bundles.values():
            bundle = nsem.read(path)
            center, again = (gate.psnr_center(scene, bundle) for scene in (captured, agreed))
            assert center is not None and again is not None, "a field was trained on the object"
            cells.append(f"{path.stat().st_size:,}: {center:.2f} ({again:.2f})")
        folder, camera = self.scene.resolve(), captured.camera
        clip = f"{(folder.parent if folder.name == 'scene' else folder).name} {camera.width}x{camera.height}, `{self.preset}`"
        name = clip if self.max_steps is None else f"{clip}, {self.max_steps} steps"
        keep(self.results, PROGRAM, Table(name, ("clip", *VARIANTS), [(name, *cells)], "parts", NOTE))

    def _bundle(self, name: str, parts: Collection[str]) -> Path:
        """Return the bundle of a variant, made now or before."""
        folder = self.output_dir / name
        path = folder / "relic.nsem"
        if path.exists():
            return path
        if not (folder / "scene").exists():
            Scene.load(self.scene)
            shutil.copytree(self.scene, folder / "scene", ignore=shutil.ignore_patterns(AGREED))
        config = trainer_config(self.preset)
        config.data = config.pipeline.datamanager.data = (folder / "scene").resolve()
        config.output_dir, config.timestamp = folder.resolve() / "runs", "run"
        config.max_num_iterations = self.max_steps or config.max_num_iterations
        if "agreement" not in parts:
            config.pipeline.model.course = replace(config.pipeline.model.course, agree_at=())
        with _alone(parts):
            done = checkpoint.load_config(train(config))
        nsem.write(path, checkpoint.run_bundle(done, Scene.load(folder / "scene"), None))
        return path


@contextlib.contextmanager
def _alone(parts: Collection[str]) -> Iterator[None]:
    """Have the alignment look at outlines, and estimate colours, only where these are among the parts."""
    laid = Outline.of

    def none_laid(alpha: object) -> Outline:
        full = laid(alpha)  # pyright: ignore[reportArgumentType] (It is what `Outline.of` is given.)
        return replace(full, positions=full.positions[:0], normals=full.normals[:0], areas=full.areas[:0])

    with contextlib.ExitStack() as stack:
        if "outlines" not in parts:
            stack.enter_context(patch.object(Outline, "of", none_laid))
        if "colours" not in parts:
            stack.enter_context(patch.object(align, "estimate", lambda *_: None))
        yield


if __name__ == "__main__":
    sys.exit(run(tyro.cli(PartsStudy)))
