"""What may be written where is settled before any work: inputs stay, links stay, and only what is ours is replaced."""

from __future__ import annotations

import os
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nerfsem_method.cli.decode import Decode
from nerfsem_method.cli.describe import Describe, DublinCore
from nerfsem_method.cli.evaluate import Evaluate
from nerfsem_method.cli.main import run
from nerfsem_method.codec import nsem
from nerfsem_method.errors import OutputError
from nerfsem_method.files import named, replacing, replacing_folder
from nerfsem_method.media.video import write_png_folder, write_video
from nerfsem_method.outputs import check_apart

FRAMES = [np.full((16, 16, 3), 10 * index, np.uint8) for index in range(3)]
ODD_NAMES = [
    b"x" * 250,
    "\u00fc".encode() * 125,
    b"2024-11-14T22:57:44",
    b"-dash",
    b"100%d_%06d",
    b"sch\xf6n",
    b"\xff\xfe",
    b"a [b] 'c' \"d\"",
    b"new\nline",
]


@pytest.fixture
def bundle(root: Path, tmp_path: Path) -> Path:
    """Return a small bundle that the test may change."""
    return Path(shutil.copy(root / "tests/golden/dense-fp.nsem", tmp_path / "relic.nsem"))


# inputs ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["same", "dots", "link", "link to a link", "hard link"])
def test_an_output_that_is_an_input_is_seen_through_every_spelling(way, tmp_path):
    source, output = tmp_path / "a.mp4", tmp_path / "b.mp4"
    source.write_bytes(b"film")
    if way == "same":
        output = source
    elif way == "dots":
        output = tmp_path / "x" / ".." / "a.mp4"
    elif way == "link":
        output.symlink_to("a.mp4")
    elif way == "link to a link":
        (tmp_path / "c").symlink_to(source)
        output.symlink_to("c")
    else:
        output.hardlink_to(source)
    with pytest.raises(OutputError, match="is the input itself, which would be overwritten"):
        check_apart([output], [source])
    assert source.read_bytes() == b"film"


def test_folders_are_kept_apart_in_both_directions(tmp_path):
    mattes = tmp_path / "scene" / "mattes"
    mattes.mkdir(parents=True)
    with pytest.raises(OutputError, match="lies in the input"):
        check_apart([mattes / "new"], [mattes])
    with pytest.raises(OutputError, match="which is to be filled"):
        check_apart([tmp_path / "scene"], [mattes])
    check_apart([tmp_path / "other", None], [mattes, None, tmp_path / "not there"])


def test_decoding_into_the_bundle_is_refused(bundle, capsys):
    before = bundle.read_bytes()
    film = bundle.rename(bundle.with_suffix(".mp4"))  # whatever it is called
    assert run(Decode(film, film)) == 2
    assert "is the input itself" in capsys.readouterr().err and film.read_bytes() == before


def test_a_report_does_not_replace_what_it_is_made_of(bundle, vase_video, vase_mattes, tmp_path, capsys):
    before = bundle.read_bytes()
    bundle = bundle.rename(tmp_path / "rd.png")
    assert run(Evaluate(vase_video, (bundle,), tmp_path, mattes=vase_mattes)) == 2
    assert "is the input itself" in capsys.readouterr().err and bundle.read_bytes() == before


# what is not ours -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"text", b"\0\0\0\x18ftypmp42", b"NSE"], ids=["text", "film", "almost"])
def test_a_file_that_is_no_bundle_is_not_replaced_by_one(content, tmp_path):
    target = tmp_path / "relic.nsem"
    target.write_bytes(content)
    with pytest.raises(OutputError, match="is no bundle written by nerfsem; name another file, move it away, or give --force"):
        nsem.check_target(target)
    assert target.read_bytes() == content


def test_a_bundle_and_an_empty_file_may_be_replaced_by_a_bundle(bundle, tmp_path):
    nsem.check_target(bundle)
    (tmp_path / "empty").touch()
    nsem.check_target(tmp_path / "empty")


def test_our_films_are_replaced_and_others_are_not(tmp_path, vase_video):
    ours, theirs = tmp_path / "ours.mp4", Path(shutil.copy(vase_video, tmp_path / "theirs.mp4"))
    for _ in range(2):
        assert write_video(ours, FRAMES, Fraction(10)) == 3
    with pytest.raises(OutputError, match="is no video written by nerfsem"):
        write_video(theirs, FRAMES, Fraction(10))
    assert theirs.read_bytes() == vase_video.read_bytes()


def test_our_frames_are_replaced_and_photographs_with_numbers_for_names_are_not(tmp_path):
    for count in (3, 2):
        write_png_folder(tmp_path / "ours", FRAMES[:count])
        assert len(list((tmp_path / "ours").iterdir())) == count
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "000000.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(OutputError, match="holds other files"):
        write_png_folder(theirs, FRAMES)
    assert [path.name for path in theirs.iterdir()] == ["000000.png"]


def test_a_report_replaces_a_report_and_nothing_else(bundle, vase_video, vase_mattes, tmp_path, capsys):
    page = tmp_path / "site" / "index.html"
    page.parent.mkdir()
    page.write_text("my page")
    assert run(Evaluate(vase_video, (bundle,), page.parent, mattes=vase_mattes)) == 2
    assert "is no report written by nerfsem" in capsys.readouterr().err and page.read_text() == "my page"


# links and names ------------------------------------------------------------------------------------------------------


def test_links_stay_and_what_they_lead_to_is_written(bundle, tmp_path, capsys):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("out.mp4", "frames"):
        (tmp_path / name).symlink_to(elsewhere / name)
        assert run(Decode(bundle, tmp_path / name)) == 0
        assert run(Decode(bundle, tmp_path / name)) == 0  # the second time there is something to replace
        assert (tmp_path / name).is_symlink()
    described = tmp_path / "described.nsem"
    described.symlink_to("relic.nsem")
    assert run(Describe(described, DublinCore(title="Vase"))) == 0
    assert described.is_symlink() and not bundle.is_symlink()
    assert b"Vase" in bundle.read_bytes()
    assert sorted(path.name for path in elsewhere.iterdir()) == ["frames", "out.mp4"]


def test_links_in_a_circle_are_named(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OutputError, match="cannot follow .*a"), replacing(tmp_path / "a"):
        pass


@pytest.mark.parametrize("name", ODD_NAMES, ids=lambda name: repr(name[:12]))
def test_odd_names_work_for_files_and_folders(name, tmp_path):
    folder = tmp_path / os.fsdecode(name)
    film = folder / os.fsdecode(name[:250] + b".mp4")
    folder.mkdir()
    write_video(film, FRAMES, Fraction(10))
    write_png_folder(folder / os.fsdecode(name), FRAMES)
    with replacing(folder / os.fsdecode(name[:250] + b".nsem")) as partial:
        partial.write_bytes(b"data")
    assert len(list(folder.iterdir())) == 3 and film.stat().st_size


def test_names_that_would_be_too_long_are_cut_and_stay_apart(tmp_path):
    first, second = (named(tmp_path, "\u00fc" * 126 + last, "-work") for last in "ab")
    assert first != second and named(tmp_path, "relic", "-work") == tmp_path / "relic-work"
    for path in (first, second):
        with replacing_folder(path) as partial:
            (partial / "a").touch()
        assert path.name.endswith("-work") and path.is_dir()
