"""This program studies HiNeRV as the background's codec: the sample clip's background at several sizes, beside frame codecs.

    python -m benchmarks.study.hinerv --sizes small medium large --output-dir hinerv

Every network goes through a bundle, whose field is empty, and is decoded by `nerfsem decode` in a process of its own. Bundles
that exist are not trained again. PSNR is that of RGB over pixels where the matte is 0, frame by frame.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

from benchmarks.record import RESULTS, Table, keep
from nerfsem_method.background import neural, streams
from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.background.plate import make_plate, mean_colours, most_frequent
from nerfsem_method.cli.demo import SAMPLE
from nerfsem_method.cli.main import run
from nerfsem_method.codec import nsem
from nerfsem_method.codec.hinerv import NeuralBackground
from nerfsem_method.evaluation.bd_rate import Curve, at_bytes
from nerfsem_method.evaluation.metrics import psnr
from nerfsem_method.evaluation.peers import PEERS
from nerfsem_method.evaluation.references import Clip, load_references
from nerfsem_method.field.spec import FieldSpec, Level
from nerfsem_method.field.state import FieldState, QuantisedTensor
from nerfsem_method.files import scratch
from nerfsem_method.hinerv.sizes import SizeName, recipe
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.scene.scene import Video

PROGRAM = "benchmarks.study.hinerv"
PAPER_CRF = (45, 48, 51)
"""The paper varies its background's crf from 42 to 50; these are the coarse ones, and H.264's end."""
EMPTY = FieldSpec((Level(2, 1),), (Level(2, 1),), occupancy=8, steps=8, width=1, geometry=1, directions=1, context_width=1)
PEER_NAMES = ("x264", "svt-av1")
COARSE = 3
"""So many of a peer's levels are run, those of the fewest bytes: a background is given few."""


@dataclass(frozen=True)
class Hinerv:
    """Train networks on the sample clip's background, decode them, and measure them beside frame codecs."""

    sizes: tuple[SizeName, ...] = ("small", "medium", "large")
    """These networks are trained, one after the other."""
    epochs: int | None = None
    """So many epochs are trained instead of the size's."""
    output_dir: Path = Path("hinerv")
    """Bundles and what their trainings took lie in this folder, and are found again."""
    scale: tuple[int, int] = (270, 480)
    """Frames have this width and height."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> None:
        """Print the tables and keep them. Raises NerfsemError where a codec cannot run."""
        self.output_dir.mkdir(parents=True, exist_ok=True)
        clip = open_clip(SAMPLE / "vase.mp4")
        mattes = SAMPLE / "vase_mattes"
        video = Video(clip.name, *self.scale, len(list(mattes.glob("*.png"))), clip.rate, clip.sha256)
        with scratch("nerfsem-hinerv-") as folder:
            found = load_references(Clip(SAMPLE / "vase.mp4", mattes), video, folder)
            frames, outside = np.array(found.frames), np.array(found.mattes)
        for size in self.sizes:
            if not self._bundle(size).exists():
                self._train(size, video, frames, outside)
        points = [self._measured(size, frames, outside) for size in self.sizes]
        curves = peer_curves(self.output_dir, frames, outside, video.rate)
        keep(self.results, PROGRAM, *self._tables(points, curves), _curves(curves))

    def _bundle(self, size: SizeName) -> Path:
        return self.output_dir / f"{size}.nsem"

    def _train(self, size: SizeName, video: Video, frames: np.ndarray, mattes: np.ndarray) -> None:
        started, busy = time.monotonic(), time.process_time()
        asked = recipe(size, len(frames), self.scale[1], self.scale[0])
        asked = asked if self.epochs is None else replace(asked, epochs=self.epochs)
        network = neural.make_background(list(frames), list(mattes), asked)
        minutes = {"wall minutes": (time.monotonic() - started) / 60, "processor minutes": (time.process_time() - busy) / 60}
        took = {"epochs": asked.epochs, "rate_weight": asked.rate_weight, **minutes}
        self._bundle(size).with_suffix(".json").write_text(json.dumps(took))
        nsem.write(self._bundle(size), empty_bundle(video, network))

    def _measured(self, size: SizeName, frames: np.ndarray, mattes: np.ndarray) -> tuple[int, float, str]:
        """Return a network's bytes, its PSNR over the background, and what it is and took."""
        path = self._bundle(size)
        background = nsem.read(path).background
        assert isinstance(background, NeuralBackground)
        with scratch("nerfsem-hinerv-") as folder:
            target = folder / "frames"
            program = [sys.executable, "-m", "nerfsem_method.cli.main"]
            subprocess.run([*program, "decode", path, target, "--mode", "pc"], check=True)
            decoded = [np.asarray(Image.open(name)) for name in sorted(target.glob("*.png"))]
        parameters = sum(tensor.integers.size for tensor in background.tensors.values())
        took = json.loads(path.with_suffix(".json").read_text())
        words = f"{size}, {parameters:,} parameters, {took['epochs']} epochs, lambda {took['rate_weight']:g}, "
        words += f"{took['processor minutes']:.1f} minutes of a processor"
        return len(background.payload()), background_psnr(decoded, frames, mattes), words

    def _tables(self, points: list[tuple[int, float, str]], curves: dict[str, Curve]) -> Iterator[Table]:
        """Yield one table a size, so that sizes may be measured one by one."""
        columns = ("HiNeRV", "bytes", "PSNR", *(f"{name}, same bytes" for name in curves))
        note = f"The sample clip's background, {self.scale[0]}x{self.scale[1]}, without the object's pixels."
        for size, (count, quality, words) in zip(self.sizes, points, strict=True):
            row = (words, f"{count:,}", f"{quality:.2f} dB", *(_at(curve, count) for curve in curves.values()))
            yield Table(f"HiNeRV's background, {size}", columns, [row], None, note)


