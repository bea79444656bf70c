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
from make_clips import ffmpeg, near, pattern, pictures, same
from PIL import Image

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip import colour
from nerfsem_method.media.clip.clip import Findings, folder_of, stem_of
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.media.clip.shape import projection_around


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clip of 10 frames of 64x48."""
    return pattern(tmp_path_factory.mktemp("plain") / "plain.mp4", 10)


def remarks_of(path: Path) -> list[str]:
    findings = Findings()
    list(open_clip(path).frames(findings=findings))
    return findings.remarks


@pytest.mark.parametrize("crf", [20, 30, 48])
def test_of_a_film_that_is_compressed_strongly_it_is_told(crf: int, tmp_path: Path) -> None:
    film = pattern(tmp_path / "film.mp4", 10, "-c:v", "libx264", "-crf", str(crf), size="160x120")
    told = remarks_of(film)
    if crf < 48:
        assert told == []
    else:
        assert len(told) == 1 and "compressed so strongly (quantiser 4" in told[0] and "send it as a file" in told[0]


def test_other_codecs_do_not_say_how_strongly(tmp_path: Path) -> None:
    assert remarks_of(pattern(tmp_path / "film.mp4", 10, "-c:v", "mpeg4", "-q:v", "31", size="160x120")) == []


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


def test_pixels_whose_shape_changes_are_refused_with_the_command(tmp_path: Path) -> None:
    shapes = {"first.ts": "1", "second.ts": "4/3", "third.ts": "1"}
    coded = ("-c:v", "libx264", "-bf", "0")
    parts = [pattern(tmp_path / name, 10, "-vf", f"setsar={shape}", *coded) for name, shape in shapes.items()]
    (tmp_path / "joined.ts").write_bytes(parts[0].read_bytes() + parts[1].read_bytes())
    with pytest.raises(CaptureError, match=r"pixels from 1:1 to 4:3 at about frame \d+.*joined.ts.*trim=end_frame=\d"):
        pictures(tmp_path / "joined.ts")
    (tmp_path / "joined.ts").write_bytes(parts[0].read_bytes() + parts[2].read_bytes())
    assert len(pictures(tmp_path / "joined.ts")) == 20


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
    (tmp_path / "page.mp4").write_text("<!DOCTYPE html>\n<title>R\u00f6mische Vase</title>\n" + 5000 * "-")
    Image.new("RGB", (64, 48)).save(tmp_path / "picture.mp4", "JPEG")
    for name, words in [
        ("nothing.mp4", "does not exist; name a video or a folder of photographs"),
        ("notes.mp4", "is not a video"),
        ("list.m3u8", "is not a video"),
        ("page.mp4", "not a video but a text that begins with '<!DOCTYPE html>': save the video itself once more"),
        ("picture.mp4", r"not a video but one picture \(jpeg\)"),
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


@pytest.mark.parametrize("ending", [".mjpeg", ".mjpg"])
def test_photographs_in_a_row_are_a_video(ending: str, tmp_path: Path) -> None:
    made = pattern(tmp_path / "a.avi", 5, "-c:v", "mjpeg", "-q:v", "2")
    ffmpeg("-i", made, "-c", "copy", "-f", "mjpeg", tmp_path / f"a{ending}")
    assert same(pictures(tmp_path / f"a{ending}"), pictures(made))


# Both eyes, and all around ------------------------------------------------------------------------------------------------


EYES = {"side by side": ("hstack", "left_right", 3, 1), "top and bottom": ("vstack", "top_bottom", 4, 2)}


@pytest.mark.parametrize("way", ["in the container", "in the frames"])
@pytest.mark.parametrize("eyes", EYES)
def test_a_picture_for_each_eye_is_refused_with_a_command_that_keeps_one(
    way: str, eyes: str, plain: Path, tmp_path: Path
) -> None:
    stack, mode, packing, _ = EYES[eyes]
    tag = ("-c:v", "mpeg4", "-metadata:s:v:0", f"stereo_mode={mode}")
    tag = tag if way == "in the container" else ("-c:v", "libx264", "-x264-params", f"frame-packing={packing}")
    ffmpeg("-i", plain, "-vf", f"split[a][b];[a][b]{stack}", *tag, tmp_path / "eyes.mkv")
    with pytest.raises(CaptureError, match=rf"for each eye in a frame \({eyes}\)") as refused:
        open_clip(tmp_path / "eyes.mkv")
    filters = str(refused.value).partition(" -vf '")[2].partition("'")[0]
    ffmpeg("-i", tmp_path / "eyes.mkv", "-vf", filters, tmp_path / "one.mp4")
    assert (open_clip(tmp_path / "one.mp4").width, open_clip(tmp_path / "one.mp4").height) == (64, 48)


def test_columns_for_each_eye_are_refused(plain: Path, tmp_path: Path) -> None:
    ffmpeg("-i", plain, "-c:v", "libx264", "-x264-params", "frame-packing=1", tmp_path / "eyes.mkv")
    with pytest.raises(CaptureError, match=r"for each eye in a frame \(interleaved columns\); give a film of one"):
        open_clip(tmp_path / "eyes.mkv")


SAID = "0:0: Video: h264, 3840x1920\n    Metadata:\n      title           : {}\n    Side data:\n      {}\n"


def test_films_of_all_around_are_refused(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = SAID.format("a vase", "spherical: half equirectangular (0.000000/0.000000/0.000000) ")
    monkeypatch.setattr(colour, "stream_description", lambda whole, index: said)
    with pytest.raises(CaptureError, match=r"a film of all around the camera \(half equirectangular\)"):
        open_clip(plain)


def test_a_title_does_not_make_a_film_another(plain: Path, tmp_path: Path) -> None:
    assert not projection_around(SAID.format("a", "spherical: rectilinear (0/0/0)"))
    for title in ("Spherical: a vase", "Stereo 3D: side by side", "Side data:"):
        ffmpeg("-i", plain, "-c", "copy", "-metadata:s:v:0", f"title={title}", tmp_path / "titled.mkv")
        assert open_clip(tmp_path / "titled.mkv").width == 64
