"""A peer's sweep goes as far as a comparison needs, and what a peer gave is kept by its content."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nerfsem_method.evaluation import neural
from nerfsem_method.evaluation.metrics import NOT_ASKED, Quality
from nerfsem_method.evaluation.peers import PEERS, Peer, RatePoint
from nerfsem_method.evaluation.sweeps import FEWEST, Shelf, sweep
from nerfsem_method.media.video import StreamError

X264 = replace(PEERS["x264"], options={"vcodec": "libx264", "preset": "ultrafast"}, levels=(20, 25, 30, 35, 40, 45, 50))
MATTES = np.full((3, 32, 48), 255, np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "nerfsem/peers"


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the levels that have really been encoded."""
    levels, encode = [], Peer.encode

    def heard(self: Peer, frames: np.ndarray, rate: Fraction, level: int) -> bytes:
        levels.append(level)
        return encode(self, frames, rate, level)

    monkeypatch.setattr(Peer, "encode", heard)
    return levels


def clip(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 256, (3, 8, 12, 3)), np.ones((1, 4, 4, 1))).astype(np.uint8)


def shelf(frames: np.ndarray, mattes: np.ndarray = MATTES, rate: int = 10) -> Shelf:
    return Shelf(frames, mattes, Fraction(rate), NOT_ASKED)


def ours(size: int, quality: float) -> RatePoint:
    return RatePoint("nerfsem", None, size, 0.0, Quality(3, quality, quality, quality, quality, 0.0))


def test_a_second_look_encodes_nothing_and_finds_the_same(encoded):
    first = shelf(clip()).point(X264, 40)
    assert shelf(clip()).point(X264, 40) == first and encoded == [40]
    assert shelf(clip()).frames(X264, 40, (0, 2)).keys() == {0, 2} and encoded == [40]


@pytest.mark.parametrize(
    "other",
    [
        lambda: shelf(clip(seed=1)).point(X264, 40),
        lambda: shelf(clip(), rate=11).point(X264, 40),
        lambda: shelf(clip()).point(replace(X264, options={**X264.options, "tune": "psnr"}), 40),
        lambda: shelf(clip()).point(replace(X264, gop=1), 40),
    ],
    ids=["frames", "rate", "settings", "gop"],
)
def test_other_frames_or_settings_are_encoded_anew(encoded, other):
    shelf(clip()).point(X264, 40)
    other()
    assert encoded == [40, 40]


def test_another_network_is_trained_anew(encoded, monkeypatch):
    """A change of HiNeRV's sources makes other streams of the same settings; those of frame codecs stay."""
    monkeypatch.setattr(neural, "encode", lambda frames, level: b"none")
    monkeypatch.setattr(Peer, "decode", lambda *_: iter(clip()))
    for maker in ("one", "one", "other"):
        monkeypatch.setattr(neural, "maker", lambda maker=maker: maker)
        shelf(clip()).point(PEERS["hinerv"], 0)
        shelf(clip()).point(X264, 40)
    assert encoded == [0, 40, 0]


def test_other_mattes_are_measured_anew_on_the_same_stream(encoded):
    half = MATTES.copy()
    half[:, :16] = 0
    whole, part = (shelf(clip(), mattes).point(X264, 50) for mattes in (MATTES, half))
    assert encoded == [50] and whole.bytes == part.bytes and whole.quality.psnr == part.quality.psnr
    assert whole.quality.psnr_center != part.quality.psnr_center


def test_kept_files_that_were_damaged_are_made_anew(folder, encoded):
    first = shelf(clip()).point(X264, 40)
    (figures,) = folder.glob("*.json")
    figures.write_text("[[1")
    assert shelf(clip()).point(X264, 40) == first and encoded == [40]
    (stream,) = folder.glob("*.stream")
    stream.write_bytes(stream.read_bytes()[:-1])
    assert shelf(clip()).point(X264, 40) == first and encoded == [40, 40]


def test_what_cannot_be_kept_is_made_all_the_same(folder, encoded):
    folder.parent.mkdir()
    folder.write_text("a file stands where the folder would be")
    bench = shelf(clip())
    assert bench.point(X264, 40).bytes > 0 and 1 in bench.frames(X264, 40, (1,)) and encoded == [40]


def test_a_sweep_ends_where_it_has_passed_us_with_the_fewest_points_of_a_curve(encoded):
    points = list(sweep(shelf(clip()), X264, [ours(1, 1.0)]))
    assert len(points) == FEWEST and encoded == [50, 45, 40, 35]
    sizes = [point.bytes for point in points]
    assert sizes == sorted(sizes)
    assert len(list(sweep(shelf(clip()), X264, [ours(1, 99.0)]))) == len(X264.levels)


def test_what_was_done_before_a_failure_is_kept(encoded, monkeypatch):
    decode = Peer.decode

    def fails_at_the_second(self: Peer, *arguments):
        if len(encoded) == 2:
            raise StreamError("the machine is tired")
        return decode(self, *arguments)

    with monkeypatch.context() as patch, pytest.raises(StreamError):
        patch.setattr(Peer, "decode", fails_at_the_second)
        list(sweep(shelf(clip()), X264, [ours(1, 1.0)]))
    list(sweep(shelf(clip()), X264, [ours(1, 1.0)]))
    assert encoded == [50, 45, 40, 35]
