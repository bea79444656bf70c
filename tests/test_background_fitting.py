"""A background of a bundle with a wanted size: which crf it gets."""

from __future__ import annotations

import math

import pytest

from nerfsem_method.background.fitting import FINEST, NEAR, SLOPE, fitted, larger
from nerfsem_method.background.options import QUALITIES, SMALLEST


def search(codec, most, size_at):
    """Return the crf of the stream that `fitted` returns, and all that it made."""
    made = []

    def encode(crf):
        made.append(crf)
        return bytes([crf]) * size_at(crf)

    span = FINEST[codec], SMALLEST[codec]
    return fitted(encode, larger(most, SLOPE), QUALITIES[codec][0], span, -math.log(NEAR) / SLOPE)[0], made


@pytest.mark.parametrize("codec", ["h264", "h265", "av1"])
@pytest.mark.parametrize("steepness", [0.03, 0.08, 0.2])
@pytest.mark.parametrize("most", [1_200, 5_000, 12_000, 60_000])
def test_the_stream_fills_its_share_and_no_more(codec, steepness, most):
    def size_at(crf):
        return round(15_000 * 2.718 ** (-steepness * (crf - 47)))

    crf, made = search(codec, most, size_at)
    assert FINEST[codec] <= crf <= SMALLEST[codec]
    assert len(made) == len(set(made)) <= 7
    if crf < SMALLEST[codec]:
        assert size_at(crf) <= most
    elif size_at(crf) > most:
        assert made[-1] == crf
    if size_at(crf) < NEAR * most and crf > FINEST[codec]:
        assert size_at(crf - 1) > most


def test_a_codec_that_has_no_smaller_stream_gives_its_smallest():
    crf, made = search("h264", 100, lambda crf: 20_000 - 100 * crf)
    assert crf == 51 == made[-1]


def test_a_share_that_nothing_fills_gives_the_finest():
    assert search("av1", 1e9, lambda crf: 1_000)[0] == 40


def test_sizes_that_rise_where_they_should_fall_end_the_search():
    """x265 does so above crf 49; whatever the sizes are, a stream comes back that was made."""
    crf, made = search("h264", 9_000, lambda crf: 10_000 - 500 * (crf % 5))
    assert crf in made and 10_000 - 500 * (crf % 5) <= 9_000


def test_a_stream_a_little_too_small_is_made_one_crf_finer() -> None:
    """Sizes between which a crf has no step: none is made that is far beyond."""
    made = []

    def encode(crf: int) -> bytes:
        made.append(crf)
        return bytes(round(1000 * 1.2 ** (57 - crf)))

    assert len(fitted(encode, larger(1100, 0.2), 57, (8, 63), 0.0)) == 1000
    assert made == [57, 56]
