"""All metrics have known answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from nerfsem_method.evaluation.metrics import IDENTICAL_DB, Perceptual, masked_reference, measure

SHAPE = (24, 20, 3)


def pictures(*values: int) -> list[np.ndarray]:
    return [np.full(SHAPE, value, np.uint8) for value in values]


def half() -> np.ndarray:
    matte = np.zeros(SHAPE[:2], np.uint8)
    matte[:, :10] = 255
    return matte


def test_psnr_is_the_mean_of_the_frames_values_not_of_their_errors():
    quality = measure(pictures(110, 101, 105), pictures(100, 100, 100), [half()] * 3)
    expected = np.mean([20 * np.log10(255 / error) for error in (10, 1, 5)])
    assert quality.psnr == pytest.approx(expected)
    assert quality.psnr_y == pytest.approx(expected)
    assert quality.frames == 3


def test_the_center_is_where_the_matte_exceeds_one_half():
    decoded = pictures(100)[0].copy()
    decoded[:, 10:] = 0
    decoded[:, :10] = 105
    quality = measure([decoded], pictures(100), [half()])
    assert quality.psnr_center == pytest.approx(20 * np.log10(255 / 5))
    assert quality.psnr_center is not None and quality.psnr < quality.psnr_center
    edge = half()
    edge[:, 9] = 127
    assert measure([decoded], pictures(100), [edge]).psnr_center == pytest.approx(20 * np.log10(255 / 5))


def test_frames_without_an_object_do_not_count_for_the_center():
    empty = np.zeros(SHAPE[:2], np.uint8)
    quality = measure(pictures(105, 150), pictures(100, 100), [half(), empty])
    assert quality.psnr_center == pytest.approx(20 * np.log10(255 / 5))
    assert measure(pictures(1), pictures(2), [empty]).psnr_center is None


def test_luma_weighs_green_most():
    decoded = pictures(100, 100)
    decoded = [decoded[0].copy(), decoded[1].copy()]
    decoded[0][..., 1] += 10
    decoded[1][..., 2] += 10
    green, blue = (measure([frame], pictures(100), [half()]).psnr_y for frame in decoded)
    assert green == pytest.approx(20 * np.log10(255 / 7.152))
    assert blue == pytest.approx(20 * np.log10(255 / 0.722))


def test_identical_frames_have_a_finite_psnr_and_full_ssim():
    noise = [np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)]
    quality = measure(noise, noise, [half()])
    assert quality.psnr == quality.psnr_center == IDENTICAL_DB
    assert quality.ssim == pytest.approx(1)


def test_ssim_is_that_of_its_paper():
    """Wang et al. (2004): Gaussian windows of 11 x 11 pixels, sigma 1.5; K1 = 0.01, K2 = 0.03."""
    rng = np.random.default_rng(1)
    reference = rng.integers(0, 256, SHAPE)
    decoded = np.clip(reference + rng.normal(0, 30, SHAPE), 0, 255).astype(np.uint8)

    def blurred(picture):
        return gaussian_filter(picture.astype(float), (1.5, 1.5, 0), radius=(5, 5, 0))[5:-5, 5:-5]

    mean, other = blurred(decoded), blurred(reference)
    variances = blurred(decoded.astype(float) ** 2) - mean**2 + blurred(reference**2) - other**2
    covariance = blurred(decoded.astype(float) * reference) - mean * other
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = (2 * mean * other + c1) * (2 * covariance + c2) / ((mean**2 + other**2 + c1) * (variances + c2))
    assert measure([decoded], [reference.astype(np.uint8)], [half()]).ssim == pytest.approx(expected.mean(), abs=1e-6)


def test_lpips_is_a_number_or_has_a_reason_never_both():
    quality = measure(pictures(1), pictures(2), [half()], Perceptual(None, "no weights"))
    assert (quality.lpips, quality.lpips_reason) == (None, "no weights")
    quality = measure(pictures(1), pictures(2), [half()], Perceptual(lambda a, b: 0.25))
    assert (quality.lpips, quality.lpips_reason) == (0.25, None)


def test_sequences_of_different_length_are_refused():
    for decoded in (pictures(1), pictures(1, 2, 3), []):
        with pytest.raises(ValueError):
            measure(decoded, pictures(1, 2), [half(), half()])
    with pytest.raises(ValueError):
        measure([], [], [])


def test_the_masked_reference_is_composited_over_white_and_rounded():
    frame = np.full((1, 3, 3), 100, np.uint8)
    matte = np.array([[0, 128, 255]], np.uint8)
    assert masked_reference(frame, matte)[0, :, 0].tolist() == [255, 177, 100]


def test_a_difference_of_lightness_is_what_its_formula_says():
    """For greys CIEDE2000 is dL / S_L alone (Sharma, Wu and Dalal 2005, equations 8, 15, 22)."""
    light = [116 * ((grey / 255 + 0.055) / 1.055) ** (2.4 / 3) - 16 for grey in (100, 140)]
    shift = (sum(light) / 2 - 50) ** 2
    expected = (light[1] - light[0]) / (1 + 0.015 * shift / np.sqrt(20 + shift))
    decoded = pictures(140)[0].copy()
    decoded[:, 10:] = 0  # is no object
    quality = measure([decoded], pictures(100), [half()])
    assert quality.ciede2000 == pytest.approx(expected, abs=1e-3) and quality.ciede2000_p95 == pytest.approx(expected, abs=1e-3)
    assert quality.ciede2000_strong is None


def test_published_pairs_of_colours_have_their_published_difference():
    """Sharma, Wu and Dalal (2005), table 1, pairs 1, 4, 9, 17 and 25: the hue's turning point, rotation and large differences."""
    from skimage.color import deltaE_ciede2000

    first = [(50, 2.6772, -79.7751), (50, -1.3802, -84.2814), (50, 2.49, -0.001), (50, 2.5, 0), (60.2574, -34.0099, 36.2677)]
    second = [(50, 0, -82.7485), (50, 0, -82.7485), (50, -2.49, 0.0009), (73, 25, -18), (60.4626, -34.1751, 39.4387)]
    assert deltaE_ciede2000(first, second) == pytest.approx([2.0425, 1.0, 7.1792, 27.1492, 1.2644], abs=1e-4)


def test_strong_colours_and_the_worst_twentieth_have_figures_of_their_own():
    source = pictures(128)[0].copy()
    source[:, :2] = 160, 60, 50  # is a strong red, a fifth of the object
    decoded = source.copy()
    decoded[:, :2] = 140, 90, 70
    quality = measure([decoded], [source], [half()])
    assert quality.ciede2000_strong is not None and quality.ciede2000_strong > 8
    assert quality.ciede2000 == pytest.approx(quality.ciede2000_strong / 5)
    assert quality.ciede2000_p95 == pytest.approx(quality.ciede2000_strong)
