"""`nerfsem evaluate` measures bundles against their clip and against frame codecs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from nerfsem_method.cli.manners import AsJson, BundlesIn, Device, WritingManners, named
from nerfsem_method.errors import CaptureError, OutputError

if TYPE_CHECKING:
    from nerfsem_method.evaluation.findings import Evaluation, Track
    from nerfsem_method.evaluation.peers import RatePoint
    from nerfsem_method.evaluation.references import Clip

REPORT = ("metrics.json", "comparison.png", "rd.png", "index.html")
"""A report is these files, written in this order."""
PeerName = Literal["x264", "x265", "x264-gop25", "x265-gop20", "svt-av1", "vvc", "hinerv"]


@dataclass(frozen=True)
class Evaluate:
    """Decode .nsem bundles of a clip, measure them against it, and run frame codecs on the same frames.

    The results are metrics.json, rd.png, comparison.png and index.html. A PC bundle is measured as FP and as PC. Four bundles or
    more, a rate sweep, have a delta rate against each codec. What codecs give is kept, and not made again.

    Examples:
      nerfsem evaluate relic.mp4 relic.nsem --output-dir report/ --scene-dir relic.nerfsem/
      nerfsem evaluate relic.mp4 relic.nsem --output-dir report/ --mattes mattes/ --peers x265
      nerfsem evaluate relic.mp4 s.nsem m.nsem l.nsem xl.nsem --output-dir report/ --scene-dir relic.nerfsem/ --peers x265 svt-av1
    """

    video: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="CLIP")]
    """Take the clip that the bundle was made from: a video, a folder of photographs or a quoted pattern of their names."""
    bundles: BundlesIn
    output_dir: Path
    """Write the report into this folder, which is made if missing."""
    mattes: Path | None = None
    """Take the mattes from this folder of PNG files, white where the object is, one a frame."""
    scene_dir: Path | None = None
    """Take frames and mattes from this captured scene; without --mattes the default is <clip>.nerfsem beside the video."""
    peers: tuple[PeerName, ...] = ("x264", "x265")
    """Compare with these codecs, as far as our sizes and qualities go; name none for a quick look. x264-gop25 and x265-gop20 are
    the paper's; vvc takes longest, but for hinerv: three networks are trained in each mode, for hours on a CPU."""
    download_lpips: bool = False
    """Download AlexNet's weights, 244 MB, once, where torch's cache does not have them: LPIPS is measured with these."""
    device: Device = "auto"
    json: AsJson = False
    manners: Annotated[WritingManners, tyro.conf.OmitArgPrefixes] = field(default_factory=WritingManners)

    def run(self) -> None:
        """Evaluate. Raises NerfsemError before any long work when the clip, its mattes or the output cannot be used."""
        from nerfsem_method.outputs import check_apart

        bundles, clip = named(self.bundles), self._clip()
        check_apart([self.output_dir / name for name in REPORT], [self.video, *bundles, clip.mattes, clip.scene])
        check_report(self.output_dir)

        from nerfsem_method.evaluation.findings import as_json
        from nerfsem_method.evaluation.report import write_report
        from nerfsem_method.evaluation.study import evaluate

        evaluation, shown = evaluate(clip, bundles, self.peers, self.device, self.download_lpips)
        write_report(self.output_dir, evaluation, shown)
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


def _track_lines(track: Track) -> Iterator[str]:
    from nerfsem_method.evaluation.findings import BUNDLES, delta_rate

    for name, point in track.sweep.items():
        yield _point_line(f"{track.mode}: {name + ': ' if len(track.sweep) > 1 else ''}", point)
        for peer, points in track.peers.items():
            yield from _against(peer, points, point)
    for peer in track.peers if len(track.sweep) >= BUNDLES else ():
        rate, span = delta_rate(track, peer, "psnr_center")
        told = rate.why if span is None else f"{rate.value:+.1f} % of bytes ({span[0]:.2f} to {span[1]:.2f} dB)"
        yield f"{track.mode}: delta rate against {peer} by PSNR-CENTER: {told}"


def _point_line(head: str, point: RatePoint) -> str:
    quality = point.quality
    center = "" if quality.psnr_center is None else f", PSNR-CENTER {quality.psnr_center:.2f} dB"
    lpips = f"LPIPS {quality.lpips:.4f}" if quality.lpips is not None else f"LPIPS not measured: {quality.lpips_reason}"
    colour = "" if quality.ciede2000 is None else f"CIEDE2000 {quality.ciede2000:.2f}, "
    return (
        f"{head}{point.bytes} bytes, {point.bpp:.5f} bpp, PSNR {quality.psnr:.2f} dB{center}, "
        f"PSNR-Y {quality.psnr_y:.2f} dB, SSIM {quality.ssim:.4f}, {colour}{lpips}"
    )


def _against(peer: str, points: Sequence[RatePoint], ours: RatePoint) -> Iterator[str]:
    """Yield what can be read off a peer's curve: our gain at equal bytes, and its bytes at equal quality."""
    from nerfsem_method.evaluation.findings import METRICS, at_our_bytes, at_our_quality, value_of

    found = []
    for metric in ("psnr", "psnr_center", "psnr_y_center"):
        value, reading = value_of(ours, metric), at_our_bytes(points, ours, metric)
        if value is not None and reading.value is not None:
            found.append(f"{METRICS[metric].title} {value - reading.value:+.2f} dB")
    yield f"  against {peer} at equal bytes: {', '.join(found) or 'outside of its curve'}"
    size = at_our_quality(points, ours, "psnr_center")
    bytes_ = size.why if size.value is None else f"{size.value:.0f} bytes, we take {ours.bytes / size.value:.2f} of them"
    yield f"  {peer} at our PSNR-CENTER: {bytes_}"
