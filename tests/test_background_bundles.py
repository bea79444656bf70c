"""Bundles whose background is of any frame codec come back whole, and are refused by name by readers that lack the codec."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_field import ramp_pictures, ramps, tiny_bundle

from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.background.pictures import pictures_of
from nerfsem_method.cli.decode import Decode
from nerfsem_method.cli.info import Info
from nerfsem_method.cli.verify import Verify
from nerfsem_method.codec import nsem
from nerfsem_method.codec.background import STREAMS, Background, StreamCodec
from nerfsem_method.errors import CorruptBundle, NerfsemError, UnsupportedBundle
from nerfsem_method.pipeline import Options
from nerfsem_method.plugin import checkpoint

GOLDEN = Path(__file__).parent / "golden"
FIRST = (*nsem.FIELD_SECTIONS, *nsem.OCCUPANCIES, nsem.TINTS, nsem.FILTER, "BACK", "HNRV")
"""Readers that came before H.265 and AV1 know these sections."""


@pytest.fixture(scope="module", params=STREAMS)
def codec(request) -> StreamCodec:
    return request.param


@pytest.fixture(scope="module")
def path(codec, tmp_path_factory) -> Path:
    made = tiny_bundle()
    path = tmp_path_factory.mktemp(codec) / "relic.nsem"
    nsem.write(path, replace(made, background=ramps(made.video, codec)))
    return path


def test_a_fresh_process_shows_the_pictures(codec, path, tmp_path):
    program = [sys.executable, "-m", "nerfsem_method.cli.main", "decode", path, tmp_path / "frames"]
    subprocess.run(program, check=True, capture_output=True)
    shown = [np.asarray(Image.open(name)).astype(int) for name in sorted((tmp_path / "frames").glob("*.png"))]
    video = nsem.read(path).video
    assert len(shown) == video.frames
    for frame, picture in zip(shown, ramp_pictures(video), strict=True):
        assert np.abs(frame - picture)[:4, :4].mean() < 12  # no object is in the corner


def test_it_is_sound_and_told_and_dropped(codec, path, tmp_path, capsys):
    Verify((path,)).run()
    Info((path,)).run()
    said = capsys.readouterr().out
    assert "sound" in said and {"h264": "background  ", "h265": "background, H.265", "av1": "background, AV1"}[codec] in said
    dropped = nsem.drop_background(path.read_bytes())
    assert nsem.decode(dropped).mode == "fp" and STREAMS[codec][0] not in nsem.sizes(dropped)


def test_it_is_written_again_with_the_same_bytes(path):
    assert nsem.encode(nsem.read(path)) == path.read_bytes()


def test_readers_of_before_refuse_by_name(codec, path):
    if codec == "h264":
        assert nsem.unpack(path.read_bytes(), FIRST)
        return
    with pytest.raises(UnsupportedBundle, match=f"section {STREAMS[codec][0]} is unknown to this version"):
        nsem.unpack(path.read_bytes(), FIRST)


def test_a_stream_under_another_codecs_tag_shows_nothing(codec, path):
    """A reader must not take a stream for what it is not."""
    read = nsem.read(path)
    assert isinstance(read.background, Background)
    for other in STREAMS.keys() - {codec}:
        forged = nsem.pack(nsem.sections(replace(read, background=replace(read.background, codec=other))))
        with pytest.raises(CorruptBundle, match=r"holds no stream of|cannot be decoded|pictures instead of"):
            list(pictures_of(nsem.decode(forged)))


def test_two_backgrounds_are_refused(codec, path):
    parts = nsem.sections(nsem.read(path))
    tag = next(tag for tag, _ in STREAMS.values() if tag != STREAMS[codec][0])
    with pytest.raises(CorruptBundle, match="two backgrounds"):
        nsem.decode(nsem.pack([*parts, nsem.Section(tag, parts[-1].payload)]))


def test_a_background_that_is_cut_is_refused_by_verify(path, tmp_path):
    read = nsem.read(path)
    assert isinstance(read.background, Background)
    shorter = replace(read.background, stream=read.background.stream[:-30])
    (tmp_path / "short.nsem").write_bytes(nsem.pack(nsem.sections(replace(read, background=shorter))))
    with pytest.raises(CorruptBundle, match="background"):
        Verify((tmp_path / "short.nsem",)).run()


@pytest.mark.parametrize("name", ["dense-pc", "hevc-pc", "obus-pc"])
def test_streams_of_another_day_show_the_same_pictures(name):
    """Encoders change and give other bytes; what was once written stays what it is."""
    bundle = nsem.read(GOLDEN / f"{name}.nsem")
    shown = np.array(list(pictures_of(bundle))).astype(int)
    assert np.abs(shown - ramp_pictures(bundle.video)).mean() < 6


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (BackgroundOptions("h264", crf=52), "--background-crf 52 is no quality of h264"),
        (BackgroundOptions("h265", crf=-1), "--background-crf -1 is no quality of h265"),
        (BackgroundOptions("av1", crf=64), "--background-crf 64 is no quality of av1"),
        (BackgroundOptions("av1", gop=0), "--background-gop 0 is no distance"),
    ],
    ids=lambda value: "" if isinstance(value, BackgroundOptions) else value[:18],
)
def test_what_no_codec_takes_is_refused_before_any_work(options, said, tmp_path):
    with pytest.raises(NerfsemError, match=said):
        Options("pc", background=options).check()
    with pytest.raises(NerfsemError, match=said):
        checkpoint.export(tmp_path / "none.yml", tmp_path, "pc", options)


def test_a_range_of_frames_is_that_of_the_whole(path, tmp_path):
    Decode(path, tmp_path / "all").run()
    Decode(path, tmp_path / "some", frames="3:5").run()
    for name in ("000003.png", "000004.png"):
        assert (tmp_path / "some" / name).read_bytes() == (tmp_path / "all" / name).read_bytes()
