"""A folder or a pattern of photographs is a clip: in natural order, upright, in sRGB, of one size."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from make_clips import ffmpeg, pattern, profile
from PIL import Image

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.clip import Findings, folder_of, stem_of
from nerfsem_method.media.clip.colour import read_transfer
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.media.clip.picture import read_numbers, read_picture

SIZE = (32, 24)


def photograph(path: Path, level: int = 0, size: tuple[int, int] = SIZE, quality: int = 95) -> Path:
    """Write a picture of one grey, which tells it from others, with a bright upper left corner, and return its path."""
    picture = Image.new("RGB", size, (level, level, level))
    picture.paste((255, 255, 255), (0, 0, size[0] // 4, size[1] // 4))
    picture.save(path, quality=quality)
    return path


def levels(path: Path, every: int = 1) -> list[int]:
    """Return the grey of each photograph of a clip."""
    return [int(np.median(frame.rgb)) for frame in open_clip(path, every).frames()]


def remarks(path: Path) -> str:
    """Return all that is said about a clip when it has been read."""
    found = Findings()
    list(open_clip(path).frames(findings=found))
    return " | ".join(found.remarks)


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Return a folder of 12 photographs, IMG_1.JPG to IMG_12.JPG, each ten levels brighter than the last."""
    folder = tmp_path / "my.shots"
    folder.mkdir()
    for number in range(1, 13):
        photograph(folder / f"IMG_{number}.JPG", 10 * number)
    return folder


# Which, and in which order --------------------------------------------------------------------------------------------


def test_a_folder_is_a_clip_in_natural_order(shots: Path) -> None:
    clip = open_clip(shots)
    assert (clip.width, clip.height, clip.rate, clip.announced) == (*SIZE, Fraction(5), 12)
    assert (clip.name, clip.stem, stem_of(shots), folder_of(shots)) == ("my.shots", "my.shots", "my.shots", shots.parent)
    np.testing.assert_allclose(levels(shots), range(10, 130, 10), atol=1)
    assert levels(shots, every=5) == levels(shots)[::5]
    assert [frame.time for frame in clip.frames()][:3] == [0, 0.2, 0.4]


@pytest.mark.parametrize("names", [("a9", "a10", "a11"), ("9_1", "9_2", "10_1"), ("x-01", "X-2", "x-003")])
def test_numbers_are_compared_as_numbers(names: tuple[str, ...], tmp_path: Path) -> None:
    for level, name in enumerate(names):
        photograph(tmp_path / f"{name}.png", 10 * level)
    assert levels(tmp_path) == [0, 10, 20]


@pytest.mark.parametrize("name", ["*.JPG", "IMG_?.*", "IMG_%d.JPG", "IMG_[0-9].JPG"])
def test_a_pattern_takes_what_fits(name: str, shots: Path) -> None:
    photograph(shots / "other.png", 200)
    found = levels(shots / name)
    assert len(found) in (9, 12) and 200 not in found
    clip = open_clip(shots / name)
    assert (clip.stem, folder_of(clip.path)) == ("my.shots", shots.parent)


def test_a_number_of_fixed_width_with_gaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (3, 1000, 12000, 7):
        photograph(tmp_path / f"f_{number:04d}.png", number % 251)
    photograph(tmp_path / "f_1.png", 250)
    monkeypatch.chdir(tmp_path)
    assert levels(Path("f_%04d.png")) == [3, 7, 1000 % 251, 12000 % 251]
    assert open_clip(Path("f_%04d.png")).stem == tmp_path.name


def test_a_wildcard_in_a_folders_name(shots: Path) -> None:
    clip = open_clip(shots.parent / "my*" / "IMG_1*.JPG")
    assert len(list(clip.frames())) == 4 and folder_of(clip.path) == shots.parent.parent


def test_a_pattern_that_fits_one_video_is_that_video(tmp_path: Path) -> None:
    pattern(tmp_path / "relic-1.mp4", 9)
    assert len(list(open_clip(tmp_path / "relic*.mp4").frames())) == 9
    pattern(tmp_path / "relic-2.mp4", 9)
    with pytest.raises(CaptureError, match="fits 2 videos: name one"):
        open_clip(tmp_path / "relic*.mp4")


