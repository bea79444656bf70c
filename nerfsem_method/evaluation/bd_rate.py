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
    (q_anchor, r_anchor), (q_test, r_test) = _by_quality(anchor), _by_quality(test)
    low, high = max(q_anchor[0], q_test[0]), min(q_anchor[-1], q_test[-1])
    if low >= high:
        raise ValueError("the curves have no quality in common")
    areas = [PchipInterpolator(q, r).integrate(low, high) for q, r in ((q_anchor, r_anchor), (q_test, r_test))]
    return 100 * float(np.expm1((areas[1] - areas[0]) / (high - low)))


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
