"""Ready-made mattes of every kind are read as the same mattes, in the order of their numbers; what is unclear is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nerfsem_method.capture.mattes.given import copy_mattes, load_mattes
from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.clip import Findings
from nerfsem_method.media.matte_names import list_mattes
from nerfsem_method.media.mattes import given_mattes
from nerfsem_method.media.naming import Naming

COUNT, WIDTH, HEIGHT = 12, 40, 60


def true(index: int) -> np.ndarray:
    """Return where the object is in a frame, bool: a disc that walks down the frame, so that an exchange is noticed."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (columns - 20) ** 2 + (rows - 16 - 2 * index) ** 2 < 120


TRUE = np.stack([true(index) for index in range(COUNT)])


def folder_of(path: Path, picture, name="m{}.png", **options) -> Path:
    """Write a folder of what `picture` makes of each true matte."""
    path.mkdir()
    for index, matte in enumerate(TRUE):
        made = picture(matte)
        made = made if isinstance(made, Image.Image) else Image.fromarray(made)
        made.save(path / name.format(index), **options)
    return path


def read(folder: Path) -> np.ndarray:
    given = given_mattes(folder)
    assert not given.remarks
    return np.stack([given.read(index) for index in range(len(given.files))])


def grey(matte: np.ndarray, low: int = 0, high: int = 255, kind: type = np.uint8) -> np.ndarray:
    return np.where(matte, high, low).astype(kind)


def palette(matte: np.ndarray, ground: tuple, colour: tuple, index: int = 1, ground_index: int = 0) -> Image.Image:
    picture = Image.fromarray(grey(matte, ground_index, index))
    colours = [0] * 768
    colours[3 * ground_index : 3 * ground_index + 3], colours[3 * index : 3 * index + 3] = ground, colour
    picture.putpalette(colours)
    return picture