def test_each_photograph_is_taken_once(shots: Path) -> None:
    for name in ("._IMG_1.JPG", ".IMG_2.JPG", "IMG_3.HEIC", "IMG_4.png", "IMG_5_mask.png", "img_6.jpg.txt", "IMG_7.CR2"):
        (shots / name).write_bytes(b"rubbish")
    (shots / "IMG_99.JPG").mkdir()
    (shots / "IMG_50.NEF").write_bytes(b"rubbish")
    pattern(shots / "making-of.mp4", 2)
    assert len(levels(shots)) == 12
    said = remarks(shots)
    assert "IMG_3.HEIC, IMG_4.png are left out: the same photograph" in said
    assert "IMG_5_mask.png is left out: it is a mask" in said and "making-of.mp4 is left out: a video" in said
    assert "IMG_50.NEF is left out: a RAW file" in said
    assert "IMG_7.CR2 is left out: what the sensor measured of photographs that lie there, too" in said


def test_a_folder_of_masks_is_a_folder(tmp_path: Path) -> None:
    for number in range(3):
        photograph(tmp_path / f"{number}_mask.png", 20 * number)
    assert levels(tmp_path) == [0, 20, 40]


@pytest.mark.parametrize(
    ("photographs", "masks"),
    [
        ("{}.jpg", "mask_{}.png"), ("{}.jpg", "{}.jpg.png"), ("{}.jpg", "{}mask.png"), ("{}.jpg", "{}_segmentation.png"),
        ("{}.jpg", "{}_mask_0.png"), ("{}_rgb.jpg", "{}_mask.png"), ("rgb_{}.jpg", "mask_{}.png"),
        ("{}.jpg", "{}-mask0.png"), ("IMG_{}.JPG", "IMG_{}-Foreground.png"),
    ],
)  # fmt: skip
def test_masks_beside_their_photographs_are_no_photographs(photographs: str, masks: str, tmp_path: Path) -> None:
    for number in range(1, 4):
        photograph(tmp_path / photographs.format(number), 20 * number)
        photograph(tmp_path / masks.format(number), 255)
    np.testing.assert_allclose(levels(tmp_path), [20, 40, 60], atol=2)
    assert "left out: " in remarks(tmp_path) and "--mattes takes a folder of such" in remarks(tmp_path)


@pytest.mark.parametrize("name", ["mask_{}.png", "mask{}.png", "a mask {}.png", "label_{}.png", "{}.png.png"])
def test_a_filmed_mask_is_no_mask(name: str, tmp_path: Path) -> None:
    """Nor is a photograph with its ending twice."""
    for number in range(1, 4):
        photograph(tmp_path / name.format(number), 20 * number)
    assert levels(tmp_path) == [20, 40, 60]


def test_undecodable_names_are_names(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    for number in range(3):
        photograph(tmp_path / "a.png", 20 * number).rename(folder / os.fsdecode(b"\xe9%d.png" % number))
    (folder / os.fsdecode(b"\xe9.png")).write_bytes(b"rubbish")
    assert levels(folder) == [0, 20, 40]
    (open_clip(folder).name + open_clip(folder).sha256 + remarks(folder)).encode()


def test_the_hash_knows_names_and_contents(shots: Path) -> None:
    first = open_clip(shots).sha256
    assert first == open_clip(shots / "*.JPG").sha256
    (shots / "IMG_12.JPG").rename(shots / "IMG_0.JPG")
    second = open_clip(shots).sha256
    photograph(shots / "IMG_0.JPG", 77)
    assert len({first, second, open_clip(shots).sha256}) == 3


# What they show -------------------------------------------------------------------------------------------------------


UNTURNED = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_90",
    7: "TRANSVERSE",
    8: "ROTATE_270",
}
"""So an upright picture is turned before it is stored with each of EXIF's orientations."""


