"""A video gives the frames that a player shows: of the main stream, upright, with square pixels, each once."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from make_clips import ffmpeg, pattern
from PIL import Image

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.clip import Findings, folder_of, stem_of
from nerfsem_method.media.clip.door import open_clip


@pytest.fixture(scope="session")
def cases(shared: Path) -> Path:
    """Return the folder of small clips that strangers send."""
    if not (shared / "cases").is_dir():
        pytest.skip("no small clips of strangers (shared/cases/)")
    return shared / "cases"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clip of 10 frames of 64x48."""
    return pattern(tmp_path_factory.mktemp("plain") / "plain.mp4", 10)


def pictures(path: Path, size: tuple[int, int] | None = None, every: int = 1) -> list[np.ndarray]:
    """Return all frames of a clip."""
    return [frame.rgb for frame in open_clip(path, every).frames(size)]


def near(one: list[np.ndarray], other: list[np.ndarray], tolerance: float = 2) -> bool:
    """Return whether two clips show the same, but for what coding changes."""
    assert len(one) == len(other)
    return all(a.shape == b.shape and np.abs(a.astype(int) - b).mean() < tolerance for a, b in zip(one, other, strict=True))


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    """Return whether two clips have the same pixels."""
    return len(one) == len(other) and all(map(np.array_equal, one, other))


# One stream -----------------------------------------------------------------------------------------------------------


def test_a_thumbnail_is_no_frame(cases: Path) -> None:
    assert same(pictures(cases / "streams/dji.mp4"), pictures(cases / "base/base20.mp4"))


def test_of_two_tracks_one_is_the_video(cases: Path) -> None:
    clip = open_clip(cases / "streams/two.mp4")
    assert (clip.width, clip.height, clip.announced) == (270, 480, 30)
    frames = pictures(cases / "streams/two.mp4")
    assert len(frames) == 30 and {frame.shape for frame in frames} == {(480, 270, 3)}


def test_a_cover_picture_is_no_frame_even_as_first_stream(plain: Path, tmp_path: Path) -> None:
    Image.new("RGB", (640, 480), "red").save(tmp_path / "cover.jpg")
    covered = tmp_path / "covered.mp4"
    ffmpeg(
        "-i", tmp_path / "cover.jpg", "-i", plain, "-map", 0, "-map", 1, "-c", "copy", "-disposition:v:0", "attached_pic", covered
    )
    assert same(pictures(covered), pictures(plain))


def test_a_track_of_one_picture_is_no_video_beside_one_of_many(plain: Path, tmp_path: Path) -> None:
    Image.new("RGB", (640, 480), "red").save(tmp_path / "still.jpg")
    ffmpeg("-i", tmp_path / "still.jpg", "-i", plain, "-map", 0, "-map", 1, "-c", "copy", tmp_path / "two.mov")
    assert same(pictures(tmp_path / "two.mov"), pictures(plain))


def test_the_larger_of_two_tracks_is_the_video_wherever_it_stands(plain: Path, tmp_path: Path) -> None:
    small = pattern(tmp_path / "small.mp4", 10, size="32x24")
    for name, first, second in (("a.mkv", small, plain), ("b.mkv", plain, small)):
        ffmpeg("-i", first, "-i", second, "-map", 0, "-map", 1, "-c", "copy", "-disposition:v", 0, tmp_path / name)
        assert same(pictures(tmp_path / name), pictures(plain))


def test_a_cover_picture_alone_is_no_video(tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), "red").save(tmp_path / "cover.jpg")
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", "-i", tmp_path / "cover.jpg", "-map", 0, "-map", 1,
           "-disposition:v", "attached_pic", tmp_path / "song.mp3")  # fmt: skip
    with pytest.raises(CaptureError, match="no video stream, only a cover picture"):
        open_clip(tmp_path / "song.mp3")


# Shape ----------------------------------------------------------------------------------------------------------------


def test_pixels_that_are_not_square_are_made_so(cases: Path) -> None:
    clip = open_clip(cases / "non-square/sar.mp4")
    assert (clip.width, clip.height) == (270, 480)
    assert near(pictures(clip.path), pictures(cases / "base/base20.mp4"), 6)


