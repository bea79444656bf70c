"""`nerfsem evaluate` measures a bundle against its clip and against frame codecs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from nerfsem_method.cli.manners import AsJson, BundleIn, Device, WritingManners
from nerfsem_method.errors import CaptureError, OutputError

if TYPE_CHECKING:
    from nerfsem_method.evaluation.references import Clip
    from nerfsem_method.evaluation.report import Evaluation, Track

REPORT = ("metrics.json", "comparison.png", "rd.png", "index.html")
"""A report is these files, written in this order."""
PeerName = Literal["x264", "x265", "x264-gop25", "x265-gop20", "svt-av1", "vvc", "hinerv"]


@dataclass(frozen=True)
class Evaluate:
    """Decode a .nsem bundle, measure it against its clip, and run frame codecs on the same frames.

    The results are metrics.json, rd.png, comparison.png and index.html. A PC bundle is measured as FP and as PC.

    Examples:
      nerfsem evaluate relic.mp4 relic.nsem --output-dir report/ --scene-dir relic.nerfsem/
      nerfsem evaluate relic.mp4 relic.nsem --output-dir report/ --mattes mattes/ --peers x265
    """

    video: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="CLIP")]
    """Take the clip that the bundle was made from: a video, a folder of photographs or a quoted pattern of their names."""
    bundle: BundleIn
    output_dir: Path
    """Write the report into this folder, which is made if missing."""
    mattes: Path | None = None
    """Take the mattes from this folder of PNG files, white where the object is, one a frame."""
    scene_dir: Path | None = None
    """Take frames and mattes from this captured scene; without --mattes the default is <clip>.nerfsem beside the video."""
    peers: tuple[PeerName, ...] = ("x264", "x265")
    """Compare with these codecs, at six qualities each; name none for a quick look. svt-av1 and vvc take longest, but for
    hinerv: three networks are trained in each mode, for hours on a CPU."""
    download_lpips: bool = False
    """Download AlexNet's weights, 244 MB, once, where torch's cache does not have them: LPIPS is measured with these."""
    device: Device = "auto"
    json: AsJson = False
    manners: Annotated[WritingManners, tyro.conf.OmitArgPrefixes] = field(default_factory=WritingManners)

    def run(self) -> None:
        """Evaluate. Raises NerfsemError before any long work when the clip, its mattes or the output cannot be used."""
        from nerfsem_method.outputs import check_apart

        clip = self._clip()
        check_apart([self.output_dir / name for name in REPORT], [self.video, self.bundle, clip.mattes, clip.scene])
        check_report(self.output_dir)

        from nerfsem_method.evaluation.report import as_json, write_report
        from nerfsem_method.evaluation.study import evaluate

        evaluation, comparison = evaluate(clip, self.bundle, self.peers, self.device, self.download_lpips)
        write_report(self.output_dir, evaluation, comparison)
        if self.json:
            print(json.dumps(as_json(evaluation), indent=1))
        else:
            print(f"{summary(evaluation)}\nreport: {self.output_dir / 'index.html'}")

    def _clip(self) -> Clip:
        from nerfsem_method.evaluation.references import Clip
        from nerfsem_method.files import named
        from nerfsem_method.media.clip.clip import folder_of
        from nerfsem_method.media.clip.door import open_clip

        source = open_clip(self.video)
        if self.mattes is not None and self.scene_dir is not None:
            raise CaptureError("--mattes and --scene-dir both name mattes; give one of them")
        beside = named(folder_of(self.video), source.stem, ".nerfsem")
        scene = self.scene_dir or (beside if self.mattes is None and beside.is_dir() else None)
        if self.mattes is None and scene is None:
            raise CaptureError(f"no mattes for {self.video}: give --mattes DIR, or --scene-dir of an earlier capture")
        return Clip(self.video, self.mattes, scene)


def check_report(folder: Path) -> None:
    """Make sure that a report can be written into a folder: it may replace an earlier report there, nothing else.

    Raises OutputError.
    """
    from nerfsem_method.outputs import check_replaceable

    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder for the report")
    ours = _is_report(folder / REPORT[0])
    for name in REPORT:
        check_replaceable(folder / name, lambda path: ours, "report")


def _is_report(path: Path) -> bool:
    """Return whether a file is the metrics.json of a report; the other files of the report then lie beside it."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and {"clip", "bundle", "modes"} <= found.keys()


def summary(evaluation: Evaluation) -> str:
    """Return every mode's numbers in a few lines."""
    return "\n".join(line for track in evaluation.tracks for line in _track_lines(track))


def _track_lines(track: Track) -> list[str]:
    from nerfsem_method.evaluation.report import gains

    quality = track.ours.quality
    center = "" if quality.psnr_center is None else f", PSNR-CENTER {quality.psnr_center:.2f} dB"
    lines = [
        f"{track.mode}: {track.ours.bytes} bytes, {track.ours.bpp:.5f} bpp, PSNR {quality.psnr:.2f} dB{center}, "
        f"PSNR-Y {quality.psnr_y:.2f} dB, SSIM {quality.ssim:.4f}, "
        + (f"LPIPS {quality.lpips:.4f}" if quality.lpips is not None else f"LPIPS not measured: {quality.lpips_reason}")
    ]
    for name, row in gains(track).items():
        named = {"PSNR": "psnr_gain_db", "PSNR-CENTER": "psnr_center_gain_db", "PSNR-Y-CENTER": "psnr_y_center_gain_db"}
        found = [f"{label} {row[key]:+.2f} dB" for label, key in named.items() if row.get(key) is not None]
        lines.append(f"  against {name} at equal bytes: {', '.join(found) or 'outside of its curve'}")
    return lines