@pytest.mark.parametrize("orientation", UNTURNED)
@pytest.mark.parametrize("kind", ["jpg", "png", "tif"])
def test_photographs_are_turned_upright(orientation: int, kind: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    upright = Image.open(photograph(tmp_path / "a.png", 60))
    (tmp_path / "in").mkdir()
    stored = upright.transpose(Image.Transpose[UNTURNED[orientation]])
    stored.save(tmp_path / "in" / f"a.{kind}", exif=exif, quality=100)
    clip = open_clip(tmp_path / "in")
    (frame,) = clip.frames()
    assert (clip.width, clip.height) == SIZE
    assert np.abs(frame.rgb.astype(int) - np.asarray(upright)).max() < 40


ADOBE = [[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]]
SRGB = [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]


@pytest.mark.parametrize("kind", ["jpg", "png", "tif"])
def test_colours_become_srgb(kind: str, tmp_path: Path) -> None:
    colour = (150, 120, 90)
    Image.new("RGB", SIZE, colour).save(tmp_path / f"a.{kind}", icc_profile=profile(ADOBE, 563 / 256), quality=100)
    light = np.linalg.solve(SRGB, ADOBE @ (np.array(colour) / 255) ** (563 / 256))
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    (frame,) = open_clip(tmp_path).frames()
    assert np.abs(expected - colour).max() > 8
    assert np.abs(frame.rgb - expected).max() <= 2


def test_a_broken_profile_spoils_no_picture(tmp_path: Path) -> None:
    Image.new("RGB", SIZE, (150, 120, 90)).save(tmp_path / "a.png", icc_profile=b"not a profile")
    (frame,) = open_clip(tmp_path).frames()
    assert (frame.rgb == (150, 120, 90)).all()


@pytest.mark.parametrize("kind", ["jpe", "jfif", "mpo", "avif", "jp2", "j2k", "webp", "bmp", "tga", "ppm", "pnm"])
def test_files_of_many_kinds_are_photographs(kind: str, tmp_path: Path) -> None:
    """Archives keep JPEG 2000, scanners TGA and PPM; a stereo camera's second picture is left aside."""
    made = photograph(tmp_path / "a.png", 60)
    more = {"save_all": True, "append_images": [Image.new("RGB", SIZE)]} if kind == "mpo" else {}
    (tmp_path / "in").mkdir()
    Image.open(made).save(tmp_path / "in" / f"a.{kind}", **more)
    (frame,) = open_clip(tmp_path / "in").frames()
    assert np.abs(frame.rgb.astype(int) - np.asarray(Image.open(made))).max() < 40


@pytest.mark.parametrize("kind", ["tga", "jp2", "ppm"])
def test_a_png_beside_a_file_of_a_rarer_kind_is_the_photograph(kind: str, tmp_path: Path) -> None:
    """What lies there as TGA or PPM may be its mask."""
    for number in range(1, 4):
        photograph(tmp_path / f"{number}.png", 40 * number)
        Image.new("RGB", SIZE).save(tmp_path / f"{number}.{kind}")
    np.testing.assert_allclose(levels(tmp_path), [40, 80, 120], atol=1)


def test_a_renderers_pictures_may_be_numbered_without_a_sign_between(tmp_path: Path) -> None:
    folder = tmp_path / "Scan [1]"
    folder.mkdir()
    for number in range(1, 4):
        photograph(folder / f"Image{number:04d}.png", 40 * number)
        photograph(folder / f"Depth{number:04d}.png", 7)
        photograph(folder / f"Image{number:04d}_albedo.png", 9)
    np.testing.assert_allclose(levels(folder), [40, 80, 120], atol=1)
    np.testing.assert_allclose(levels(folder / "Image*.png"), [40, 80, 120], atol=1)


@pytest.mark.parametrize("pass_of", ["normal", "normals", "disparity", "ao", "depth"])
def test_what_a_renderer_writes_beside_its_pictures_is_no_photograph(pass_of: str, tmp_path: Path) -> None:
    for number in range(1, 4):
        photograph(tmp_path / f"{number}.png", 40 * number)
        photograph(tmp_path / f"{number}_{pass_of}.ppm", 7)
    np.testing.assert_allclose(levels(tmp_path), [40, 80, 120], atol=1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "I;16", "LA", "RGBA", "YCbCr"])
def test_pictures_of_all_modes_are_rgb(mode: str, tmp_path: Path) -> None:
    kind = "tif" if mode in ("CMYK", "YCbCr") else "png"
    if mode == "I;16":
        Image.fromarray(np.full((24, 32), 0xFFFF, np.uint16)).save(tmp_path / "a.png")
    else:
        Image.new("RGB", SIZE, "white").convert(mode).save(tmp_path / f"a.{kind}")
    (frame,) = open_clip(tmp_path).frames()
    assert frame.rgb.shape == (24, 32, 3) and frame.rgb.min() >= 254