@pytest.mark.parametrize(("aspect", "size"), [("2/1", (128, 48)), ("3/4", (48, 48)), ("16/11", (93, 48)), ("1/1", (64, 48))])
def test_a_pixel_aspect_stretches_the_width(aspect: str, size: tuple[int, int], tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv"):
        clip = open_clip(pattern(tmp_path / name, 1, "-vf", f"setsar={aspect}"))
        assert (clip.width, clip.height) == size
        assert pictures(clip.path)[0].shape == (size[1], size[0], 3)


def test_a_pixel_aspect_is_turned_with_the_picture(tmp_path: Path) -> None:
    wide = pattern(tmp_path / "wide.mp4", 2, "-vf", "setsar=2")
    ffmpeg("-display_rotation", 90, "-i", wide, "-c", "copy", tmp_path / "turned.mp4")
    assert near(pictures(tmp_path / "turned.mp4"), [np.rot90(frame) for frame in pictures(wide)], 3)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_picture_is_set_upright(degrees: int, plain: Path, tmp_path: Path) -> None:
    ffmpeg("-display_rotation", degrees, "-i", plain, "-c", "copy", tmp_path / "turned.mp4")
    assert near(pictures(tmp_path / "turned.mp4"), [np.rot90(frame, degrees // 90) for frame in pictures(plain)])


def test_a_mirrored_picture_is_mirrored_back(plain: Path, tmp_path: Path) -> None:
    ffmpeg("-display_hflip", "-i", plain, "-c", "copy", tmp_path / "mirrored.mp4")
    assert near(pictures(tmp_path / "mirrored.mp4"), [frame[:, ::-1] for frame in pictures(plain)])


@pytest.mark.parametrize("left", [2, 4])
def test_what_the_stream_crops_is_cropped(left: int, tmp_path: Path) -> None:
    whole = pattern(tmp_path / "whole.mp4", 2)
    ffmpeg("-i", whole, "-c", "copy", "-bsf:v", f"h264_metadata=crop_left={left}:crop_bottom=6", tmp_path / "a.mp4")
    assert near(pictures(tmp_path / "a.mp4"), [frame[:42, left:] for frame in pictures(whole)], 1)


def test_what_the_container_crops_is_cropped(tmp_path: Path) -> None:
    whole = pattern(tmp_path / "whole.mkv", 2, "-vf", "setsar=0", "-c:v", "ffv1")
    data = whole.read_bytes()
    unit, crop_at_top = b"\x54\xb2\x81\x04", b"\x54\xbb\x81\x06"  # Matroska's DisplayUnit makes room for PixelCropTop.
    assert data.count(unit) == 1
    (tmp_path / "a.mkv").write_bytes(data.replace(unit, crop_at_top))
    assert near(pictures(tmp_path / "a.mkv"), [frame[6:] for frame in pictures(whole)], 1)


def test_frames_come_at_the_size_asked_for(plain: Path) -> None:
    small, large = pictures(plain, (32, 24)), pictures(plain, (96, 72))
    whole = pictures(plain)[0]
    blocks = whole.reshape(24, 2, 32, 2, 3).mean((1, 3))
    assert np.abs(small[0] - blocks).mean() < 0.6 * np.abs(whole[::2, ::2] - blocks).mean()
    assert large[0].shape == (72, 96, 3)


@pytest.mark.parametrize("sizes", [("64x48", "48x64"), ("64x48", "128x96")])
def test_a_size_that_changes_is_refused_with_the_command(sizes: tuple[str, str], tmp_path: Path) -> None:
    whole = b"".join(pattern(tmp_path / f"{size}.ts", 10, "-c:v", "libx264", size=size).read_bytes() for size in sizes)
    (tmp_path / "joined.ts").write_bytes(whole)
    with pytest.raises(
        CaptureError, match=rf"changes its size from {sizes[0]} to {sizes[1]} at frame 10.*ffmpeg -i \S+joined.ts"
    ):
        pictures(tmp_path / "joined.ts")


# Time -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mkv", "mp4"])
def test_uneven_times_neither_double_nor_drop_frames(kind: str, tmp_path: Path) -> None:
    uneven = "setpts='if(lt(N,6),N,N*4)/(10*TB)'"
    video = pattern(tmp_path / f"vfr.{kind}", 12, "-vf", uneven, "-fps_mode", "vfr")
    times = [frame.time for frame in open_clip(video).frames()]
    assert len(times) == 12
    np.testing.assert_allclose(times[:8], [0, 0.1, 0.2, 0.3, 0.4, 0.5, 2.4, 2.8], atol=2e-3)


def test_frames_with_one_time_are_all_frames(tmp_path: Path) -> None:
    video = pattern(tmp_path / "a.h264", 9)  # a bare stream has no times at all
    assert [round(frame.time * open_clip(video).rate) for frame in open_clip(video).frames()] == list(range(9))


def test_what_an_edit_list_cuts_off_is_no_frame(tmp_path: Path) -> None:
    whole = pattern(tmp_path / "whole.mp4", 30, "-g", "30", "-bf", "2")
    ffmpeg("-ss", "1.2", "-i", whole, "-c", "copy", tmp_path / "cut.mp4")
    clip, found = open_clip(tmp_path / "cut.mp4"), Findings()
    shown = [frame.rgb for frame in clip.frames(findings=found)]
    assert same(shown, pictures(whole)[12:]) and clip.announced == 18
    assert (found.numbers, found.total, found.damaged, found.remarks) == (list(range(18)), 18, {}, [])


def test_an_edit_list_that_waits_adds_no_frame(plain: Path, tmp_path: Path) -> None:
    ffmpeg("-itsoffset", "0.7", "-i", plain, "-c", "copy", tmp_path / "late.mp4")
    frames = list(open_clip(tmp_path / "late.mp4").frames())
    assert same([frame.rgb for frame in frames], pictures(plain)) and frames[0].time == 0


def test_every_third_frame(plain: Path) -> None:
    clip = open_clip(plain, every=3)
    assert (clip.rate, clip.announced) == (Fraction(10, 3), 4)
    assert [frame.number for frame in clip.frames()] == [0, 3, 6, 9]
    assert same(pictures(plain, every=3), pictures(plain)[::3])
    with pytest.raises(CaptureError, match="--every 0 takes no frame"):
        open_clip(plain, every=0)


def test_frames_can_be_asked_for_again_and_dropped_in_the_middle(plain: Path) -> None:
    clip = open_clip(plain)
    first = list(itertools.islice(clip.frames(), 3))
    assert [frame.number for frame in first] == [0, 1, 2] and len(list(clip.frames())) == 10


# Fields ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", [("-c:v", "libx264", "-x264-params", "tff=1"), ("-c:v", "mpeg2video", "-flags", "+ildct+ilme")])
def test_half_pictures_are_made_whole(codec: tuple[str, ...], tmp_path: Path) -> None:
    moving = "interlace=scan=tff,setfield=tff"
    video = pattern(tmp_path / "woven.mkv", 10, "-vf", moving, *codec, "-q:v", "2", size="192x96", source="testsrc")
    found = Findings()
    frames = [frame.rgb.astype(int) for frame in open_clip(video).frames(findings=found)]
    assert len(frames) == 10 and "frames 0-9 of the video are interlaced" in found.remarks[0]
    ffmpeg("-i", video, "-vf", "setfield=prog", "-c:v", "libx264", "-qp", "0", tmp_path / "combed.mkv")
    combed = [frame.astype(int) for frame in pictures(tmp_path / "combed.mkv")]

    def comb(picture: np.ndarray) -> float:
        return float(np.abs(2 * picture[2:-2] - picture[1:-3] - picture[3:-1]).mean())

    assert np.mean([comb(frame) for frame in frames]) < 0.9 * np.mean([comb(frame) for frame in combed])


def test_whole_pictures_are_left_alone(plain: Path) -> None:
    found = Findings()
    list(open_clip(plain).frames(findings=found))
    assert found.remarks == []


# Damage ---------------------------------------------------------------------------------------------------------------


def test_damaged_frames_are_named_and_left_out(cases: Path) -> None:
    found, sound = Findings(), pictures(cases / "base/base20.mp4")
    frames = list(open_clip(cases / "damaged/corrupt.mp4").frames(findings=found))
    assert all(np.array_equal(frame.rgb, sound[frame.number]) for frame in frames)
    assert found.numbers == [frame.number for frame in frames] and set(found.numbers).isdisjoint(found.damaged)
    assert "frames 2-18 of the video are damaged and left out" in found.remarks[0]


def spoil(video: Path, number: int, target: Path) -> Path:
    """Copy a clip with 24 wrong bytes in the middle of one packet, the `number`-th in the file."""
    import av

    with av.open(str(video)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    data = bytearray(video.read_bytes())
    place = (packets[number].pos or 0) + packets[number].size // 2
    data[place : place + 24] = bytes(0xFF ^ value for value in data[place : place + 24])
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("kind", ["a.mp4", "a.avi", "a.mkv"])
def test_damage_lasts_until_the_next_key_frame(kind: str, tmp_path: Path) -> None:
    codec = ("-c:v", "mpeg4") if kind == "a.avi" else ("-c:v", "libx264", "-bf", "0")
    video = pattern(tmp_path / kind, 30, "-g", "10", "-sc_threshold", "0", "-qscale:v", "2", *codec, size="192x144")
    found, sound = Findings(), pictures(video)
    frames = list(open_clip(spoil(video, 13, tmp_path / f"bad-{kind}")).frames(findings=found))
    assert found.numbers == [*range(13), *range(20, 30)] and found.total == 30
    assert all(np.array_equal(frame.rgb, sound[frame.number]) for frame in frames)
    assert "frames 13-19 of the video are damaged and left out" in found.remarks[0]


def test_damage_to_a_frame_on_which_none_rests_is_its_own(tmp_path: Path) -> None:
    still = ("-x264-params", "bframes=1:b-adapt=0:keyint=30:scenecut=0:no-deblock=1")
    video = pattern(tmp_path / "a.mp4", 11, "-vf", "noise=alls=20:allf=t", *still, size="320x240")
    found = Findings()
    list(open_clip(spoil(video, 2, tmp_path / "bad.mp4")).frames(findings=found))  # decoded third, shown second: I P B
    assert list(found.damaged) == [1]


def test_a_cut_file_gives_what_is_there_and_says_so(tmp_path: Path) -> None:
    video = pattern(tmp_path / "a.mp4", 30, "-movflags", "+faststart", "-g", "5")
    data = video.read_bytes()
    video.write_bytes(data[: len(data) * 3 // 4])
    found = Findings()
    frames = list(open_clip(video).frames(findings=found))
    assert 15 < len(frames) < 28
    assert any("announces 30 frames" in remark and "its end is missing" in remark for remark in found.remarks)


def test_a_stream_that_begins_in_the_middle_begins_with_its_first_key_frame(tmp_path: Path) -> None:
    video = pattern(tmp_path / "a.ts", 30, "-g", "10", "-c:v", "mpeg2video", "-b:v", "2M", size="192x144")
    data = video.read_bytes()
    (tmp_path / "tail.ts").write_bytes(data[188 * (len(data) // 188 // 6) :])
    frames = pictures(tmp_path / "tail.ts")
    assert same(frames, pictures(video)[-len(frames) :]) and len(frames) == 20


@pytest.mark.parametrize("effect", ["fade=in:0:4", "fade=out:16:4", "drawbox=t=fill:color=white:enable='eq(n,7)'"])
def test_frames_without_a_picture_are_frames(effect: str, tmp_path: Path) -> None:
    found = Findings()
    assert len(list(open_clip(pattern(tmp_path / "a.mp4", 20, "-vf", effect)).frames(findings=found))) == 20
    assert found.remarks == []


def test_a_fade_from_black_is_twenty_frames(cases: Path) -> None:
    assert len(pictures(cases / "black-frame/fade.mp4")) == 20


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


# Names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "2024-11-14T22:57:44.mp4",
        os.fsdecode(b"caf\xe9.mp4"),
        "x" * 249 + ".mp4",
        "-i.mp4",
        "100%.mp4",
        "f_%04d.mp4",
        "a*b?[c].mp4",
    ],
)
def test_any_name_is_a_name(name: str, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(plain, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for path in (Path(name), tmp_path / name):
        clip = open_clip(path)
        assert same([frame.rgb for frame in clip.frames()], pictures(plain))
        clip.name.encode()
        assert clip.sha256 == hashlib.sha256(plain.read_bytes()).hexdigest()
        assert stem_of(path) == clip.stem and f"{clip.stem}.mp4" == clip.name and folder_of(path).resolve() == tmp_path


# What is no clip ------------------------------------------------------------------------------------------------------


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("a vase\n" * 100)
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\na.ts\n")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "link.mp4").symlink_to("gone.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", tmp_path / "sound.wav")
    for name, words in [
        ("nothing.mp4", "does not exist; name a video or a folder of photographs"),
        ("notes.mp4", "is not a video"),
        ("list.m3u8", "is not a video"),
        ("empty.mp4", "is not a video"),
        ("link.mp4", "a link to a file that is not there"),
        ("pipe.mp4", "a pipe or a device"),
        ("sound.wav", "no video stream"),
    ]:
        with pytest.raises(CaptureError, match=words) as refused:
            open_clip(tmp_path / name)
        assert name in str(refused.value) and "\n" not in str(refused.value)


def test_icons_are_too_small(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="pictures of 14x14; give ones of at least 16"):
        open_clip(pattern(tmp_path / "a.mkv", 3, size="14x14"))


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
