"""The streams of all codecs are repeatable and lean, and refused by name when they are not what they should be."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from fractions import Fraction

import numpy as np
import pytest

from nerfsem_method.background.options import QUALITIES, BackgroundOptions
from nerfsem_method.background.streams import CODECS, decode, encode
from nerfsem_method.codec.background import StreamCodec
from nerfsem_method.errors import CorruptBundle, NerfsemError
from nerfsem_method.media.annexb import nal_type, nal_units

WIDTH, HEIGHT, FRAMES = 51, 75, 7


def frames(count: int = FRAMES) -> list[np.ndarray]:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return [
        np.stack([120 + 60 * np.sin((x + 2 * i) / 9), 100 + y / 2, np.full_like(x, 90.0)], -1).astype(np.uint8)
        for i in range(count)
    ]


@pytest.fixture(scope="module", params=CODECS)
def codec(request) -> StreamCodec:
    return request.param


@pytest.fixture(scope="module")
def stream(codec) -> bytes:
    return encode(frames(), Fraction(30), BackgroundOptions(codec, crf=20, gop=3))


def test_frames_of_odd_size_come_back(stream, codec):
    decoded = list(decode(stream, WIDTH, HEIGHT, FRAMES, codec))
    assert [picture.shape for picture in decoded] == [(HEIGHT, WIDTH, 3)] * FRAMES
    assert np.abs(np.array(decoded).astype(int) - np.array(frames())).mean() < 3


def test_equal_frames_give_equal_bytes_and_pictures(stream, codec):
    assert encode(frames(), Fraction(30), BackgroundOptions(codec, crf=20, gop=3)) == stream
    again = [list(decode(stream, WIDTH, HEIGHT, FRAMES, codec)) for _ in range(2)]
    np.testing.assert_array_equal(again[0], again[1])


@pytest.mark.parametrize(("name", "key", "parameters", "slices"), [("h264", 5, {7, 8}, {1}), ("h265", 20, {32, 33, 34}, {0, 1})])
def test_the_stream_is_annex_b_with_key_frames_and_without_sei(name, key, parameters, slices):
    stream = encode(frames(), Fraction(30), BackgroundOptions(name, crf=20, gop=3))
    syntax = CODECS[name][2]
    assert syntax is not None and stream.startswith(b"\x00\x00\x01")
    kinds = [nal_type(unit, syntax) for unit in nal_units(stream)]
    assert kinds.count(key) == 3  # gop=3
    assert {kind: kinds.count(kind) for kind in parameters} == dict.fromkeys(parameters, 1)
    assert set(kinds) <= {key} | parameters | slices


def test_an_av1_stream_is_temporal_units_with_key_frames():
    stream = encode(frames(), Fraction(30), BackgroundOptions("av1", crf=20, gop=3))
    kinds, at = [], 0
    while at < len(stream):
        assert stream[at] & 0x87 == 2, "a header of one byte, and a size"
        size, body = stream[at + 1] & 127, at + 2
        if stream[at + 1] > 127:
            size, body = size + (stream[body] << 7), body + 1
        kinds.append(stream[at] >> 3)
        at = body + size
    assert at == len(stream) and set(kinds) <= {1, 2, 3, 6}
    assert kinds.count(2) == FRAMES and kinds[:2] == [2, 1]
    assert kinds.count(1) == 3  # gop=3


def test_a_higher_crf_is_smaller(stream, codec):
    assert len(encode(frames(), Fraction(30), BackgroundOptions(codec, crf=45, gop=3))) < len(stream)


@pytest.mark.parametrize("count", [FRAMES - 1, FRAMES + 1])
def test_another_number_of_pictures_is_corrupt(stream, codec, count):
    with pytest.raises(CorruptBundle, match="pictures instead of"):
        list(decode(stream, WIDTH, HEIGHT, count, codec))


def test_wrong_sizes_and_garbage_are_corrupt(stream, codec):
    for data, width in ((stream, WIDTH + 40), (b"", WIDTH), (b"\x00\x00\x01garbage", WIDTH), (stream[:90], WIDTH)):
        with pytest.raises(CorruptBundle):
            list(decode(data, width, HEIGHT, FRAMES, codec))


def test_flipped_bits_in_pictures_are_noticed(stream, codec):
    """ffmpeg would conceal most of them; a few, in H.265 most, change nothing that it checks: sections have checksums."""
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(20):
        damaged = bytearray(stream)
        damaged[rng.integers(len(stream) // 2, len(stream))] ^= 1 << rng.integers(8)
        try:
            list(decode(bytes(damaged), WIDTH, HEIGHT, FRAMES, codec))
        except CorruptBundle:
            refused += 1
    assert refused > (0 if codec == "h265" else 10)


def test_pictures_far_larger_than_announced_are_not_decoded(codec):
    large = encode([np.zeros((720, 720, 3), np.uint8)], Fraction(30), BackgroundOptions(codec))
    with pytest.raises(CorruptBundle):
        list(decode(large, 16, 16, 1, codec))


def test_a_reader_that_stops_early_leaves_no_process_behind(stream, codec, monkeypatch):
    started = []

    def start(*given, run=subprocess.Popen, **named):
        started.append(run(*given, **named))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    pictures = decode(stream, WIDTH, HEIGHT, FRAMES, codec)
    assert isinstance(pictures, Generator)
    assert next(pictures).shape == (HEIGHT, WIDTH, 3)
    pictures.close()
    assert started and all(process.returncode is not None for process in started)


@pytest.mark.parametrize(("name", "crf"), [("h264", 52), ("h265", 52), ("av1", 64), ("h265", -1)])
def test_a_crf_that_the_codec_does_not_have_is_refused_before_any_frame_is_read(name, crf):
    def unread():
        pytest.fail("a frame was read")
        yield

    with pytest.raises(NerfsemError, match=rf"--background-crf {crf} is no quality of {name}; give 0 \(best\) to \d\d$"):
        encode(unread(), Fraction(30), BackgroundOptions(name, crf=crf))


def test_a_slow_motion_clip_has_a_background_too(codec):
    fast = encode(frames(), Fraction(960), BackgroundOptions(codec, crf=20, gop=3))
    assert len(list(decode(fast, WIDTH, HEIGHT, FRAMES, codec))) == FRAMES


def test_frames_that_an_encoder_does_not_take_are_told_with_a_remedy():
    tiny = [np.zeros((8, 8, 3), np.uint8)] * 2
    with pytest.raises(NerfsemError, match=r"the background cannot be coded \(.*\); choose another --background-codec$"):
        encode(tiny, Fraction(30), BackgroundOptions("h265"))


@pytest.mark.parametrize("name", ["h264", "h265", "av1"])
def test_the_coarsest_crf_of_a_codec_is_one(name):
    assert BackgroundOptions(name).quality <= BackgroundOptions(name, crf=QUALITIES[name][1]).quality
    coarse = encode(frames(2), Fraction(30), BackgroundOptions(name, crf=QUALITIES[name][1]))
    assert len(list(decode(coarse, WIDTH, HEIGHT, 2, name))) == 2
