"""An evaluation's findings are its numbers: points of ours and of the peers, and what can be read off their curves.

Nothing is extrapolated: where a curve does not reach, a reading says in words on which side it ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nerfsem_method.evaluation.bd_rate import Curve, at_bytes, bd_rate, bytes_at, common
from nerfsem_method.evaluation.peers import RatePoint


class Metric(NamedTuple):
    """A metric is compared by curves: its name for a reader, its decimals, and -1 where lower is better."""

    title: str
    digits: int
    sign: int = 1


METRICS = {
    "psnr": Metric("PSNR", 2),
    "psnr_center": Metric("PSNR-CENTER", 2),
    "psnr_y_center": Metric("PSNR-Y-CENTER", 2),
    "ssim": Metric("SSIM", 4),
    "lpips": Metric("LPIPS", 4, -1),
    "ciede2000": Metric("CIEDE2000", 2, -1),
    "ciede2000_p95": Metric("CIEDE2000, 95th percentile", 2, -1),
    "ciede2000_strong": Metric("CIEDE2000, strong colours", 2, -1),
}
CURVES = ("psnr", "psnr_center", "psnr_y_center", "ssim", "lpips", "ciede2000")
"""These are read at equal quality and have a delta rate; at equal bytes all metrics are read."""


RANKS = ("worst", "median", "best")
"""Pictures are shown of the frames with our lowest, middle and highest PSNR over the object."""


BUNDLES = 4
"""A delta rate is told of so many bundles or more: it asks for curves of as many points."""


class Reading(NamedTuple):
    """A reading is a value off a curve, or None and the reason why there is none."""

    value: float | None
    why: str = ""


@dataclass(frozen=True)
class Track:
    """A track is one mode of a clip: the point of each of our bundles by its name, and those of each codec on the same frames."""

    mode: str
    sweep: dict[str, RatePoint]
    peers: dict[str, tuple[RatePoint, ...]]

    @property
    def ours(self) -> RatePoint:
        """Return the point of the bundle that was named first."""
        return next(iter(self.sweep.values()))

    def nearest(self) -> tuple[RatePoint, ...]:
        """Return each peer's point whose bytes are nearest to `ours`, those that look best there first."""
        points = [min(curve, key=lambda p: abs(p.bytes / self.ours.bytes - 1)) for curve in self.peers.values()]
        return tuple(sorted(points, key=lambda point: -point.quality.psnr))


