"""The delta rate of two curves has known answers, and no number is invented."""

from __future__ import annotations

import pytest

from nerfsem_method.evaluation.bd_rate import at_bytes, bd_rate, bytes_at

CURVE = [(10_000, 30.0), (20_000, 33.0), (40_000, 36.0), (80_000, 39.0)]


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.25])
def test_a_curve_of_scaled_sizes_differs_by_the_scale(factor):
    scaled = [(size * factor, quality) for size, quality in reversed(CURVE)]
    assert bd_rate(CURVE, scaled) == pytest.approx(100 * (factor - 1))


def test_only_the_common_quality_counts():
    shifted = [(size * 0.7, quality + 3) for size, quality in CURVE]  # 3 dB are worth a factor of two
    assert bd_rate(CURVE, shifted) == pytest.approx(100 * (0.35 - 1))


def test_the_direction_is_test_against_anchor():
    cheap = [(size / 2, quality) for size, quality in CURVE]
    assert bd_rate(CURVE, cheap) == pytest.approx(-50)
    assert bd_rate(cheap, CURVE) == pytest.approx(100)


def test_too_few_points_and_disjoint_curves_have_no_answer():
    with pytest.raises(ValueError, match="four"):
        bd_rate(CURVE[:3], CURVE)
    with pytest.raises(ValueError, match="common"):
        bd_rate(CURVE, [(size, quality + 20) for size, quality in CURVE])


def test_reading_a_curve_is_linear_in_log_bytes_and_never_extrapolates():
    assert at_bytes(CURVE, 20_000) == pytest.approx(33)
    assert at_bytes(CURVE, 20_000 * 2**0.5) == pytest.approx(34.5)
    assert bytes_at(CURVE, 34.5) == pytest.approx(20_000 * 2**0.5)
    assert at_bytes(CURVE, 9_999) is None
    assert at_bytes(CURVE, 80_001) is None
    assert bytes_at(CURVE, 39.1) is None


def test_a_point_that_costs_more_for_less_is_ignored():
    assert at_bytes([*CURVE, (50_000, 31.0)], 56_568.5) == pytest.approx(37.5, abs=1e-3)
