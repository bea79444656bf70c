"""Half pictures are made whole, and what cannot be made whole is named and left out."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from make_clips import ffmpeg, pattern, pictures, same
from PIL import Image

from nerfsem_method.media.clip import filters
from nerfsem_method.media.clip.clip import Findings
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.media.clip.places import Places


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clip of 10 frames of 64x48."""
    return pattern(tmp_path_factory.mktemp("plain") / "plain.mp4", 10)


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


def test_half_pictures_that_no_file_tells_of_are_made_whole(tmp_path: Path) -> None:
    moving = "scroll=horizontal=0.06"
    pattern(tmp_path / "whole.mkv", 20, "-vf", moving, size="192x96")
    pattern(tmp_path / "woven.mkv", 20, "-vf", f"{moving},interlace=scan=tff,setfield=prog", size="192x96")
    for name, remarks in (("whole.mkv", []), ("woven.mkv", ["frames 0-19 of the video are interlaced"])):
        found = Findings()
        frames = [frame.rgb.astype(int) for frame in open_clip(tmp_path / name).frames(findings=found)]
        assert [said.partition(";")[0] for said in found.remarks] == remarks
        for frame in frames:
            assert np.abs(np.diff(frame, axis=0)).mean() < np.abs(frame[2:] - frame[:-2]).mean()


def test_whole_pictures_are_left_alone(plain: Path) -> None:
    found = Findings()
    list(open_clip(plain).frames(findings=found))
    assert found.remarks == []


def test_stripes_in_one_frame_are_not_woven(tmp_path: Path) -> None:
    found = Findings()
    stripes = "geq=lum='16+200*mod(Y,2)*eq(N,5)'"
    video = pattern(tmp_path / "whole.mkv", 20, "-vf", stripes, "-c:v", "ffv1", size="192x96")
    assert len(list(open_clip(video).frames(findings=found))) == 20
    assert not any("interlaced" in said for said in found.remarks)


def test_the_dither_of_a_gif_is_not_woven(tmp_path: Path) -> None:
    moving = "gradients=s=96x80:d=1:r=12:c0=navy:c1=gold:x0=0:y0=0:x1=95:y1=79:speed=0.02"
    dithered = "split[a][b];[a]palettegen=16[p];[b][p]paletteuse=dither=bayer:bayer_scale=0"
    ffmpeg("-f", "lavfi", "-i", moving, "-vf", dithered, tmp_path / "a.gif")
    ffmpeg("-i", tmp_path / "a.gif", "-pix_fmt", "yuv444p", "-c:v", "libx264", "-qp", "0", tmp_path / "a.mkv")
    found = Findings(), Findings()
    for name, findings in zip(("a.gif", "a.mkv"), found, strict=True):
        assert len(list(open_clip(tmp_path / name).frames(findings=findings))) == 12
    assert not any("interlaced" in remark for remark in found[0].remarks)
    assert any("interlaced" in remark for remark in found[1].remarks), "this dither looks woven"


