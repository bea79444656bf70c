"""Mattes are in the order that the numbers in their names count; what is no matte is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.clip import Findings
from nerfsem_method.media.matte_names import check_number, in_doubt, in_order, list_mattes, partners

LETTERS = ("9c", "a0", "3f2a", "b", "77", "c1", "0d", "e", "2")


@pytest.mark.parametrize(
    "names",
    [
        "mask_1 mask_2 mask_10 mask_11 mask_100",
        "1_mask 2_mask 10_mask",
        "001 2 03 10 0011",
        "clip2_frame9_mask clip2_frame10_mask clip3_frame1_mask",
        "-2 -1 0 1 10",
        "m_-10 m_-9 m_0 m_1",
        "frame-1 frame-2 frame-10",
        "2024-11-14 2024-11-15 2024-12-01",
        "Mask_1 mask_2 MASK_3",
        "f1000 f1001 f999999999999999999999",
        "a b c1 c2 c10",
        "0.0 0.04 0.08 0.2 0.24 1.0 10.04",
        "t0.0 t0.25 t0.5 t0.75 t1.0 t1.25",
        "0.1 0.2 0.30000000000000004 0.4",
        "0.03 0.07 0.1 0.13 0.17 0.2",
        "1.1 1.2 1.9 1.10 1.11 2.1",
        "1.1 1.2 1.9 1.11 1.12 2.1",
        " ".join(f"take2.{number:02d}" for number in range(1, 131, 2)),
        " ".join(f"f{10 * number:04d}_{9 - number}" for number in range(10)),
        "IMG_9 " + " ".join(f"IMG_9(copy{number})" for number in range(1, 9)),
        "a_3 a_4 b_1 b_2",
        " ".join(f"0.{score}_{number:04d}" for number, score in enumerate((93, 5, 71, 8, 4, 66, 91, 2, 12))),
        " ".join(f"{letters}-frame_{number}" for number, letters in enumerate(LETTERS, 3)),
        " ".join(f"2024-11-14_10-{4 + second // 60:02d}-{second % 60:02d}" for second in range(31, 91)),
        " ".join(f"01.00.{frame // 25:02d}.{frame % 25:02d}" for frame in range(10, 35)),
        " ".join(f"frame_{number:06d}_{9 - i}" for i, number in enumerate((10, 11, 15, 16, 18, 30, 31, 40, 44))),
        "m_-3_a1 m_-2_a2 m_-1_a3 m_0_a4 m_1_a5 m_2_a6 m_3_a7 m_4_a8",
    ],
)
def test_numbers_are_compared_as_numbers(names, tmp_path):
    wanted = names.split()
    for name in sorted(wanted, reverse=True):
        (tmp_path / f"{name}.png").touch()
    assert [path.stem for path in list_mattes(tmp_path)] == wanted


def test_hidden_files_and_other_files_are_passed_over(tmp_path):
    for name in ("1.png", "2.PNG", "._1.png", ".DS_Store", "Thumbs.db", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "old.png").mkdir()
    assert [path.name for path in list_mattes(tmp_path)] == ["1.png", "2.PNG"]


def test_files_of_one_folder_stay_together():
    names = ["b/1.jpg", "a10/1.jpg", "a9/2.jpg", "a9/10.jpg"]
    assert in_order(map(Path, names)) == [Path(name) for name in ("a9/2.jpg", "a9/10.jpg", "a10/1.jpg", "b/1.jpg")]


PHOTOGRAPHS = {
    "the first has no number": (["photo.jpg", "photo (1).jpg", "photo (2).jpg"], "{}_mask.png"),
    "the same names": (["IMG_9.JPG", "IMG_10.JPG"], "{}.png"),
    "a text before": (["a.jpg", "b.jpg"], "mask of {}.tif"),
    "with their endings": (["7.jpg", "8.jpg"], "{}.jpg.png"),
    "one name within another": (["1.jpg", "11.jpg", "111.jpg"], "1_{}_1.png"),
    "letters before each": (["IMG_1.jpg", "IMG_2.jpg", "IMG_10.jpg"], "{0}{0}-{0}.png"),
    "numbers that count down": (["c3.jpg", "b2.jpg", "a1.jpg"], "{}.png"),
}


@pytest.mark.parametrize("kind", PHOTOGRAPHS)
@pytest.mark.parametrize("others", [[], ["of another photograph"]], ids=["alone", "among others"])
def test_mattes_called_after_photographs_are_theirs(kind, others):
    names, form = PHOTOGRAPHS[kind]
    mattes = in_order(Path(form.format(name.partition(".")[0])) for name in [*names, *others])
    found = partners(mattes, names)
    assert found is not None
    assert [mattes[index].name for index in found] == [form.format(name.partition(".")[0]) for name in names]


@pytest.mark.parametrize(
    ("mattes", "names"),
    [
        (["1.png", "2.png", "3.png"], ["0.jpg", "1.jpg", "2.jpg"]),
        (["a.png", "b.png"], []),
        (["1.png", "1.tif"], ["1.jpg", "2.jpg"]),
        (["mask_1.png", "mask_2.png"], ["left.jpg", "right.jpg"]),
        (["depth_1.png", "depth_2.png", "mask_1.png", "mask_2.png"], ["1.jpg", "2.jpg"]),
        ([f"{number}.png" for number in range(1, 20)], [f"{number}.jpg" for number in range(10)]),
        (["a_1.png", "a_2.png"], ["1.jpg", "1.png"]),
        (["x-IMG_1.png", "yy-IMG_1.png", "z-IMG_2.png"], ["IMG_1.jpg", "IMG_2.jpg"]),
        (["xIMG_1.png", "yyIMG_2.png"], ["IMG_1.jpg", "IMG_2.jpg"]),
        (["x-IMG_1-IMG_2.png", "y.png"], ["IMG_1.jpg", "IMG_2.jpg"]),
    ],
    ids=["counted from 1", "a video", "two of a name", "other names", "two kinds", "a part of a number", "a name twice",
         "two of one", "no word of its own", "one of two"],
)
def test_other_names_say_nothing(mattes, names):
    assert partners([Path(name) for name in mattes], names) is None


def test_a_matte_that_bears_another_photographs_name_is_told():
    mattes = [Path(f"{number}.png") for number in range(4)]
    assert in_doubt(mattes, ["0.jpg", "1.jpg", "3.jpg", "4.jpg"]) == [
        "the mattes were taken in their order, and so 3.jpg has the matte 2.png: is that right?"
    ]
    assert not in_doubt(mattes, [f"{number + 1}.jpg" for number in range(4)])
    assert not in_doubt(mattes, [f"{number}.jpg" for number in range(4)])


def test_mattes_one_folder_deeper_are_named(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "1.png").touch()
    with pytest.raises(CaptureError, match="holds no images; .*masks does: name that folder"):
        list_mattes(tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [("m.zip", "unpack the archive"), ("0001.png", "name the folder, .*mattes$"), ("*.png", "name the folder, .*mattes$")],
)
def test_what_is_no_folder_of_mattes_is_told_what_to_name(name, words, tmp_path):
    with pytest.raises(CaptureError, match=f"is no folder of mattes.*{words}"):
        list_mattes(tmp_path / "mattes" / name)


@pytest.mark.parametrize("kind", [".npy", ".json", ".mat", ".nii.gz", ".avif", ""])
def test_files_of_another_kind_are_told_what_to_become(kind, tmp_path):
    for number in range(3):
        (tmp_path / f"m{number}{kind}").touch()
    what = f"{kind} files" if kind else "files without an ending"
    with pytest.raises(CaptureError, match=f"holds no images, only 3 {what}: save their mattes as 8-bit PNG files, one a frame"):
        list_mattes(tmp_path)


ALONE = [("m.npz", ": save the mattes that are in it as 8-bit PNG"), ("masks.nii.gz", ": save the mattes that are in it")]
ALONE += [("m.mp4", "; save the frames of a video.*ffmpeg -i"), ("m.txt", ": save the mattes that are in it")]
ALONE += [(name, "; give a folder of mattes as 8-bit PNG") for name in ("README.txt", "Thumbs.db", "a.avif", "mattes")]


@pytest.mark.parametrize(("name", "words"), ALONE)
def test_one_file_for_all_frames_is_told_what_to_become(name, words, tmp_path):
    (tmp_path / name).touch()
    for given, told in ((tmp_path, f"holds no images, only {name}{words}"), (tmp_path / name, f"is no folder of mattes{words}")):
        with pytest.raises(CaptureError, match=told):
            list_mattes(given)


def test_accents_are_written_in_two_ways():
    assert partners([Path("e\u0301.png"), Path("f.png")], ["f.jpg", "\u00e9.jpg"]) == [1, 0]


@pytest.mark.parametrize("taken", [range(0, 40, 2), range(39), range(40)], ids=["every second", "the last is damaged", "all"])
def test_mattes_that_are_counted_from_0_are_in_order(taken):
    """Photographs are counted from 1: some of them alone would find their names among the mattes of the next ones."""
    found = Findings(numbers=list(taken), total=40, files=[f"{number + 1:04d}.jpg" for number in range(40)])
    assert found.mattes([Path(f"{number:04d}.png") for number in range(40)]) == list(taken)


def test_letters_of_their_own_may_stand_around_the_names():
    assert partners([Path("a_IMG_1 b.png"), Path("cc_IMG_2.png")], ["IMG_2.jpg", "IMG_1.jpg"]) == [1, 0]


def test_decimals_skip_no_numbers(tmp_path):
    files = [tmp_path / f"{0.04 * number:.2f}".rstrip("0") for number in range(1, 12)]
    assert check_number(tmp_path, [file.with_name(f"{file.name}.png") for file in files], 11) == []


def test_names_that_nearly_fit_take_no_time():
    mattes = [Path(f"{number:05d}.png") for number in range(3000)]
    assert partners(mattes, [f"{number}.jpg" for number in range(3000)]) is None
