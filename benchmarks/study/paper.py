"""This program repeats the paper's experiments: bundles against H.264 and H.265 at its settings, its points in the same plot.

    python -m benchmarks.study.paper --scene work/scene --bundles lambda-1.nsem lambda-4.nsem --output-dir paper

FP: every bundle against H.264 and H.265 with GOP 20, 25 and CRF 42 ... 50. PC: the first bundle over backgrounds with GOP 30, 60,
90 and CRF 42 ... 50 (--background-codec: of another codec than H.264), against H.264 with GOP 20, 25, 30 and CRF 38 ... 46. Every
point is measured on decoded files, and kept in OUTPUT_DIR/points.json, so that a run that was stopped goes on. x264 and x265 are
veryslow, tuned for PSNR.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import tyro
from rich.progress import track

from benchmarks.record import RESULTS, Table, keep
from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.cli.main import run
from nerfsem_method.codec import nsem
from nerfsem_method.evaluation.bd_rate import bytes_at
from nerfsem_method.evaluation.metrics import Perceptual, load_lpips, measure
from nerfsem_method.evaluation.peers import PEERS, rate_point, run_peer
from nerfsem_method.evaluation.references import Clip, References, load_references
from nerfsem_method.files import replacing
from nerfsem_method.playback.player import Player
from nerfsem_method.plugin import checkpoint
from nerfsem_method.scene.scene import Scene

PROGRAM = "benchmarks.study.paper"
CODECS = {"H.264": "x264", "H.265": "x265"}
METRICS = {"psnr": "PSNR [dB]", "psnr_center": "PSNR-CENTER [dB]", "ssim": "SSIM", "lpips": "LPIPS"}
PUBLISHED = {
    ("fp", "psnr"): {
        "paper": [(0.0025, 33.5), (0.0037, 35.08)],
        "H.264": [(0.0044, 33.5), (0.0037, 31.10)],
        "H.265": [(0.004, 33.5)],
    },
    ("pc", "psnr_center"): {"paper": [(0.0078, 36.05)], "H.264": [(0.0078, 33.35)]},
}
"""These points (bpp, dB) stand in the paper's text, of its own clip; 43 % and 37.5 % in FP and 17 % in PC are its savings."""
SAVINGS = {("fp", "H.264"): "43 %", ("fp", "H.265"): "37.5 %", ("pc", "H.264"): "17 %"}
QUALITY = ("bytes", "bpp", "PSNR", "PSNR-CENTER", "SSIM", "LPIPS")
COLUMNS = ("mode", "bundle", *QUALITY, "of a peer's bytes at equal quality", "paper's saving")


class Setting(NamedTuple):
    """A setting is one point to be measured: of a codec, or of a bundle, by its name; over a background of the paper's, H.264, or
    of another codec."""

    mode: str
    codec: str
    gop: int
    crf: int
    background: str = ""
    """This codec is behind the object, if it is not the paper's, H.264."""

    @property
    def key(self) -> str:
        """Return the setting's name in points.json."""
        return " ".join(map(str, self)).strip()


@dataclass(frozen=True)
class Paper:
    """Repeat the paper's experiments on one clip: hours."""

    scene: Path
    """This is the captured scene that the bundles were trained on."""
    bundles: tuple[Path, ...]
    """These bundles are measured, those of several lambdas, say; the first one is also shown over backgrounds."""
    output_dir: Path = Path("paper")
    """points.json and plot.png lie in this folder."""
    gops: tuple[int, ...] = (20, 25)
    """Peers of FP have these distances of key frames, those of PC one of 30 frames as well."""
    crfs: tuple[int, ...] = (42, 44, 46, 48, 50)
    """Peers of FP have these qualities, those of PC four less."""
    background_gops: tuple[int, ...] = (30, 60, 90)
    """Backgrounds have these distances of key frames; none leaves PC out."""
    background_crfs: tuple[int, ...] = (42, 44, 46, 47, 48, 49, 50)
    """Backgrounds have these qualities."""
    background_codec: Literal["h264", "h265", "av1"] = "h264"
    """Backgrounds are coded so: the paper's are H.264. Other codecs have other qualities, and a table and a plot of their own."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> None:
        """Measure what is not measured yet, plot, print the table and keep it. Raises NerfsemError for input of another clip."""
        self.output_dir.mkdir(parents=True, exist_ok=True)
        kept = self.output_dir / "points.json"
        points: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else {}
        video = nsem.read(self.bundles[0]).video
        with TemporaryDirectory() as folder:
            references = load_references(Clip(self.scene / "scene.json", scene=self.scene), video, Path(folder))
            missing = [setting for setting in self._settings() if setting.key not in points]
            for setting in track(missing, "Measuring"):
                points[setting.key] = self._measured(setting, references)
                with replacing(kept) as partial:
                    partial.write_text(json.dumps(points, indent=1) + "\n")
        found = {setting: points[setting.key] for setting in self._settings()}
        behind = self._behind
        plot(self.output_dir / f"plot{behind and '-'}{behind}.png", found)
        title = f"the paper's experiments, {self.scene.parent.name}{behind and f', {behind} behind'}"
        keep(self.results, PROGRAM, Table(title, COLUMNS, list(rows(found))))

    @property
    def _behind(self) -> str:
        """Return the codec of backgrounds where it is not the paper's."""
        return "" if self.background_codec == "h264" else self.background_codec

    def _settings(self) -> Iterator[Setting]:
        """Yield all points, ours first."""
        for path in self.bundles:
            yield Setting("fp", path.stem, 0, 0)
        for codec in CODECS:
            yield from (Setting("fp", codec, gop, crf) for gop in self.gops for crf in self.crfs)
        if not self.background_gops:
            return
        first = self.bundles[0].stem
        yield from (Setting("pc", first, gop, crf, self._behind) for gop in self.background_gops for crf in self.background_crfs)
        yield from (Setting("pc", "H.264", gop, crf - 4) for gop in (*self.gops, 30) for crf in self.crfs)

    def _measured(self, setting: Setting, references: References) -> dict[str, Any]:
        """Return one point's figures."""
        truth, measures = references.of_mode(setting.mode), _perceptual()
        if setting.codec in CODECS:
            peer = replace(PEERS[CODECS[setting.codec]], gop=setting.gop)
            rate = nsem.read(self.bundles[0]).video.rate
            return run_peer(peer, setting.crf, truth, references.mattes, rate, measures).row()
        (path,) = (path for path in self.bundles if path.stem == setting.codec)
        bundle = replace(nsem.read(path), background=None)
        if setting.mode == "pc":
            options = BackgroundOptions(codec=self.background_codec, crf=setting.crf, gop=setting.gop)
            bundle = replace(bundle, background=checkpoint.scene_background(Scene.load(self.scene), options))
        quality = measure(Player(bundle).frames(setting.mode), truth, references.mattes, measures)
        return rate_point(setting.codec, None, len(nsem.encode(bundle)), (truth.shape[2], truth.shape[1]), quality).row()