def rgba(matte: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return np.dstack([np.broadcast_to(colour, (*matte.shape, 3)), alpha]).astype(np.uint8)


WHITE = np.full(3, 255)
EXACT = {
    "white on black": grey,
    "labels 0 and 1": lambda m: grey(m, 0, 1),
    "labels 1 and 2": lambda m: grey(m, 1, 2),
    "label 38": lambda m: grey(m, 0, 38),
    "half bright": lambda m: grey(m, 0, 128),
    "limited range": lambda m: grey(m, 16, 235),
    "one bit": lambda m: Image.fromarray(m),
    "16 bits": lambda m: grey(m, 0, 65535, np.uint16),
    "12 bits in 16": lambda m: grey(m, 0, 4095, np.uint16),
    "8 bits in 16": lambda m: grey(m, 0, 255, np.uint16),
    "an instance's number": lambda m: grey(m, 0, 24001, np.uint16),
    "palette, white on black": lambda m: palette(m, (0, 0, 0), (255, 255, 255)),
    "palette, white first": lambda m: palette(m, (0, 0, 0), (255, 255, 255), 0, 1),
    "palette of labels, dark red": lambda m: palette(m, (0, 0, 0), (128, 0, 0)),
    "palette of labels, bright ground": lambda m: palette(m, (250, 240, 10), (0, 20, 200)),
    "palette without colours": lambda m: palette(m, (0, 0, 0), (0, 0, 0)),
    "red on black": lambda m: np.dstack([grey(m), grey(m) * 0, grey(m) * 0]),
    "opaque": lambda m: rgba(m, grey(m)[..., None], np.full(m.shape, 255)),
    "transparent throughout": lambda m: rgba(m, grey(m)[..., None], np.zeros(m.shape)),
    "nearly opaque": lambda m: rgba(m, grey(m)[..., None], grey(m, 252, 255)),
    "cut out": lambda m: rgba(m, WHITE // 3, grey(m)),
    "cut out, alpha 1": lambda m: rgba(m, WHITE // 3, grey(m, 0, 1)),
    "grey and alpha": lambda m: Image.merge("LA", [Image.new("L", (WIDTH, HEIGHT), 77), Image.fromarray(grey(m))]),
    "three equal channels": lambda m: np.dstack([grey(m)] * 3),
}


@pytest.mark.parametrize("kind", EXACT)
def test_every_kind_of_png_is_the_same_matte(kind, tmp_path):
    assert np.array_equal(read(folder_of(tmp_path / "m", EXACT[kind])), TRUE * np.uint8(255))


@pytest.mark.parametrize("values", [(0.0, 1.0), (0.0, 255.0)], ids=str)
@pytest.mark.parametrize("suffix", ["tiff", "exr"])
def test_real_numbers_are_read_too(values, suffix, tmp_path, monkeypatch):
    import cv2

    monkeypatch.setenv("OPENCV_IO_ENABLE_OPENEXR", "1")  # for writing
    folder = tmp_path / "m"
    folder.mkdir()
    for index, matte in enumerate(TRUE):
        picture = np.where(matte, values[1], values[0]).astype(np.float32)
        if suffix == "exr":
            try:
                (folder / f"{index}.exr").write_bytes(cv2.imencode(".exr", picture)[1].tobytes())
            except cv2.error:
                pytest.skip("this OpenCV has no OpenEXR")
        else:
            Image.fromarray(picture).save(folder / f"{index}.tiff")
    monkeypatch.delenv("OPENCV_IO_ENABLE_OPENEXR")
    assert np.array_equal(read(folder), TRUE * np.uint8(255))


def soft(matte: np.ndarray, most: float) -> np.ndarray:
    import cv2

    return cv2.GaussianBlur(matte.astype(np.float32) * np.float32(most), (7, 7), 1.5)


def test_soft_edges_stay_as_they_are(tmp_path):
    exact = [soft(matte, 255).round().astype(np.uint8) for matte in TRUE]
    assert np.array_equal(read(folder_of(tmp_path / "a", lambda m: soft(m, 255).round().astype(np.uint8))), exact)
    sixteen = read(folder_of(tmp_path / "b", lambda m: soft(m, 65535).round().astype(np.uint16)))
    real = read(folder_of(tmp_path / "c", lambda m: soft(m, 1), "{}.tiff"))
    dim = read(folder_of(tmp_path / "d", lambda m: soft(m, 76).round().astype(np.uint8)))
    for found, error in ((sixteen, 1), (real, 1), (dim, 3)):
        assert np.abs(found.astype(int) - exact).max() <= error


def test_a_thumbnail_before_a_matte_is_no_matte(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    for index, matte in enumerate(TRUE):
        Image.new("L", (10, 15), 255).save(folder / f"{index}.tif", save_all=True, append_images=[Image.fromarray(grey(matte))])
    assert np.array_equal(read(folder), TRUE * np.uint8(255))


def stepped(matte: np.ndarray, most: int, kind: type) -> np.ndarray:
    """Return a matte at half its size, whose edge has three values between black and the brightest, `most`."""
    return (most * matte.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).mean((1, 3))).astype(kind)


STEPPED = [(4, np.uint8), (127, np.uint8), (128, np.uint8), (255, np.uint8)]
STEPPED += [(4, np.uint16), (255, np.uint16), (1023, np.uint16), (4095, np.uint16), (65535, np.uint16)]


@pytest.mark.parametrize(("most", "kind"), STEPPED)
def test_edges_of_few_values_are_soft_and_no_labels(most, kind, tmp_path):
    exact = np.stack([stepped(matte, 255, np.uint8) for matte in TRUE]).astype(int)
    found = read(folder_of(tmp_path / "m", lambda m: stepped(m, most, kind)))
    assert np.abs(found - exact).max() <= 1


def test_an_edge_of_one_value_is_no_trimap(tmp_path):
    found = read(folder_of(tmp_path / "m", lambda m: (stepped(m, 4, np.uint8) + 1) // 2 * 127))
    assert set(np.unique(found)) == {0, 127, 255}


@pytest.mark.parametrize("blur", [3, 5])
def test_wide_edges_of_few_values_are_soft_too(blur, tmp_path):
    import cv2

    def blurred(matte, most):
        return (cv2.blur(matte.astype(np.float32), (blur, blur)) * 6).round() * (most / 6)

    found = read(folder_of(tmp_path / "m", lambda m: blurred(m, 126).astype(np.uint8)))
    assert np.abs(found - np.stack([blurred(matte, 255) for matte in TRUE])).max() <= 1


@pytest.mark.parametrize("parts", [2, 4])
def test_labels_on_the_rim_of_another_are_no_edges(parts, tmp_path):
    import cv2

    def labels(matte):
        rows, columns = np.nonzero(matte)
        turned = np.arctan2(*np.mgrid[:HEIGHT, :WIDTH] - np.array([rows.mean(), columns.mean()])[:, None, None])
        inside = cv2.distanceTransform(matte.astype(np.uint8), cv2.DIST_L2, 5)
        rim = 1 + (parts * (turned + np.pi) / (2 * np.pi)).astype(np.uint8).clip(0, parts - 1)
        return np.where(inside > 2.2, parts + 1, rim * matte).astype(np.uint8)

    with pytest.raises(CaptureError, match=f"label {parts + 1} objects: 1 "):
        given_mattes(folder_of(tmp_path / "m", labels))


@pytest.mark.parametrize("quality", [60, 90])
@pytest.mark.parametrize("colour", [(1, 1, 1), (1, 0, 0)], ids=["white", "red"])
@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_noise_of_lossy_files_is_no_object(quality, colour, suffix, tmp_path):
    picture = lambda m: np.dstack([grey(m) * np.uint8(c) for c in colour])  # noqa: E731
    found = read(folder_of(tmp_path / "m", picture, "{}." + suffix, quality=quality))
    far = np.stack([soft(matte, 1) < 1e-6 for matte in TRUE])
    assert (found[far] == 0).mean() > 0.9
    assert ((found > 127) != TRUE).mean() < 0.01


def test_no_object_in_a_frame_does_not_change_what_values_mean(tmp_path):
    folder = folder_of(tmp_path / "m", lambda m: grey(m, 0, 3))
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(folder / "m3.png")
    found = read(folder)
    assert not found[3].any() and np.array_equal(found[4], TRUE[4] * 255)


def test_void_around_a_label_is_no_object(tmp_path):
    def ringed(matte):
        ring = soft(matte, 1) > 0.05
        return np.where(matte, 1, np.where(ring, 255, 0)).astype(np.uint8)

    assert np.array_equal(read(folder_of(tmp_path / "m", ringed)), TRUE * np.uint8(255))


def two_objects(matte: np.ndarray, first: int, second: int) -> np.ndarray:
    labels = grey(matte, 0, first)
    labels[-6:-2, 2:6] = second
    return labels


def test_several_objects_are_told_and_refused(tmp_path):
    numbered = folder_of(tmp_path / "a", lambda m: two_objects(m, 1, 2))
    colours = np.array([[0, 0, 0], [200, 0, 0], [0, 200, 0]], np.uint8)
    coloured = folder_of(tmp_path / "b", lambda m: colours[two_objects(m, 1, 2)])
    with pytest.raises(CaptureError, match=r"label 2 objects: 1 \(.* %\), 2 \(.* %\); keep the label of one"):
        given_mattes(numbered)
    with pytest.raises(CaptureError, match="label 2 objects by colour: #00c800, #c80000"):
        given_mattes(coloured)


@pytest.mark.parametrize(
    "inverted",
    [lambda m: grey(~m), lambda m: grey(~m, 0, 1), lambda m: rgba(m, WHITE, grey(~m)), lambda m: Image.fromarray(~m)],
    ids=["grey", "labels", "alpha", "bits"],
)
def test_a_black_object_on_white_is_refused(inverted, tmp_path):
    with pytest.raises(CaptureError, match="white around something black.*invert"):
        given_mattes(folder_of(tmp_path / "m", inverted))


def test_white_along_much_of_the_border_is_told(tmp_path):
    def near(matte):
        grown = np.ones_like(matte)
        grown[:20] = False
        return grey(grown)

    (remark,) = given_mattes(folder_of(tmp_path / "m", near)).remarks
    assert "border" in remark


def test_trimaps_are_no_mattes(tmp_path):
    def trimap(matte):
        grown, shrunk = np.zeros_like(matte), matte.copy()
        grown[:-2, :-2] = matte[:-2, :-2] | matte[2:, :-2] | matte[:-2, 2:] | matte[2:, 2:]
        shrunk[:-2, :-2] &= matte[2:, :-2] & matte[:-2, 2:] & matte[2:, 2:]
        return np.where(shrunk, 255, np.where(grown | matte, 128, 0)).astype(np.uint8)

    with pytest.raises(CaptureError, match="trimaps, grey where the object is not known"):
        given_mattes(folder_of(tmp_path / "m", trimap))


@pytest.mark.parametrize("black", [3, 4])
def test_mattes_that_are_black_in_many_frames_are_refused_by_number(black, tmp_path):
    folder = folder_of(tmp_path / "m", grey)
    for index in range(COUNT - black, COUNT):
        Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(folder / f"m{index}.png")
    (tmp_path / "taken").mkdir()
    given = folder, tmp_path / "taken", Naming(range(COUNT)), (WIDTH, HEIGHT), lambda done, total: None
    if black <= COUNT / 4:
        copy_mattes(*given)
    else:
        with pytest.raises(CaptureError, match="the mattes of frames 8-11 show no object, 4 of 12: give ones that do"):
            copy_mattes(*given)


def test_mattes_of_photographs_that_are_turned_are_turned_with_them(tmp_path):
    folder = folder_of(tmp_path / "m", grey)
    straight = given_mattes(folder).read(3)
    Image.fromarray(np.rot90(straight, -1)).save(folder / "m3.png")
    (tmp_path / "taken").mkdir()
    given = folder, tmp_path / "taken", Naming(range(COUNT)), (WIDTH, HEIGHT), lambda done, total: None
    with pytest.raises(CaptureError, match="m3.png is .*turn it by 90 degrees"):
        copy_mattes(*given)
    copy_mattes(*given, Findings(numbers=list(range(COUNT)), turned=[3]))
    assert np.array_equal(load_mattes(tmp_path / "taken")[3], straight)
    with pytest.raises(CaptureError, match="m4.png is .*: not the shape of the photograph as it is shown; turn it"):
        copy_mattes(*given, Findings(numbers=list(range(COUNT)), turned=[3, 4]))


def test_pictures_are_no_mattes(tmp_path):
    noise = np.random.default_rng(0).integers(30, 220, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    with pytest.raises(CaptureError, match="pictures, no mattes"):
        given_mattes(folder_of(tmp_path / "m", lambda m: noise))
    with pytest.raises(CaptureError, match="pictures, no mattes"):
        given_mattes(folder_of(tmp_path / "n", lambda m: noise * m[..., None]))


@pytest.mark.parametrize("name", ["matte-order/mattes", "matte-kinds/01", "matte-kinds/mac", "matte-kinds/rgba"])
def test_strangers_mattes_equal_the_clean_ones(name, shared):
    if not (shared / "cases").is_dir():
        pytest.skip("no folder of strangers' clips (shared/cases)")
    clean = read(shared / "cases" / "base" / "mattes") > 127
    assert np.array_equal(read(shared / "cases" / name) > 127, clean)


# names ----------------------------------------------------------------------------------------------------------------


def copied(folder: Path, tmp_path: Path, count: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> tuple[np.ndarray, list[str]]:
    target = tmp_path / "target"
    target.mkdir()
    remarks = copy_mattes(folder, target, Naming(range(count)), size, lambda done, total: None)
    return load_mattes(target), remarks


@pytest.mark.parametrize("taken", [range(COUNT), [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11]], ids=["all", "one left out"])
def test_mattes_called_after_photographs_go_to_them(taken, tmp_path):
    """The first photograph has no number, and so its matte comes last by the numbers in the names."""
    names = ["photo.jpg", *(f"photo ({number}).jpg" for number in range(1, COUNT))]
    folder = folder_of(tmp_path / "m", grey)
    for number, name in enumerate(names):
        (folder / f"m{number}.png").rename(folder / f"{name.removesuffix('.jpg')}_mask.png")
    (tmp_path / "target").mkdir()
    findings = Findings(numbers=list(range(len(taken))), total=len(taken), files=[names[number] for number in taken])
    target, size = tmp_path / "target", (WIDTH, HEIGHT)
    assert not copy_mattes(folder, target, findings.naming, size, lambda done, total: None, findings)
    assert np.array_equal(load_mattes(tmp_path / "target") > 127, TRUE[list(taken)])


def renamed(folder: Path, numbers: list[int]) -> Path:
    """Give the mattes of a folder these numbers; those that get none are deleted."""
    for path, number in zip(list_mattes(folder), [*numbers, *[None] * COUNT], strict=False):
        if number is None:
            path.unlink()
        else:
            path.rename(path.with_name(f"x{number}.png"))
    return folder


@pytest.mark.parametrize(
    ("numbers", "count", "message"),
    [
        (range(0, 30, 5), 30, "6 mattes, the video has 30 frames.*every 5th frame.*--every 5"),
        (range(1, 12), 12, "11 mattes, the video has 12 frames.*their numbers are 1-11, so 12 may be missing"),
        ([0, 1, 2, 4, 5], 6, "their numbers are 0-2, 4-5, so 3 may be missing"),
        (range(12), 6, "12 mattes, the video has 6 frames.*their numbers are 0-11"),
    ],
    ids=["every fifth", "the last", "one within", "too many"],
)
def test_a_wrong_number_tells_what_the_names_say(numbers, count, message, tmp_path):
    folder = renamed(folder_of(tmp_path / "m", grey), list(numbers))
    with pytest.raises(CaptureError, match=message):
        copied(folder, tmp_path, count)


def test_two_files_a_frame_are_told_by_their_kinds(tmp_path):
    folder = folder_of(tmp_path / "m", grey)
    for path in list_mattes(folder):
        Image.open(path).save(path.with_suffix(".jpg"))
    with pytest.raises(CaptureError, match="24 mattes.*12 .jpg, 12 .png files"):
        copied(folder, tmp_path, COUNT)


def test_other_first_numbers_and_steps_are_no_matter_but_a_gap_is_told(tmp_path):
    for name, numbers in (("a", range(101, 113)), ("b", range(0, 60, 5))):
        (tmp_path / f"copy {name}").mkdir()
        found, remarks = copied(renamed(folder_of(tmp_path / name, grey), list(numbers)), tmp_path / f"copy {name}", COUNT)
        assert np.array_equal(found > 127, TRUE) and not remarks
    _, remarks = copied(renamed(folder_of(tmp_path / "c", grey), [*range(5), *range(6, 13)]), tmp_path, COUNT)
    assert remarks == ["the numbers of the mattes skip 5; they were taken in order, one for each frame"]


def test_turned_mattes_are_refused_by_name(tmp_path):
    with pytest.raises(CaptureError, match=r"m0\.png is 60x40: not the shape of the 40x60 frames; turn it by 90 degrees"):
        copied(folder_of(tmp_path / "m", lambda m: grey(m.T)), tmp_path, COUNT)


def test_labels_of_another_scale_become_soft_mattes(tmp_path):
    found, _ = copied(folder_of(tmp_path / "m", lambda m: grey(m, 0, 1)), tmp_path, COUNT, (WIDTH // 2, HEIGHT // 2))
    assert found.shape == (COUNT, HEIGHT // 2, WIDTH // 2) and ((found > 0) & (found < 255)).any()
    assert found.mean() / 255 == pytest.approx(TRUE.mean(), rel=0.02)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + bytes(30)], ids=["empty", "text", "cut"])
def test_a_broken_file_is_named(content, tmp_path):
    folder = folder_of(tmp_path / "m", grey)
    (folder / "m3.png").write_bytes(content)
    with pytest.raises(CaptureError, match=r"m3\.png cannot be read as an image; give the mattes as 8-bit PNG files"):
        given_mattes(folder)
