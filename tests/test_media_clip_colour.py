"""Colours are read as players show them, or refused by name; an alpha channel is the mattes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from make_clips import ffmpeg, pattern, pictures, same
from PIL import Image

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.door import open_clip

# Colour ---------------------------------------------------------------------------------------------------------------


def test_untagged_high_definition_is_read_as_its_tagged_twin(cases: Path, tmp_path: Path) -> None:
    untagged, twin = cases / "colour/c_untagged.mp4", tmp_path / "twin.mp4"
    tags = "h264_metadata=colour_primaries=1:transfer_characteristics=1:matrix_coefficients=1"
    ffmpeg("-i", untagged, "-c", "copy", "-bsf:v", tags, twin)
    shown = pictures(untagged)[0].astype(int)
    assert same([pictures(untagged)[0]], [pictures(twin)[0]])
    truth = np.asarray(Image.open(cases / "colour/truth.png").convert("RGB"), int)
    assert np.quantile(np.abs(shown - truth).max(-1), 0.95) <= 1  # but at the edges of its patches, where chroma is coarse


@pytest.mark.parametrize(
    ("size", "matrix"),
    [("1280x720", "bt709"), ("720x1280", "bt709"), ("1440x720", "bt709"), ("640x480", "bt601"), ("576x720", "bt601")],
)
def test_untagged_colours_are_those_of_their_size(size: str, matrix: str, tmp_path: Path) -> None:
    paint = f"format=gbrp,scale=out_color_matrix={matrix}:out_range=tv,format=yuv420p"
    source = f"color=0x2080d0:s={size}:d=0.1:r=10"
    ffmpeg("-f", "lavfi", "-i", source, "-vf", paint, "-c:v", "libx264", "-qp", "0", "-color_range", "unknown",
           "-colorspace", "unknown", tmp_path / "a.mp4")  # fmt: skip
    assert np.abs(pictures(tmp_path / "a.mp4")[0].astype(int) - (0x20, 0x80, 0xD0)).max() <= 4


@pytest.mark.parametrize(
    ("matrix", "levels", "name"),
    [("bt709", "tv", "bt709"), ("bt601", "tv", "smpte170m"), ("bt709", "pc", "bt709"), ("bt601", "pc", "bt470bg")],
)
def test_tagged_colours_are_believed_at_any_size(matrix: str, levels: str, name: str, tmp_path: Path) -> None:
    for size in ("64x48", "1280x720"):
        paint = f"format=gbrp,scale=out_color_matrix={matrix}:out_range={levels},format=yuv420p"
        ffmpeg("-f", "lavfi", "-i", f"color=0x2080d0:s={size}:d=0.1:r=10", "-vf", paint, "-c:v", "libx264", "-qp", "0",
               "-colorspace", name, "-color_range", levels, tmp_path / "a.mp4")  # fmt: skip
        assert np.abs(pictures(tmp_path / "a.mp4")[0].astype(int) - (0x20, 0x80, 0xD0)).max() <= 4


@pytest.mark.parametrize(("transfer", "name"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
def test_high_dynamic_range_is_refused_with_a_command_that_converts(transfer: str, name: str, tmp_path: Path) -> None:
    tags = f"setparams=color_trc={transfer}:color_primaries=bt2020:colorspace=bt2020nc"
    video = pattern(tmp_path / "hdr.mp4", 8, "-vf", tags, "-pix_fmt", "yuv420p10le")
    with pytest.raises(CaptureError, match=rf"high dynamic range \({name}\)") as refused:
        open_clip(video)
    command = str(refused.value).partition("first: ")[2]
    before, _, after = command.removeprefix("ffmpeg ").partition(" -vf '")
    filters, _, rest = after.partition("' ")
    ffmpeg(*before.split(), "-vf", filters, *rest.split())
    assert len(pictures(tmp_path / "hdr-converted.mp4")) == 8


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_high_dynamic_range_that_the_container_alone_tells_of_is_refused(kind: str, tmp_path: Path) -> None:
    tagged = pattern(
        tmp_path / f"tagged.{kind}", 8, "-vf", "setparams=color_trc=smpte2084:color_primaries=bt2020:colorspace=bt2020nc"
    )
    silent = "h264_metadata=transfer_characteristics=2:colour_primaries=2:matrix_coefficients=2"
    ffmpeg("-i", tagged, "-c", "copy", "-bsf:v", silent, tmp_path / f"hdr.{kind}")
    ffmpeg("-i", tmp_path / f"hdr.{kind}", "-c", "copy", tmp_path / "stream.h264")
    assert len(pictures(tmp_path / "stream.h264")) == 8  # the stream itself says nothing
    with pytest.raises(CaptureError, match="PQ"):
        open_clip(tmp_path / f"hdr.{kind}")


def test_high_dynamic_range_that_the_stream_alone_tells_of_is_refused(tmp_path: Path) -> None:
    pattern(tmp_path / "hdr.ts", 8, "-c:v", "libx264", "-bsf:v", "h264_metadata=transfer_characteristics=18")
    with pytest.raises(CaptureError, match="HLG"):
        open_clip(tmp_path / "hdr.ts")


def test_mastering_data_without_a_transfer_mean_high_dynamic_range(tmp_path: Path) -> None:
    light = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400:hdr10=1"
    pattern(tmp_path / "hdr.mp4", 8, "-c:v", "libx265", "-x265-params", f"log-level=error:{light}", "-pix_fmt", "yuv420p10le")
    with pytest.raises(CaptureError, match="HDR10"):
        open_clip(tmp_path / "hdr.mp4")


# Alpha ----------------------------------------------------------------------------------------------------------------

MOVING_HOLE = "format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='255*lt(hypot(X-20-2*N,Y-24),12)'"


@pytest.mark.parametrize(
    ("kind", "codec"),
    [
        ("mov", ("-c:v", "prores_ks", "-pix_fmt", "yuva444p10le")),
        ("mov", ("-c:v", "qtrle", "-pix_fmt", "argb")),
        ("mov", ("-c:v", "png", "-pix_fmt", "rgba")),
        ("webm", ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-b:v", "1M", "-deadline", "realtime", "-cpu-used", "8")),
        ("webm", ("-c:v", "libvpx", "-pix_fmt", "yuva420p", "-b:v", "1M", "-auto-alt-ref", "0")),
    ],
)
def test_an_alpha_channel_is_the_mattes(kind: str, codec: tuple[str, ...], tmp_path: Path) -> None:
    frames = list(open_clip(pattern(tmp_path / f"a.{kind}", 8, "-vf", MOVING_HOLE, *codec)).frames())
    assert len(frames) == 8
    y, x = np.mgrid[:48, :64]
    for frame in frames:
        assert frame.alpha is not None
        wrong = (frame.alpha > 127) != (np.hypot(x - 20 - 2 * frame.number, y - 24) < 12)
        assert wrong.mean() < 0.02


def test_what_is_transparent_leaves_no_fringe_when_pictures_shrink(tmp_path: Path) -> None:
    paint = "format=rgba,geq=r='200*lt(X,32)':g='100*lt(X,32)':b='50*lt(X,32)':a='255*lt(X,32)'"
    video = pattern(tmp_path / "a.mov", 8, "-vf", paint, "-c:v", "png", "-pix_fmt", "rgba")
    frame = next(open_clip(video).frames((9, 7)))
    assert np.abs(frame.rgb.astype(int) - (200, 100, 50)).max() <= 1
    assert frame.alpha is not None and frame.alpha[0, 0] == 255 and frame.alpha[0, -1] == 0


def test_a_constant_alpha_channel_changes_nothing(tmp_path: Path) -> None:
    opaque = pattern(tmp_path / "rgb.mov", 8, "-c:v", "png", "-pix_fmt", "rgb24")
    for alpha in (255, 0):
        paint = f"format=rgba,colorchannelmixer=aa={alpha / 255}"
        clear = list(open_clip(pattern(tmp_path / "a.mov", 8, "-vf", paint, "-c:v", "png", "-pix_fmt", "rgba")).frames())
        assert same([frame.rgb for frame in clear], pictures(opaque))
        assert all(frame.alpha is not None and (frame.alpha == alpha).all() for frame in clear)
