"""Two more members of each kind of trouble that clips, photographs and mattes of strangers have; none needs COLMAP."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from make_clips import ffmpeg, near, pattern, pictures, same
from PIL import Image

from nerfsem_method.capture.ingest import ingest
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.clip import Findings
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.media.mattes import given_mattes

# Colours ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ("-pix_fmt", "yuv444p", "-c:v", "libx264", "-crf", "4"),
        ("-pix_fmt", "yuvj420p", "-c:v", "mjpeg", "-q:v", "1"),
        ("-pix_fmt", "yuv420p10le", "-c:v", "ffv1"),
    ],
    ids=["all chroma", "full range", "ten bits"],
)
def test_the_same_picture_in_other_numbers_is_the_same_picture(options: tuple[str, ...], tmp_path: Path) -> None:
    plain = pattern(tmp_path / "plain.mkv", 4, "-c:v", "ffv1")
    ffmpeg("-i", plain, *options, tmp_path / "other.mkv")
    assert near(pictures(tmp_path / "other.mkv"), pictures(plain), tolerance=3)


def test_an_animation_is_its_frames(tmp_path: Path) -> None:
    plain = pattern(tmp_path / "plain.mkv", 10, "-c:v", "ffv1", "-pix_fmt", "bgr0")
    for name, kind in (("anim.png", "apng"), ("anim.apng", "apng"), ("anim.gif", "gif")):
        ffmpeg("-i", plain, "-f", kind, tmp_path / name)
        assert near(pictures(tmp_path / name), pictures(plain), tolerance=12)  # A GIF has 256 colours.


@pytest.mark.parametrize("name", ["anim.webp", "pages.tif"])
def test_several_pictures_in_one_file_are_refused_with_a_way_out(name: str, tmp_path: Path) -> None:
    first, *others = (Image.new("RGB", (64, 48), colour) for colour in ("red", "green", "blue"))
    first.save(tmp_path / name, save_all=True, append_images=others)
    with pytest.raises(CaptureError, match=rf"{name} holds 3 pictures, .* save them as PNG into a folder"):
        open_clip(tmp_path / name)


# Streams and damage -----------------------------------------------------------------------------------------------------


def test_a_second_track_is_told_of(tmp_path: Path) -> None:
    one = pattern(tmp_path / "one.mp4", 10)
    other = pattern(tmp_path / "other.mp4", 10, "-vf", "negate")
    ffmpeg("-i", one, "-i", other, "-map", 0, "-map", 1, "-c", "copy", tmp_path / "two.mov")
    findings = Findings()
    assert len(list(open_clip(tmp_path / "two.mov").frames(None, findings))) == 10
    assert findings.remarks and "has 2 video tracks, of which number 0 (64x48) is taken" in findings.remarks[0]


def test_a_picture_of_a_motion_jpeg_that_is_damaged_is_alone(tmp_path: Path) -> None:
    clip = pattern(tmp_path / "plain.avi", 10, "-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p")
    whole, data = pictures(clip), bytearray(clip.read_bytes())
    starts = [at for at in range(len(data) - 3) if data[at : at + 4] == b"00dc"]
    middle = (starts[4] + starts[5]) // 2
    data[middle : middle + 60] = b"\xff\x7e" * 30
    (tmp_path / "damaged.avi").write_bytes(data)
    findings = Findings()
    frames = [frame.rgb for frame in open_clip(tmp_path / "damaged.avi").frames(None, findings)]
    (lost,) = findings.damaged
    assert same(frames, whole[:lost] + whole[lost + 1 :])


def test_damage_to_vp9_lasts_until_the_next_key_frame(tmp_path: Path) -> None:
    film = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "5", "-b:v", "1M")
    clip = pattern(tmp_path / "plain.webm", 15, *film, size="160x120")
    whole, data = pictures(clip), bytearray(clip.read_bytes())
    middle = len(data) * 2 // 5
    data[middle : middle + 40] = bytes(range(40))
    (tmp_path / "damaged.webm").write_bytes(data)
    findings = Findings()
    kept = list(open_clip(tmp_path / "damaged.webm").frames(None, findings))
    assert findings.damaged and all(5 <= number < 10 for number in findings.damaged) and 10 in findings.numbers
    assert same([frame.rgb for frame in kept], [whole[number] for number in findings.numbers])


def test_lost_packets_of_a_broadcast_are_told_of(tmp_path: Path) -> None:
    clip = pattern(tmp_path / "plain.ts", 20, "-c:v", "libx264", "-g", "5", "-bf", "0", "-f", "mpegts", size="320x240")
    data = clip.read_bytes()
    lost = len(data) // 188 // 2
    (tmp_path / "lost.ts").write_bytes(data[: 188 * lost] + data[188 * (lost + 12) :])
    findings = Findings()
    kept = list(open_clip(tmp_path / "lost.ts").frames(None, findings))
    assert 8 <= len(kept) < 20 and findings.remarks


# Doors ------------------------------------------------------------------------------------------------------------------


def empty(folder: Path) -> Path:
    (folder / "empty.mov").touch()
    return folder / "empty.mov"


def stills(folder: Path) -> Path:
    for number in range(9):
        Image.new("RGB", (64, 48), (20 * number, 0, 0)).save(folder / f"{number}.gif")
    return folder


def takes(folder: Path) -> Path:
    for number in range(2):
        pattern(folder / f"take{number}.mp4", 3)
    return folder


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (empty, "the file is empty; copy it again"),
        (stills, r"9 videos: name one, such as .*0\.gif, or save each as a PNG"),
        (takes, r"2 videos: name one, such as .*take0\.mp4$"),
        (lambda folder: Path("https://example.org/vase.mp4"), "is an address: save the video as a file first"),
    ],
    ids=["empty", "still GIFs", "two takes", "address"],
)
def test_what_is_no_clip_is_told_with_what_to_do(make: Callable[[Path], Path], said: str, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=said):
        open_clip(make(tmp_path))


def test_a_film_of_mattes_is_refused_before_any_frame(tmp_path: Path) -> None:
    """The command that is named gives a matte a frame, though the frames come at odd times."""
    clip = pattern(tmp_path / "a clip.mp4", 10, "-vf", "setpts=N*N/TB/30", "-fps_mode", "passthrough")
    with pytest.raises(CaptureError, match="is no folder of mattes; save the frames of a video of mattes into one: ") as refused:
        ingest(clip, CaptureOptions(mattes=clip), tmp_path / "scene")
    assert not (tmp_path / "scene").exists()
    made, command = str(refused.value).partition("into one: ")[2].split(" && ")
    assert made == "mkdir mattes"
    (tmp_path / "mattes").mkdir()
    ffmpeg(*(tmp_path / word if word.startswith("mattes/") else word for word in shlex.split(command)[1:]))
    assert len(list((tmp_path / "mattes").iterdir())) == 10


# Mattes -----------------------------------------------------------------------------------------------------------------


def shape(number: int) -> np.ndarray:
    """Return a soft matte [48, 64] uint8 of a disc."""
    y, x = np.mgrid[:48, :64]
    return (255 * np.clip(14 - np.hypot(y - 24, x - 25 - number), 0, 1)).astype(np.uint8)


def photograph(number: int) -> np.ndarray:
    """Return something with all shades [48, 64, 3] uint8."""
    return np.random.default_rng(number).integers(20, 236, (48, 64, 3)).astype(np.uint8)


WRITERS: dict[str, Callable[[int], Image.Image]] = {
    "one bit": lambda i: Image.fromarray(shape(i)).convert("1", dither=Image.Dither.NONE),
    "sixteen bits": lambda i: Image.fromarray(shape(i).astype(np.uint16) * 257),
    "transparency of white": lambda i: Image.merge("LA", (Image.new("L", (64, 48), 255), Image.fromarray(shape(i)))),
    "cut out with alpha": lambda i: Image.fromarray(np.dstack([photograph(i), shape(i)])),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_mattes_of_more_kinds_are_the_same_mattes(kind: str, tmp_path: Path) -> None:
    for number in range(12):
        WRITERS[kind](number).save(tmp_path / f"mask_of_{number}_of_12.png")
    given = given_mattes(tmp_path)
    assert [path.name for path in given.files] == [f"mask_of_{number}_of_12.png" for number in range(12)]
    for number in range(12):
        assert ((given.read(number) > 127) == (shape(number) > 127)).mean() > 0.999


@pytest.mark.parametrize("kind", ["bmp", "gif", "j2k", "jp2", "lossy jp2", "pbm", "pgm", "pnm", "tga", "tif", "webp"])
def test_mattes_in_files_of_other_kinds_are_the_same_mattes(kind: str, tmp_path: Path) -> None:
    lossy = {"irreversible": True, "quality_layers": [6]} if kind == "lossy jp2" else {}
    for number in range(8):
        picture = Image.fromarray(shape(number)).convert("1" if kind == "pbm" else "L")
        picture.save(tmp_path / f"{number}.{kind.split()[-1]}", **lossy)
    given = given_mattes(tmp_path)
    assert len(given.files) == 8
    for number in range(8):
        assert ((given.read(number) > 127) == (shape(number) > 127)).mean() > 0.99


@pytest.mark.parametrize("ground", [0, 255], ids=["on black", "on white"])
def test_cut_out_photographs_are_no_mattes(ground: int, tmp_path: Path) -> None:
    for number in range(8):
        picture = np.where(shape(number)[..., None] > 127, photograph(number), ground).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    with pytest.raises(CaptureError, match="are pictures, no mattes"):
        given_mattes(tmp_path)


@pytest.mark.parametrize(("level", "word"), [(0, "black"), (255, "white")])
def test_mattes_that_show_nothing_are_refused(level: int, word: str, tmp_path: Path) -> None:
    for number in range(8):
        Image.new("L", (64, 48), level).save(tmp_path / f"{number}.png")
    with pytest.raises(CaptureError, match=f"are {word} all over: white must be the object"):
        given_mattes(tmp_path)


def test_a_thin_object_that_stands_still_is_one(tmp_path: Path) -> None:
    spear = np.zeros((480, 960), np.uint8)
    spear[20:460, 488:492] = 255
    for number in range(3):
        Image.fromarray(spear).save(tmp_path / f"{number}.png")
    assert (given_mattes(tmp_path).read(1) == spear).all()


def test_soft_mattes_of_an_object_that_fills_the_frame_are_mattes(tmp_path: Path) -> None:
    y, x = np.mgrid[:270, :480]
    for number in range(6):
        soft = (262 - np.hypot(y - 135 - number, x - 240)).clip(0, 20) / 20
        Image.fromarray((255 * soft).astype(np.uint8)).save(tmp_path / f"{number}.png")
    given = given_mattes(tmp_path)
    assert given.read(0)[135, 240] == 255 and "of the frame's border" in given.remarks[0]