def test_pictures_of_ten_bits_that_ffmpeg_would_dither_are_not_woven(monkeypatch: pytest.MonkeyPatch) -> None:
    import av

    monkeypatch.setattr(filters, "LEAST", 0.0)
    frame = av.VideoFrame(192, 96, "yuv420p10le")
    for plane, level in zip(frame.planes, (130, 512, 512), strict=True):
        plane.update(np.full(plane.buffer_size // 2, level, np.uint16).tobytes())
    dithered = frame.reformat(format="gray").to_ndarray().astype(int)
    assert np.abs(np.diff(dithered, axis=0)).mean() > np.abs(dithered[2:] - dithered[:-2]).mean()
    assert not filters.combed(frame)


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ("wwcww" * 3, "......." + "C" * 8),  # one frame in five, as films on television have them
        ("wcc" + "w" * 3, ".CCCCC"),
        ("wcwwwwwwwwwwwcw", "." * 15),  # too far from each other
        ("cici", "CCCC"),
        ("wicw", ".C.."),  # the file says of each frame what it is
        ("c", "."),
    ],
)
def test_frames_are_woven_from_the_second_on_that_shows_it(kinds: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are w(hole), c(ombed) without a word, and i(nterlaced) by their file; C is told to be woven."""

    class Same:
        def __init__(self, texts: list[str]) -> None:
            pass

        def push(self, frame: object) -> list[object]:
            return [frame]

        def finish(self) -> list[object]:
            return []

    monkeypatch.setattr(filters, "Chain", Same)
    monkeypatch.setattr(filters, "combed", lambda frame: frame.kind == "c")
    frames = [SimpleNamespace(kind=kind, interlaced_frame=kind == "i") for kind in kinds]
    maker = filters.Deinterlacer()
    given = [*(ready for frame in frames for ready in maker.push(frame)), *maker.finish()]
    assert [frame for frame, _ in given] == frames
    assert "".join("C" if woven else "." for _, woven in given) == told


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
    mattes = [Path(f"{number:03d}.png") for number in range(30)]
    assert found.mattes(mattes) == list(range(len(frames))) == found.mattes(mattes[: found.total])


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


# A steady rate --------------------------------------------------------------------------------------------------------

WITHOUT = ("-vf", "select='not(eq(n,3)+eq(n,4))'", "-fps_mode", "vfr")
"""Frame 2 is shown for three times as long as the others."""


def files_of(video: Path) -> list[Path]:
    """Return the files that ffmpeg makes of a video."""
    folder = video.parent / f"{video.name} files"
    folder.mkdir()
    ffmpeg("-i", video, folder / "%03d.png")
    return sorted(folder.iterdir())


def assert_same_pictures(video: Path, every: int, found: Findings, files: list[Path]) -> None:
    """Check that each frame is in the file that it is to take its matte from."""
    frames = list(open_clip(video, every).frames(findings=found))
    chosen = found.mattes(files)
    assert len(chosen) == len(frames) > 0
    shown = [np.asarray(Image.open(file).convert("RGB"), int) for file in files]
    for frame, index in zip(frames, chosen, strict=True):
        away = [np.abs(picture - frame.rgb).mean() for picture in shown]
        assert away[index] < min(away) + 0.01, (frame.number, index)


STEADY = {
    "a.avi": ("-c:v", "mpeg4", "-q:v", "2"),
    "a.mkv": ("-c:v", "libx264", "-bf", "2"),
    "a.mp4": ("-c:v", "libx264", "-bf", "2"),
    "b.mp4": ("-c:v", "libx264", "-bf", "0"),
    "a.mov": ("-c:v", "mpeg4", "-q:v", "2"),
    "a.webm": ("-c:v", "libvpx-vp9"),
}
GAPS = ("select='not(eq(n,13)+eq(n,14)+eq(n,25))'", "setpts='N/TB/10+lt(11,N)*lt(N,20)*(N-11)*0.07/TB'")
"""Frames are missing, so that others are shown for longer; or a part of the film is slower."""


FILMS = [(name, gaps, "10") for name in STEADY for gaps in GAPS]
FILMS += [("a.mp4", GAPS[0], "30000/1001"), ("a.mkv", GAPS[0], "30000/1001")]


@pytest.mark.parametrize(("name", "gaps", "rate"), FILMS)
def test_mattes_may_be_of_a_steady_rate(name: str, gaps: str, rate: str, tmp_path: Path) -> None:
    """Where a frame is shown for longer, ffmpeg writes it once more; an AVI has empty frames there, which are no damage."""
    moving = f"{gaps},settb=1/30000" if rate != "10" else gaps
    made = pattern(tmp_path / "plain.mkv", 40, "-r", rate, source="testsrc2")
    ffmpeg("-i", made, "-vf", moving, "-fps_mode", "vfr", *STEADY[name], tmp_path / name)
    files, found, each_third = files_of(tmp_path / name), Findings(), Findings()
    assert_same_pictures(tmp_path / name, 1, found, files)
    assert_same_pictures(tmp_path / name, 3, each_third, files)
    assert found.total < len(files) or gaps == GAPS[1]
    assert found.mattes(files[: found.total]) == list(range(found.total))
    assert [said for said in found.remarks if "missing" in said] == []


def test_empty_frames_of_an_avi_are_told(plain: Path, tmp_path: Path) -> None:
    ffmpeg("-i", plain, *WITHOUT, *STEADY["a.avi"], tmp_path / "a.avi")
    found = Findings()
    list(open_clip(tmp_path / "a.avi").frames(findings=found))
    assert found.empty == 2 and found.remarks == ["2 frames are empty, as AVI may have them: left out"]


@pytest.mark.parametrize("every", [1, 3])
def test_mattes_of_a_steady_rate_pass_over_damaged_frames(plain: Path, tmp_path: Path, every: int) -> None:
    ffmpeg("-i", plain, *WITHOUT, "-c:v", "mjpeg", tmp_path / "a.mkv")
    files = files_of(tmp_path / "a.mkv")
    data = bytearray((tmp_path / "a.mkv").read_bytes())
    sixth = [at for at in range(len(data)) if data[at : at + 3] == b"\xff\xd8\xff"][6]
    data[sixth + 700 : sixth + 760] = b"\xff\x00" * 30
    (tmp_path / "a.mkv").write_bytes(data)
    found = Findings()
    assert_same_pictures(tmp_path / "a.mkv", every, found, files)
    assert list(found.damaged) == [6] and len(files) == 10 and found.total == 8


@pytest.mark.parametrize("codec", [("libx264",), ("libx264", "-bf", "0"), ("mpeg2video", "-flags", "+ildct")])
def test_an_avi_that_is_whole_has_no_empty_frames(plain: Path, tmp_path: Path, codec: tuple[str, ...]) -> None:
    """H.264 is shown two frames after it is decoded, and interlaced frames are counted in halves."""
    ffmpeg("-i", plain, "-vf", "interlace,setfield=tff", "-c:v", *codec, tmp_path / "a.avi")
    found = Findings()
    list(open_clip(tmp_path / "a.avi").frames(findings=found))
    assert found.empty == found.whole == 0 and [said for said in found.remarks if "interlaced" not in said] == []
    assert found.mattes(files_of(tmp_path / "a.avi")) == found.numbers == list(range(5))


def test_an_avi_that_is_cut_off_takes_the_mattes_of_the_whole(plain: Path, tmp_path: Path) -> None:
    ffmpeg("-i", plain, *WITHOUT, "-c:v", "mjpeg", tmp_path / "whole.avi")
    data = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) * 4 // 5])
    files, found = files_of(tmp_path / "whole.avi"), Findings()
    assert_same_pictures(tmp_path / "cut.avi", 1, found, files)
    assert found.empty == 2 and found.whole == len(files) == 10 and 4 < len(found.numbers) < 8


def test_an_avi_of_many_slots_is_whole(plain: Path, tmp_path: Path) -> None:
    """A film that was copied into AVI may have a slot for each unit of its time."""
    ffmpeg("-i", plain, "-c:v", "mpeg4", "-bf", "0", "-video_track_timescale", "360", tmp_path / "a.mp4")
    ffmpeg("-i", tmp_path / "a.mp4", "-c", "copy", "-r", "360", tmp_path / "a.avi")
    found = Findings()
    assert len(list(open_clip(tmp_path / "a.avi").frames(findings=found))) == 10
    assert found.empty == found.whole == 0 and found.remarks == []


def test_a_frame_that_no_file_shows_has_no_place() -> None:
    places, tenth = Places(Fraction(10)), Fraction(1, 10)
    for time, seconds in ((Fraction(0), tenth), (Fraction(0), 0 * tenth), (Fraction(0), 0 * tenth), (2 * tenth, tenth)):
        places.add(time, seconds)
    assert places.first == [0, 1, None, 2] and places.count == 3


def test_files_may_show_a_frame_for_the_first_time_when_the_next_one_is_late() -> None:
    places, tenth = Places(Fraction(10)), Fraction(1, 10)
    for time, seconds in ((Fraction(0), tenth), (Fraction(34, 100), 0 * tenth), (6 * tenth, tenth)):
        places.add(time, seconds)
    assert places.first == [0, 3, 5] and places.count == 9


def test_exact_middles_are_rounded_as_ffmpeg_rounds_them() -> None:
    """Two and a half files become three."""
    places, tenth = Places(Fraction(10)), Fraction(1, 10)
    places.add(Fraction(0), tenth)
    places.add(tenth + tenth * 3 / 2, tenth)
    assert places.first == [0, 2] and places.count == 4