def _perceptual() -> Perceptual:
    try:
        return Perceptual(load_lpips())
    except (ImportError, OSError) as error:
        return Perceptual(None, str(error))


def rows(points: dict[Setting, dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each of our points; the shares are those of the peer's GOP that needs the fewest bytes.

    Equal quality means PSNR in FP, and PSNR-CENTER in PC, as in the paper. A share is missing off the peers' curves.
    """
    for setting, point in points.items():
        if setting.codec in CODECS:
            continue
        metric, shares = "psnr" if setting.mode == "fp" else "psnr_center", {}
        for codec in CODECS:
            sizes = [bytes_at(curve, point[metric]) for curve in _curves(points, setting.mode, codec, metric)]
            known = [size for size in sizes if size is not None]
            if known:
                shares[codec] = f"{point['bytes'] / min(known):.2f} of {codec}"
        background = filter(None, (setting.codec, setting.background, f"GOP {setting.gop}", f"CRF {setting.crf}"))
        name = setting.codec if setting.mode == "fp" else ", ".join(background)
        figures = [f"{point[key]:.2f}" if "psnr" in key else _four(point[key]) for key in METRICS]
        saved = ", ".join(f"{SAVINGS[setting.mode, codec]} ({codec})" for codec in CODECS if (setting.mode, codec) in SAVINGS)
        yield (setting.mode, name, f"{point['bytes']:,}", f"{point['bpp']:.5f}", *figures, ", ".join(shares.values()), saved)


def _four(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4f}"


def _curves(points: dict[Setting, dict[str, Any]], mode: str, codec: str, metric: str) -> list[list[tuple[float, float]]]:
    """Return a codec's curves (bytes, quality), one a GOP."""
    gops = sorted({s.gop for s in points if (s.mode, s.codec) == (mode, codec)})
    return [
        [(p["bytes"], p[metric]) for s, p in points.items() if (s.mode, s.codec, s.gop) == (mode, codec, gop) and p[metric]]
        for gop in gops
    ]


def plot(path: Path, points: dict[Setting, dict[str, Any]]) -> None:
    """Write a PNG of quality over bits per pixel: one row a mode, one column a metric; the paper's points are hollow."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    modes = sorted({setting.mode for setting in points})
    shown = [metric for metric in METRICS if any(point[metric] is not None for point in points.values())]
    figure = Figure(figsize=(4.6 * len(shown), 3.8 * len(modes)), layout="constrained")
    axes = figure.subplots(len(modes), len(shown), squeeze=False)
    for mode, line in zip(modes, axes, strict=True):
        for metric, axis in zip(shown, line, strict=True):
            for label, curve in _lines(points, mode, metric).items():
                own = label.partition(" ")[0] not in CODECS
                axis.plot(*zip(*sorted(curve), strict=True), "*-" if own else ".-", label=label)
            for label, published in PUBLISHED.get((mode, metric), {}).items():
                axis.plot(*zip(*published, strict=True), "o", markerfacecolor="none", label=f"{label}, published (its clip)")
            axis.set(xlabel="bits per pixel", ylabel=METRICS[metric], title=mode.upper())
            axis.grid(True, alpha=0.3)
            axis.legend(fontsize="x-small")
    FigureCanvasAgg(figure).print_png(path)


def _lines(points: dict[Setting, dict[str, Any]], mode: str, metric: str) -> dict[str, Sequence[tuple[float, float]]]:
    """Return the curves (bpp, quality) of a mode by their labels."""
    found: dict[str, list[tuple[float, float]]] = {}
    for setting, point in points.items():
        if setting.mode != mode or point[metric] is None:
            continue
        named = setting.codec in CODECS or mode == "pc"
        label = " ".join(filter(None, (setting.codec, setting.background, f"GOP {setting.gop}"))) if named else "nerfsem"
        found.setdefault(label, []).append((point["bpp"], point[metric]))
    return dict(found)


if __name__ == "__main__":
    sys.exit(run(tyro.cli(Paper)))