def empty_bundle(video: Video, network: NeuralBackground) -> nsem.Bundle:
    """Return a bundle that shows a background and no object."""
    tables = tuple(np.zeros((table.entries, table.features), np.int8) for table in EMPTY.tables)

    def zeros(shapes: dict[str, tuple[int, ...]]) -> dict[str, QuantisedTensor]:
        return {name: QuantisedTensor(np.zeros(shape, np.int32), -5) for name, shape in shapes.items()}

    occupancy = np.zeros((EMPTY.occupancy,) * 3, bool)
    state = FieldState(EMPTY, occupancy, tables, zeros(EMPTY.head_shapes()), zeros(EMPTY.context_shapes()))
    camera = Intrinsics(video.width, video.height, video.width, video.width, video.width / 2, video.height / 2)
    pose = np.concatenate([np.eye(3), [[0.0], [0.0], [3.0]]], 1)
    poses = np.repeat(pose[None], video.frames, 0)
    return nsem.Bundle(state, video, camera, poses, np.ones((video.frames, 3), np.float32), network).quantised()


def background_psnr(decoded: Iterable[np.ndarray], frames: np.ndarray, mattes: np.ndarray) -> float:
    """Return the mean over frames of the PSNR in dB of pixels uint8 [N, H, W, 3] where the matte [N, H, W] is 0."""
    pairs = zip(decoded, frames, mattes, strict=True)
    return float(np.mean([psnr((made.astype(np.float64) - frame)[matte == 0] ** 2) for made, frame, matte in pairs]))


def peer_curves(folder: Path, frames: np.ndarray, mattes: np.ndarray, rate: Fraction) -> dict[str, Curve]:
    """Return bytes and PSNR over the background of frame codecs, which are given plates: the paper's, and ours for the others.

    They are kept in a folder, and found again.
    """
    kept = folder / "peers.json"
    if kept.exists():
        return {name: [(size, quality) for size, quality in points] for name, points in json.loads(kept.read_text()).items()}
    height, width = frames.shape[1:3]
    colour = most_frequent(mean_colours(frames, mattes))
    flat, plates = list(make_plate(frames, mattes, colour, "mean")), np.array(list(make_plate(frames, mattes, colour)))

    def point(stream: bytes, decoded: Iterable[np.ndarray]) -> tuple[float, float]:
        return len(stream), background_psnr(decoded, frames, mattes)

    papers = [streams.encode(flat, rate, BackgroundOptions(crf=crf, gop=30)) for crf in PAPER_CRF]
    curves: dict[str, Curve] = {
        "x264 as in the paper": [point(each, streams.decode(each, width, height, len(frames))) for each in papers]
    }
    for name in PEER_NAMES:
        peer = PEERS[name]
        coded = [peer.encode(plates, rate, level) for level in peer.levels[-COARSE:]]
        curves[name] = [point(each, peer.decode(each, width, height, len(frames))) for each in coded]
    kept.write_text(json.dumps(curves))
    return curves


def _at(curve: Curve, size: int) -> str:
    """Return a curve's PSNR at a size; below and above its sizes, where it begins or ends."""
    found = at_bytes(curve, size)
    if found is not None:
        return f"{found:.2f} dB"
    nearest = min(curve, key=lambda point: abs(point[0] - size))
    return f"- ({nearest[1]:.2f} dB at {nearest[0]:,.0f})"


def _curves(curves: dict[str, Curve]) -> Table:
    """Return the frame codecs' points, which stay in the record."""
    rows = [(name, f"{size:,.0f}", f"{quality:.2f} dB") for name, points in curves.items() for size, quality in points]
    return Table("frame codecs on the sample clip's background", ("codec", "bytes", "PSNR"), rows)


if __name__ == "__main__":
    sys.exit(run(tyro.cli(Hinerv)))
