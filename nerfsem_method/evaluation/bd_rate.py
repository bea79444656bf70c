"""Rate-distortion curves are compared here: by Bjontegaard's delta rate, and by reading one off at a given rate or quality."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Curve = Sequence[tuple[float, float]]
"""A curve is its points (bytes, dB), in any order."""


def bd_rate(anchor: Curve, test: Curve) -> float:
    """Return the mean difference of rate at equal quality in percent, negative where `test` needs fewer bytes than `anchor`.

    It is 100 (exp(mean over the common quality range of ln R_test(q) - ln R_anchor(q)) - 1), Bjontegaard, ITU-T VCEG-M33
    (2001), with piecewise cubic Hermite interpolation as in JCTVC-L1100. Raises ValueError for fewer than four
    points, or for curves without a common quality.
    """
    from scipy.interpolate import PchipInterpolator

    if min(len(anchor), len(test)) < 4:
        raise ValueError("a curve needs at least four points")
    low, high = common(anchor, test)
    areas = [PchipInterpolator(*_by_quality(curve)).integrate(low, high) for curve in (anchor, test)]
    return 100 * float(np.expm1((areas[1] - areas[0]) / (high - low)))


def common(anchor: Curve, test: Curve) -> tuple[float, float]:
    """Return the lowest and the highest quality that two curves share. Raises ValueError where they share none."""
    (first, _), (second, _) = _by_quality(anchor), _by_quality(test)
    low, high = float(max(first[0], second[0])), float(min(first[-1], second[-1]))
    if low >= high:
        raise ValueError("the curves have no quality in common")
    return low, high


def at_bytes(curve: Curve, size: float) -> float | None:
    """Return a curve's quality in dB at a size, linear in the logarithm of bytes; None outside of it: nothing is extrapolated."""
    quality, size_log = _by_quality(curve)
    if not size_log[0] <= np.log(size) <= size_log[-1]:
        return None
    return float(np.interp(np.log(size), size_log, quality))


def bytes_at(curve: Curve, quality: float) -> float | None:
    """Return a curve's size in bytes at a quality, likewise; None outside of it."""
    qualities, size_log = _by_quality(curve)
    if not qualities[0] <= quality <= qualities[-1]:
        return None
    return float(np.exp(np.interp(quality, qualities, size_log)))


def _by_quality(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Return rising qualities and the logarithms of their sizes, without points that cost more for less."""
    kept: list[tuple[float, float]] = []
    for size, quality in sorted(curve):
        if not kept or quality > kept[-1][0]:
            kept.append((quality, float(np.log(size))))
    qualities, sizes = zip(*kept, strict=True)
    return np.array(qualities), np.array(sizes)
