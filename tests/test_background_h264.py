"""The H.264 stream is repeatable and lean, and refused by name when it is not what it should be."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from fractions import Fraction

import numpy as np
import pytest

from nerfsem_method.background.h264 import decode, encode
from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.errors import CorruptBundle
from nerfsem_method.media.annexb import H264, nal_type, nal_units

WIDTH, HEIGHT, FRAMES = 51, 75, 7


def frames(count: int = FRAMES) -> list[np.ndarray]:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return [
        np.stack([120 + 60 * np.sin((x + 2 * i) / 9), 100 + y / 2, np.full_like(x, 90.0)], -1).astype(np.uint8)
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def stream() -> bytes:
    return encode(frames(), Fraction(30), BackgroundOptions(crf=20, gop=3))


def test_frames_of_odd_size_come_back(stream):
    decoded = list(decode(stream, WIDTH, HEIGHT, FRAMES))
    assert [picture.shape for picture in decoded] == [(HEIGHT, WIDTH, 3)] * FRAMES
    assert np.abs(np.array(decoded).astype(int) - np.array(frames())).mean() < 3


def test_equal_frames_give_equal_bytes_and_pictures(stream):
    assert encode(frames(), Fraction(30), BackgroundOptions(crf=20, gop=3)) == stream
    again = [list(decode(stream, WIDTH, HEIGHT, FRAMES)) for _ in range(2)]
    np.testing.assert_array_equal(again[0], again[1])


def test_the_stream_is_annex_b_with_key_frames_and_without_sei(stream):
    kinds = [nal_type(unit, H264) for unit in nal_units(stream)]
    assert kinds.count(5) == 3  # gop=3
    assert kinds.count(7) == kinds.count(8) == 1
    assert set(kinds) <= {1, 5, 7, 8}
    assert stream.startswith(b"\x00\x00\x01")


def test_a_higher_crf_is_smaller(stream):
    assert len(encode(frames(), Fraction(30), BackgroundOptions(crf=45, gop=3))) < len(stream)


@pytest.mark.parametrize("count", [FRAMES - 1, FRAMES + 1])
def test_another_number_of_pictures_is_corrupt(stream, count):
    with pytest.raises(CorruptBundle, match="pictures instead of"):
        list(decode(stream, WIDTH, HEIGHT, count))


def test_wrong_sizes_and_garbage_are_corrupt(stream):
    for data, width in ((stream, WIDTH + 40), (b"", WIDTH), (b"\x00\x00\x01garbage", WIDTH), (stream[:90], WIDTH)):
        with pytest.raises(CorruptBundle):
            list(decode(data, width, HEIGHT, FRAMES))


def test_flipped_bits_in_pictures_are_noticed(stream):
    """ffmpeg would conceal most of them; a few change nothing that it checks."""
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(20):
        damaged = bytearray(stream)
        damaged[rng.integers(len(stream) // 2, len(stream))] ^= 1 << rng.integers(8)
        try:
            list(decode(bytes(damaged), WIDTH, HEIGHT, FRAMES))
        except CorruptBundle:
            refused += 1
    assert refused > 10


def test_pictures_far_larger_than_announced_are_not_decoded():
    large = encode([np.zeros((720, 720, 3), np.uint8)], Fraction(30), BackgroundOptions())
    with pytest.raises(CorruptBundle):
        list(decode(large, 16, 16, 1))


def test_a_reader_that_stops_early_leaves_no_process_behind(stream, monkeypatch):
    started = []

    def start(*given, run=subprocess.Popen, **named):
        started.append(run(*given, **named))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    pictures = decode(stream, WIDTH, HEIGHT, FRAMES)
    assert isinstance(pictures, Generator)
    assert next(pictures).shape == (HEIGHT, WIDTH, 3)
    pictures.close()
    assert started and all(process.returncode is not None for process in started)