def test_of_a_file_of_several_pages_the_largest_is_the_photograph(tmp_path: Path) -> None:
    kinds = ((8, 6), 9), ((64, 48), 200), ((64, 48), 90), ((32, 24), 60)
    pages = [Image.new("RGB", size, (level,) * 3) for size, level in kinds]
    for number in range(3):
        pages[0].save(tmp_path / f"{number}.tif", save_all=True, append_images=pages[1:])
    clip = open_clip(tmp_path)
    assert (clip.width, clip.height) == (64, 48) and levels(tmp_path) == [200] * 3
    told = "3 of the photographs are files of several pages, such as 0.tif: the largest page is taken, of equal ones the first"
    assert remarks(tmp_path) == told


def test_smaller_pages_that_follow_are_no_matter(tmp_path: Path) -> None:
    pages = [Image.new("RGB", size, (level,) * 3) for size, level in (((64, 48), 200), ((32, 24), 60))]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert levels(tmp_path) == [200] and not remarks(tmp_path)


GREYS = [("uint16", bits) for bits in (8, 10, 12, 14, 16)] + [("int32", bits) for bits in (12, 16, 24)]


@pytest.mark.parametrize(("kind", "bits"), GREYS)
def test_greys_of_other_bits_than_their_files_are_as_bright_as_others(kind: str, bits: int, tmp_path: Path) -> None:
    """A camera for measuring writes 12 bits into files of 16; only one of the pictures may be bright, and a pixel is hot."""
    brightest = 0xF0 << bits - 8
    values = [brightest // 8, brightest // 8, 0, brightest, brightest // 4]
    for number, value in enumerate(values):
        picture = np.full((48, 64), value, kind)
        picture[5, 5] = np.iinfo(kind).max
        Image.fromarray(picture).save(tmp_path / f"{number}.{'png' if kind == 'uint16' else 'tif'}")
    found = Findings()
    shown = [int(frame.rgb[9, 9, 0]) for frame in open_clip(tmp_path).frames(findings=found)]
    assert shown == [value >> bits - 8 for value in values]
    told = f"the photographs are grey with numbers of more than 8 bits, of which {(1 << bits) - 1} is taken for white"
    assert found.remarks == ([told] if bits != 16 else [])


def deep(path: Path, numbers: list[int], alpha: int | None = None) -> Path:
    """Write pictures whose colours have 16 bits, of such red and half as much blue, as `path`/0.tif, 1.png and so on."""
    import cv2

    for index, number in enumerate(numbers):
        picture = np.zeros((48, 64, 3 if alpha is None else 4), np.uint16)
        picture[..., 2], picture[..., 0] = number, number // 2
        if alpha is not None:
            picture[..., 3] = alpha
        kind = ".png" if index % 2 else ".tif"
        (path / f"{index}{kind}").write_bytes(cv2.imencode(kind, picture)[1].tobytes())
    return path


@pytest.mark.parametrize("alpha", [None, 65535])
@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_colours_of_fewer_bits_than_their_files_are_as_bright_as_others(bits: int, alpha: int | None, tmp_path: Path) -> None:
    values = [0x40 << bits - 8, 0x10 << bits - 8, (1 << bits) - 1, 0xF8 << bits - 8]
    deep(tmp_path, values, alpha)
    found = Findings()
    shown = [frame.rgb[9, 9].tolist() for frame in open_clip(tmp_path).frames(findings=found)]
    assert shown == [[value >> bits - 8, 0, value // 2 >> bits - 8] for value in values]
    end = (1 << bits) - 1
    assert found.remarks == [f"the colours of the photographs have 16 bits and end at {end}: {end} is taken for white"]


def tiff(picture: np.ndarray, meant: int) -> bytes:
    """Return a TIFF file of a picture [H, W, 4] uint16 whose fourth channel means nothing that is said (0) or alpha (2)."""
    height, width, _ = picture.shape
    entries = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 4, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 16)]
    entries += [(277, 3, 1, 4), (278, 3, 1, height), (279, 4, 1, picture.nbytes), (338, 3, 1, meant)]
    listed = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return struct.pack("<2sHI4H", b"II", 42, 16 + picture.nbytes, *[16] * 4) + picture.tobytes() + listed


@pytest.mark.parametrize("meant", [0, 2])
def test_a_fourth_channel_that_is_not_said_to_be_alpha_is_none(meant: int, tmp_path: Path) -> None:
    picture = np.full((48, 64, 4), 1023, np.uint16)
    picture[..., 3] = 0
    (tmp_path / "a.tif").write_bytes(tiff(picture, meant))
    (frame,) = open_clip(tmp_path).frames()
    assert frame.rgb.min() == 255 and (frame.alpha is None if meant == 0 else not frame.alpha.any())


@pytest.mark.parametrize("ending", ["xbm", "qoi"])
def test_pictures_that_say_nothing_of_their_numbers_are_read(ending: str, tmp_path: Path) -> None:
    """Pillow has no arguments for the decoders of such files."""
    plain = Image.new("RGB", SIZE, "white")
    if ending == "xbm":
        plain.convert("1").save(tmp_path / "a.xbm")
    else:  # a run of 62 white pixels has one byte, after one that names white
        runs = b"\xfe\xff\xff\xff" + b"\xfd" * 12 + bytes([0xC0 + SIZE[0] * SIZE[1] - 1 - 12 * 62 - 1])
        (tmp_path / "a.qoi").write_bytes(b"qoif" + struct.pack(">IIBB", *SIZE, 3, 0) + runs + bytes(7) + b"\1")
    assert read_numbers(tmp_path / f"a.{ending}") is None
    assert read_picture(tmp_path / f"a.{ending}", white=1023.0).rgb.min() == 255


@pytest.mark.parametrize(("brightest", "shown"), [(940, 940 >> 2), (14000, 14000 >> 8), (15000, 15000 >> 6)])
def test_colours_of_fewer_bits_come_near_white_somewhere(brightest: int, shown: int, tmp_path: Path) -> None:
    deep(tmp_path, [brightest // 2, brightest])
    assert max(int(frame.rgb.max()) for frame in open_clip(tmp_path).frames()) == shown


def test_greys_among_deep_colours_leave_all_as_they_are(tmp_path: Path) -> None:
    deep(tmp_path, [1023, 500])
    Image.fromarray(np.full((48, 64), 1023, np.uint16)).save(tmp_path / "2.png")
    assert [int(frame.rgb.max()) for frame in open_clip(tmp_path).frames()] == [1023 >> 8, 500 >> 8, 1023 >> 8]
    assert not remarks(tmp_path)


def test_deep_colours_lie_upright(tmp_path: Path) -> None:
    import cv2

    picture = np.zeros((48, 64, 3), np.uint16)
    picture[:6, :6] = 1023
    whole = cv2.imencode(".png", picture)[1].tobytes()
    exif = Image.Exif()
    exif[0x112] = 6  # the first row is to be at the right
    said = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(said) - 4) + said + struct.pack(">I", zlib.crc32(said))
    (tmp_path / "a.png").write_bytes(whole[:33] + chunk + whole[33:])
    (frame,) = open_clip(tmp_path).frames()
    assert frame.rgb.shape == (64, 48, 3) and frame.rgb[:6, -6:].min() == 255 and not frame.rgb[:, :-6].any()


@pytest.mark.parametrize("most", [2500, 12000])
def test_dark_colours_that_end_anywhere_stay_dark_and_are_told_of(most: int, tmp_path: Path) -> None:
    deep(tmp_path, [most, most // 4])
    assert [int(frame.rgb.max()) for frame in open_clip(tmp_path).frames()] == [most >> 8, most // 4 >> 8]
    assert f"end at {most} of 65535, which is dark: if white is less" in remarks(tmp_path)


@pytest.mark.parametrize("others", [[40000], [4096]], ids=["one is bright", "one is over"])
def test_all_pictures_must_be_of_so_few_bits(others: list[int], tmp_path: Path) -> None:
    deep(tmp_path, [4095, 1000, *others])
    assert [int(frame.rgb.max()) for frame in open_clip(tmp_path).frames()][:2] == [4095 >> 8, 1000 >> 8]
    photograph(tmp_path / "8 bits.png", 50, (64, 48))
    assert not remarks(tmp_path)


@pytest.mark.parametrize("kind", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3], ids=["greys", "colours"])
def test_a_damaged_file_says_nothing_of_what_is_white(channels: int, kind: str, tmp_path: Path) -> None:
    import cv2

    noise = np.random.default_rng(0).integers(0, 1024, (48, 64, channels), np.uint16)
    noise[5:9, 5:9] = 1023
    whole = cv2.imencode(kind, noise)[1].tobytes()
    for index in range(12):
        (tmp_path / f"{index}{kind}").write_bytes(whole[: len(whole) // 2] if index == 2 else whole)
    found = Findings()
    shown = [int(frame.rgb.max()) for frame in open_clip(tmp_path).frames(findings=found)]
    assert shown == [255] * 11 and any("1023 is taken for white" in remark for remark in found.remarks)


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_fractions_of_all_pictures_have_one_white(white: float, tmp_path: Path) -> None:
    for number, share in enumerate((0.5, 0.001, 1.015, 0.25)):
        Image.fromarray(np.full((24, 32), share * white, "float32")).save(tmp_path / f"{number}.tif")
    assert [int(frame.rgb.max()) for frame in open_clip(tmp_path).frames()] == [128, 0, 255, 64]


def with_transfer(path: Path, transfer: int) -> Path:
    """Write a PNG that names the transfer characteristics of its colours."""
    data = photograph(path, 90).read_bytes()
    chunk = b"cICP" + bytes([9, transfer, 0, 1])
    path.write_bytes(data[:33] + (4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") + data[33:])
    return path


def test_photographs_of_high_dynamic_range_are_no_others(tmp_path: Path) -> None:
    box = b"\0\0\0\x13colrnclx" + bytes([0, 9, 0, 18, 0, 9, 0x80])
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40) + box)
    assert read_transfer(tmp_path / "a.heic") == 18
    (tmp_path / "a.heic").unlink()
    for number in range(1, 10):
        photograph(tmp_path / f"{number}.png", 10 * number)
    assert read_transfer(tmp_path / "1.png") is None
    with_transfer(tmp_path / "10.png", 13)
    with_transfer(tmp_path / "11.png", 16)
    assert levels(tmp_path) == [*range(10, 100, 10), 90]
    assert "11.png is left out: high dynamic range" in remarks(tmp_path)
    for number in range(1, 10):
        with_transfer(tmp_path / f"{number}.png", 18)
    with pytest.raises(CaptureError, match="10 of the photographs of .*, such as 1.png, are of high dynamic range"):
        open_clip(tmp_path)


def test_an_alpha_channel_is_the_matte_and_gives_no_fringe(tmp_path: Path) -> None:
    picture = np.zeros((24, 32, 4), np.uint8)
    picture[:, :16] = (200, 100, 50, 255)
    Image.fromarray(picture).save(tmp_path / "a.png")
    (frame,) = open_clip(tmp_path).frames((9, 7))
    assert frame.alpha is not None and frame.alpha[0, 0] == 255 and frame.alpha[0, -1] == 0
    assert np.abs(frame.rgb.astype(int) - (200, 100, 50)).max() <= 1


def test_photographs_shrink_and_grow_as_videos_do(shots: Path) -> None:
    for size in ((16, 12), (64, 48)):
        assert {frame.rgb.shape for frame in open_clip(shots).frames(size)} == {(size[1], size[0], 3)}


# What does not fit ----------------------------------------------------------------------------------------------------


def test_a_few_of_another_shape_are_left_out_and_named(shots: Path) -> None:
    photograph(shots / "IMG_4.JPG", 200, (28, 32))
    photograph(shots / "IMG_8.JPG", 200, (64, 46))
    photograph(shots / "IMG_9.JPG", 200, (8, 6))  # This one is a thumbnail.
    assert len(levels(shots)) == 9 and 200 not in levels(shots)
    assert "IMG_4.JPG is left out: 28x32, where the others are 32x24" in remarks(shots)
    assert "IMG_9.JPG is left out: 8x6, where the others are 32x24" in remarks(shots)


def test_photographs_that_lie_beside_upright_ones_are_turned(shots: Path) -> None:
    """A telephone is held either way; of equally many those that lie are taken as they are."""
    for number, size in ((4, (24, 32)), (5, (48, 64))):
        picture = np.zeros((*size[::-1], 3), np.uint8)
        picture[: size[1] // 4] = 200
        Image.fromarray(picture).save(shots / f"IMG_{number}.JPG", quality=95)
    clip, found = open_clip(shots), Findings()
    frames = list(clip.frames(findings=found))
    assert (clip.width, clip.height, len(frames), found.turned) == (32, 24, 12, [3, 4])
    for frame in frames[3:5]:  # What was above is at the left now.
        assert frame.rgb.shape == (24, 32, 3) and frame.rgb[:, :7].min() > 150 and frame.rgb[:, 10:].max() < 50
    assert "2 of 12 photographs (IMG_4.JPG, IMG_5.JPG) are upright where the others lie: they are turned" in remarks(shots)
    assert "1 of 12 photographs (IMG_5.JPG) have another size of the same shape: all are brought to 32x24" in remarks(shots)
    for number in (5, *range(9, 13)):
        photograph(shots / f"IMG_{number}.JPG", 200, (24, 32))
    clip, found = open_clip(shots), Findings()
    assert len(list(clip.frames(findings=found))) == 12 and found.turned == [3, 4, *range(8, 12)]


def test_the_size_is_the_commonest_of_the_shape_that_most_have(shots: Path) -> None:
    for number in range(1, 9):
        photograph(shots / f"IMG_{number}.JPG", 200, (36, 24) if number < 6 else (24, 32))
    clip = open_clip(shots)
    assert (clip.width, clip.height, len(levels(shots))) == (32, 24, 7)


def test_copies_and_a_single_larger_photograph_move_nothing(shots: Path) -> None:
    """Twenty thumbnails and as many originals are not tied together by one picture between the two."""
    for number in range(1, 13):
        photograph(shots / f"IMG_{number}.JPG", 10 * number, (128, 96))
        photograph(shots / f"IMG_{number}_web.JPG", 200, (64, 48))
    (shots / "small").mkdir()
    assert open_clip(shots).width == 128 and 200 not in levels(shots) and len(levels(shots)) == 12
    assert "are left out: a smaller copy of IMG_1.JPG" in remarks(shots).replace(" is ", " are ")
    for number in range(1, 13):
        (shots / f"IMG_{number}_web.JPG").rename(shots / f"P{number}.JPG")
        photograph(shots / f"P{number}.JPG", 200, (32, 24))
    photograph(shots / "Q.JPG", 150, (64, 48))
    assert open_clip(shots).width == 128 and 200 not in levels(shots) and len(levels(shots)) == 13


def test_what_is_cut_out_of_a_photograph_that_is_turned_is_turned(shots: Path) -> None:
    picture = np.full((32, 24, 4), 200, np.uint8)
    picture[8:, :, 3] = 0
    Image.fromarray(picture).save(shots / "IMG_4.PNG")
    (shots / "IMG_4.JPG").unlink()
    alpha = next(frame.alpha for frame in open_clip(shots).frames((16, 12)) if frame.alpha is not None)
    assert alpha.shape == (12, 16) and alpha[:, :3].min() == 200 and alpha[:, 5:].max() == 0


def test_sizes_of_two_shapes_and_equal_number_are_refused(shots: Path) -> None:
    for number in range(7, 13):
        photograph(shots / f"IMG_{number}.JPG", 200, (24, 36))
    with pytest.raises(CaptureError, match=r"different sizes \(6 of 32x24, 6 of 24x36\); give those of one shape"):
        open_clip(shots)


def test_damaged_photographs_are_left_out_and_named(shots: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("IMG_2.JPG", "IMG_5.JPG"):
        Image.fromarray(rng.integers(0, 255, (24, 32, 3), np.uint8)).save(shots / name)
    cut = (shots / "IMG_2.JPG").read_bytes()
    (shots / "IMG_2.JPG").write_bytes(cut[: len(cut) * 2 // 3])
    flipped = bytearray((shots / "IMG_5.JPG").read_bytes())
    flipped[-400:-300] = bytes(100)
    (shots / "IMG_5.JPG").write_bytes(flipped)
    (shots / "IMG_9.JPG").write_bytes(b"")
    found = Findings()
    frames = list(open_clip(shots).frames(findings=found))
    said = " | ".join(found.remarks)
    assert len(frames) == 9 and found.total == 11 and list(found.damaged) == [1, 4]
    assert "IMG_2.JPG is left out: damaged" in said and "IMG_5.JPG is left out: damaged" in said
    assert "IMG_9.JPG is left out: not a picture that can be read" in said


def test_links_to_nothing_are_named(shots: Path, tmp_path: Path) -> None:
    (shots / "IMG_13.JPG").symlink_to(tmp_path / "gone.JPG")
    (shots / "notes.txt").symlink_to(tmp_path / "gone.txt")
    said = remarks(shots)
    assert len(levels(shots)) == 12 and "notes" not in said
    assert "IMG_13.JPG is left out: a link to a file that is not there" in said
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "a.JPG").symlink_to(tmp_path / "gone.JPG")
    with pytest.raises(CaptureError, match="holds no photographs but 1 links to files that are not there, such as a.JPG"):
        open_clip(tmp_path / "all")


def test_of_an_edited_photograph_the_original_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "phone"
    folder.mkdir()
    for number in range(1, 10):
        photograph(folder / f"IMG_000{number}.JPG", 10 * number)
    photograph(folder / "IMG_E0004.JPG", 200)
    photograph(folder / "IMG_E0011.JPG", 110)  # its original is not there
    assert levels(folder) == [*range(10, 100, 10), 110]
    assert "IMG_E0004.JPG is left out: an edited copy" in remarks(folder)


def test_what_is_no_clip_of_photographs_is_named(shots: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.NEF").write_bytes(b"raw")
    (tmp_path / "rubbish").mkdir()
    (tmp_path / "rubbish" / "a.jpg").write_bytes(b"rubbish")
    for name in [f"{kind}/img{number}{kind}" for number in range(9) for kind in (".dpx", "")]:
        (tmp_path / "other" / name.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "other" / name.lstrip("/")).write_bytes(b"picture")
    for name in ("clip.zip", "relic.nsem"):
        (tmp_path / name).write_bytes(b"something")
    for name in ("split/100CANON", "split/101CANON", "split/one/100CANON"):
        shutil.copytree(shots, tmp_path / name)
    (tmp_path / "film").mkdir()
    ffmpeg("-f", "lavfi", "-i", "color=s=32x24:d=1", tmp_path / "film" / "a.mp4")
    for path, words in [
        (shots / "IMG_1.JPG", r"is one photograph; name the folder of all of them \(.*my.shots\)"),
        (tmp_path / "raw" / "a.NEF", "one RAW photograph; develop all"),
        (tmp_path / "raw", "is a RAW file: develop"),
        (tmp_path / "empty", "holds no photographs; name a video or a folder"),
        (tmp_path, r"holds no photographs; 2 folders in it do \(my.shots, rubbish\): name one"),
        (tmp_path / "rubbish" / "a.jpg", "is called a photograph and is none that can be read; give a video the ending"),
        (tmp_path / "split", r"2 folders in it do \(100CANON, 101CANON\): name one, or all as a pattern, '.*split/\*/\*'"),
        (tmp_path / "split" / "one", "holds no photographs; .*100CANON does: name that folder"),
        (tmp_path / "rubbish", "none of the 1 photographs of .*rubbish can be read"),
        (tmp_path / "other" / ".dpx", "holds no photographs but 9 .dpx files, such as img0.dpx: save them as PNG or JPEG"),
        (tmp_path / "other", "holds no photographs but 9 files without an ending, such as img0: give them that of their kind"),
        (tmp_path / "film", "is a folder with a video: name the video, .*a.mp4"),
        (tmp_path / "clip.zip", "is an archive; unpack it"),
        (tmp_path / "relic.nsem", "is a bundle, .*nerfsem decode gives its video back"),
        (Path("file:///home/me/relic.mp4"), "is an address; name the file by its path alone"),
        (Path("https://example.org/relic.mp4"), "^https://example.org/relic.mp4 is an address: save the video as a file first"),
        (Path("HTTPS://example.org/relic.mp4"), "^HTTPS://example.org/relic.mp4 is an address: save the video as a file"),
        (Path("file:///home/me/my%20relic.mp4"), "is an address; name the file by its path alone"),
        (Path("https://example.org/watch?v=1"), r"^https://example.org/watch\?v=1 is an address: save the video as a file"),
        (shots / "*.tif", "does not exist, and no file fits it"),
        (shots / "IMG_%05d.JPG", "no file fits it"),
        (shots / "nothing*" / "*.JPG", "no file fits it"),
    ]:
        with pytest.raises(CaptureError, match=words):
            open_clip(path)
    assert levels(tmp_path / "split" / "*" / "*") == 2 * levels(shots)


def test_a_folder_that_is_called_like_an_address_is_a_folder(tmp_path, monkeypatch):
    (tmp_path / "https:/clip").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CaptureError) as refused:
        open_clip(Path("https:/clip"))
    assert "is an address" not in str(refused.value)