@dataclass(frozen=True)
class Evaluation:
    """An evaluation is all numbers of a report.

    `bundle` was named first; `parts` are its bytes by section, and `notes` what a reader must know.
    """

    clip: str
    bundle: str
    width: int
    height: int
    frames: int
    parts: dict[str, int]
    tracks: tuple[Track, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """One frame is shown as `pictures` uint8 [H, W, 3] by their labels: the source first, then ours, then the peers'."""

    mode: str
    rank: str
    index: int
    pictures: dict[str, np.ndarray]


def value_of(point: RatePoint, metric: str) -> float | None:
    """Return a point's figure of a metric, turned round where lower is better; None where it was not measured."""
    value = getattr(point.quality, metric)
    return None if value is None else METRICS[metric].sign * value


def curve(points: Sequence[RatePoint], metric: str) -> Curve:
    """Return (bytes, quality) of those rate points that have this metric, higher being better."""
    pairs = [(float(point.bytes), value_of(point, metric)) for point in points]
    return [(size, value) for size, value in pairs if value is not None]


def reaches(points: Sequence[RatePoint], ours: Sequence[RatePoint]) -> bool:
    """Return whether the finest of a peer's points is larger than each of ours, and better in every metric that is compared."""
    finest = max(points, key=lambda point: point.bytes)
    for point in ours:
        theirs, own = ([value_of(it, metric) for metric in CURVES] for it in (finest, point))
        better = [a >= b for a, b in zip(theirs, own, strict=True) if a is not None and b is not None]
        if finest.bytes < point.bytes or not all(better):
            return False
    return True


def at_our_quality(points: Sequence[RatePoint], ours: RatePoint, metric: str) -> Reading:
    """Return the bytes that a peer needs for our quality, between its points linear in the logarithm of bytes."""
    theirs, value = curve(points, metric), value_of(ours, metric)
    if value is None or not theirs:
        return Reading(None, "not measured")
    size = bytes_at(theirs, value)
    return Reading(size, "" if size is not None else _side(value < min(quality for _, quality in theirs)))


def at_our_bytes(points: Sequence[RatePoint], ours: RatePoint, metric: str) -> Reading:
    """Return a peer's figure of a metric at our bytes, likewise."""
    theirs = curve(points, metric)
    if value_of(ours, metric) is None or not theirs:
        return Reading(None, "not measured")
    value = at_bytes(theirs, ours.bytes)
    if value is None:
        return Reading(None, _side(ours.bytes < min(size for size, _ in theirs)))
    return Reading(METRICS[metric].sign * value)


def _side(below: bool) -> str:
    return "below its lowest" if below else "above its highest"


def delta_rate(track: Track, peer: str, metric: str) -> tuple[Reading, tuple[float, float] | None]:
    """Return the Bjontegaard rate of our bundles against a peer in percent, and over which range of the metric it is a mean."""
    theirs, own = curve(track.peers[peer], metric), curve(tuple(track.sweep.values()), metric)
    if not theirs or not own:
        return Reading(None, "not measured"), None
    if len(own) < BUNDLES:
        return Reading(None, "takes four bundles"), None
    try:
        percent = bd_rate(theirs, own)
    except ValueError as error:
        return Reading(None, str(error)), None
    low, high = sorted(METRICS[metric].sign * quality for quality in common(theirs, own))
    return Reading(percent), (low, high)


def gains(track: Track) -> dict[str, dict[str, float | None]]:
    """Return, by peer, the dB that our first bundle gains at equal bytes, and the percent of bytes that it takes more at equal
    quality. A figure is None off the peer's curve."""
    found: dict[str, dict[str, float | None]] = {}
    for name, points in track.peers.items():
        row: dict[str, float | None] = {}
        for metric in ("psnr", "psnr_center", "psnr_y_center"):
            value = value_of(track.ours, metric)
            if value is None:
                continue
            theirs, size = at_our_bytes(points, track.ours, metric).value, at_our_quality(points, track.ours, metric).value
            row[f"{metric}_gain_db"] = None if theirs is None else value - theirs
            row[f"{metric}_bytes_percent"] = None if size is None else 100 * (track.ours.bytes / size - 1)
        found[name] = row
    return found


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return the content of metrics.json."""
    facts = {name: getattr(evaluation, name) for name in ("clip", "bundle", "width", "height", "frames", "parts")}
    return {**facts, "notes": list(evaluation.notes), "modes": {track.mode: _track_json(track) for track in evaluation.tracks}}


def _track_json(track: Track) -> dict[str, Any]:
    readings = {
        bundle: {
            peer: {
                "bytes_at_our_quality": {metric: _plain(at_our_quality(points, point, metric)) for metric in CURVES},
                "quality_at_our_bytes": {metric: _plain(at_our_bytes(points, point, metric)) for metric in METRICS},
            }
            for peer, points in track.peers.items()
        }
        for bundle, point in track.sweep.items()
    }
    rates = {peer: {metric: delta_rate(track, peer, metric) for metric in CURVES} for peer in track.peers}
    return {
        "ours": track.ours.row(),
        "sweep": {name: point.row() for name, point in track.sweep.items()},
        "peers": {name: [point.row() for point in points] for name, points in track.peers.items()},
        "gains": gains(track),
        "readings": readings,
        "bd_rate": {
            peer: {metric: {"percent": _plain(rate), "over": span} for metric, (rate, span) in row.items()}
            for peer, row in rates.items()
        },
    }


def _plain(reading: Reading) -> float | str:
    """Return a reading's value, or its reason in its stead."""
    return reading.why if reading.value is None else reading.value
