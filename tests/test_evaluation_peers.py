"""All peers are treated alike, and what they encode is really decoded."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from nerfsem_method.evaluation.peers import PEERS, run_peer
from nerfsem_method.media.annexb import nal_type, nal_units
from nerfsem_method.media.video import StreamError

COUNT, HEIGHT, WIDTH = 6, 72, 70


@pytest.fixture(scope="module")
def clip() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    frames = [np.stack([x * 3 + i, y * 3, 128 + 60 * np.sin((x + y + 3 * i) / 5)], -1) for i in range(COUNT)]
    return np.array(frames).astype(np.uint8), np.full((COUNT, HEIGHT, WIDTH), 255, np.uint8)


@pytest.mark.parametrize("name", ["x264", "x265", "svt-av1", "vvc"])
def test_more_bytes_buy_more_quality(clip, name):
    peer = PEERS[name]
    frames, mattes = clip
    levels = (peer.levels[0], peer.levels[-1])
    fine, coarse = (run_peer(peer, level, frames, mattes, Fraction(30)) for level in levels)
    assert fine.bytes > coarse.bytes
    assert fine.quality.psnr > coarse.quality.psnr
    assert fine.quality.frames == COUNT
    assert fine.bpp == pytest.approx(8 * fine.bytes / (COUNT * HEIGHT * WIDTH))


@pytest.mark.parametrize("name", ["x264", "x265"])
def test_one_long_gop_has_one_key_frame_and_no_bytes_that_only_inform(clip, name):
    peer = PEERS[name]
    assert peer.syntax is not None
    kinds = [nal_type(unit, peer.syntax) for unit in nal_units(peer.encode(clip[0], Fraction(30), 40))]
    keys = {5} if name == "x264" else {16, 17, 18, 19, 20, 21}
    assert sum(kind in keys for kind in kinds) == 1
    assert not set(kinds) & peer.syntax.informative
    assert sum(kind in peer.syntax.repeated for kind in kinds) == len(peer.syntax.repeated)


def test_the_papers_short_gop_costs_more(clip):
    frames = np.concatenate([clip[0]] * 5)
    short, long = (len(PEERS[name].encode(frames, Fraction(30), 40)) for name in ("x264-gop25", "x264"))
    assert short > long


def test_a_stream_that_lost_frames_is_no_point(clip, monkeypatch):
    frames, mattes = clip
    whole = type(PEERS["x264"]).encode
    monkeypatch.setattr(type(PEERS["x264"]), "encode", lambda self, frames, *rest: whole(self, frames[:3], *rest))
    with pytest.raises(StreamError, match="number of frames"):
        run_peer(PEERS["x264"], 40, frames, mattes, Fraction(30))
