"""The plate is true outside of the matte, calm inside, and small in the bundle."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.background.plate import continued, make_background, make_plate, mean_colours, most_frequent
from nerfsem_method.background.streams import decode
from nerfsem_method.codec.background import Background
from nerfsem_method.errors import CorruptBundle

FILL = np.array([10, 200, 30], np.uint8)


def clip(frames: int = 6, height: int = 96, width: int = 64) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return frames and mattes of a red disc with a soft edge that moves over a grey ramp, which brightens slowly."""
    y, x = np.mgrid[:height, :width]
    pictures, mattes = [], []
    for i in range(frames):
        background = np.repeat((80 + y / 2 + 2 * i)[..., None], 3, -1)
        distance = np.hypot(x - width / 2 - i, y - height / 2)
        matte = np.clip(22 - distance, 0, 1)
        pictures.append(np.rint(background * (1 - matte[..., None]) + [255, 0, 0] * matte[..., None]).astype(np.uint8))
        mattes.append(np.rint(matte * 255).astype(np.uint8))
    return pictures, mattes


@pytest.mark.parametrize("fill", ["rim", "smooth"])
def test_pixels_outside_the_matte_are_untouched_and_the_object_is_gone(fill):
    frames, mattes = clip()
    for frame, matte, plate in zip(frames, mattes, make_plate(frames, mattes, FILL, fill), strict=True):
        np.testing.assert_array_equal(plate[matte == 0], frame[matte == 0])
        assert plate.dtype == np.uint8
        assert plate[..., 0].max() < 200  # the disc is red


@pytest.mark.parametrize("fill", ["rim", "smooth"])
def test_the_rim_of_the_silhouette_continues_the_background(fill):
    frames, mattes = clip(1)
    plate = next(make_plate(frames, mattes, FILL, fill)).astype(float)
    edge = (mattes[0] > 0) & (mattes[0] < 255)
    expected = (80 + np.mgrid[:96, :64][0] / 2)[edge]
    assert np.abs(plate[edge] - expected[:, None]).max() < 8


def test_rim_reaches_the_flat_colour_deep_inside_and_smooth_does_not():
    frames, mattes = clip(1)
    centre = (48, 32)
    np.testing.assert_allclose(next(make_plate(frames, mattes, FILL, "rim"))[centre], FILL, atol=2)
    np.testing.assert_allclose(next(make_plate(frames, mattes, FILL, "smooth"))[centre], 104, atol=8)


def test_continuing_keeps_constants_and_survives_extremes():
    flat = np.full((33, 17, 3), 77, np.uint8)
    known = np.zeros((33, 17), bool)
    assert continued(flat, known).shape == flat.shape
    known[0, 0] = True
    np.testing.assert_allclose(continued(flat, known), 77, atol=0.01)
    np.testing.assert_allclose(continued(flat, np.ones((33, 17), bool)), 77)


def test_an_object_that_fills_the_frame_leaves_the_flat_colour():
    frame, matte = np.zeros((32, 32, 3), np.uint8), np.full((32, 32), 255, np.uint8)
    assert mean_colours([frame], [matte]).tolist() == [[128, 128, 128]]
    np.testing.assert_array_equal(next(make_plate([frame], [matte], FILL, "rim"))[16, 16], FILL)


def test_mean_colours_leave_the_object_out():
    frames, mattes = clip()
    means = mean_colours(frames, mattes).astype(int)
    assert np.ptp(means, axis=1).max() <= 1  # no red has come in, but for the soft edge
    assert (np.diff(means[:, 0]) == 2).all()


def test_the_most_frequent_mean_is_not_the_average():
    means = np.array([[200, 10, 10]] * 3 + [[17, 17, 17], [18, 18, 17], [18, 17, 18], [19, 18, 17]], np.uint8)
    assert most_frequent(means).tolist() == [18, 18, 17]


def test_payload_round_trip_is_compact():
    means = (np.random.default_rng(0).normal(0, 1, (120, 3)).cumsum(0) + 128).astype(np.uint8)
    background = Background(b"\x00\x00\x01stream", FILL, means)
    payload = background.payload()
    assert len(payload) < len(background.stream) + 200
    back = Background.from_payload(payload, 120)
    assert back.stream == background.stream
    np.testing.assert_array_equal(back.means, means)
    np.testing.assert_array_equal(back.fill, FILL)


def test_damaged_payloads_are_corrupt():
    payload = Background(b"\x00\x00\x01s", FILL, np.full((5, 3), 90, np.uint8)).payload()
    for damaged in (b"", payload[:2], payload[:4], payload[:-4], payload[:3] + b"\x63" + payload[4:]):
        with pytest.raises(CorruptBundle):
            Background.from_payload(damaged, 5)
    with pytest.raises(CorruptBundle):
        Background.from_payload(payload, 1 << 40)
    wild = Background(b"\x00\x00\x01s", FILL, np.array([[900, 900, 900]])).payload()
    with pytest.raises(CorruptBundle):
        Background.from_payload(wild, 1)


def test_a_clip_becomes_a_background_section():
    frames, mattes = clip()
    background = make_background(frames, mattes, Fraction(30), BackgroundOptions(crf=40))
    np.testing.assert_array_equal(background.means, mean_colours(frames, mattes))
    np.testing.assert_array_equal(background.fill, most_frequent(background.means))
    assert len(background.stream) < 4000
    decoded = np.array(list(decode(background.stream, 64, 96, 6)), int)
    painted = np.array(list(make_plate(frames, mattes, background.fill)), int)
    assert np.abs(decoded - painted).mean() < 6
