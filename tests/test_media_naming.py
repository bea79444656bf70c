"""These tests say what frames and photographs are called where a person is told of them."""

from __future__ import annotations

import pytest

from nerfsem_method.media.naming import Naming, files_text, frames_text

PHOTOGRAPHS = [f"IMG_{number:04d}.JPG" for number in range(400, 430)]


def test_frames_of_a_film_are_called_by_their_numbers_in_it() -> None:
    naming = Naming(range(0, 60, 2))
    assert naming.of([3]) == "frame 3" and naming.of([3, 4, 5, 9]) == "frames 3-5, 9"
    assert naming.of_rows([0, 1, 5]) == "frames 0, 2, 10"
    assert naming.without([0, 4]).of_rows([0, 1]) == "frames 2, 6"
    assert frames_text([0, 1, 2, 7, 9, 10]) == "frames 0-2, 7, 9-10"


def test_photographs_are_called_by_their_files() -> None:
    naming = Naming(range(30), PHOTOGRAPHS)
    assert naming.of([12]) == "IMG_0412.JPG"
    assert naming.of([12, 13]) == "IMG_0412.JPG, IMG_0413.JPG"
    assert naming.of([3, 12, 13, 14]) == "IMG_0403.JPG, IMG_0412.JPG to IMG_0414.JPG"
    assert naming.without([0, 1]).of_rows([0]) == "IMG_0402.JPG"


def test_where_there_are_many_the_rest_is_counted() -> None:
    naming = Naming(range(30), PHOTOGRAPHS)
    named = "IMG_0400.JPG, IMG_0402.JPG, IMG_0404.JPG to IMG_0406.JPG, IMG_0408.JPG and 4 more"
    assert naming.of([0, 2, 4, 5, 6, 8, 10, 20, 21, 22]) == named
    assert len(Naming(range(900)).of(range(0, 900, 2))) < 100
    assert files_text(PHOTOGRAPHS[:4]) == ", ".join(PHOTOGRAPHS[:4])
    assert files_text(PHOTOGRAPHS[:6]) == f"{', '.join(PHOTOGRAPHS[:4])} and 2 more"


@pytest.mark.parametrize("name", ["a\nb.jpg", "\x1b[31mred.jpg", "\x07.jpg", "left\u202egpj.exe.jpg", "x" * 250 + "\r.jpg"])
def test_odd_names_are_harmless_and_short(name: str) -> None:
    told = Naming([0], [name]).of([0])
    assert told.isprintable() and len(told) <= 40
    assert files_text([name]) == told


def test_files_of_one_name_in_several_folders_are_told_apart() -> None:
    assert Naming(range(3), ["a.jpg", "b.jpg", "a.jpg"]).of([0, 1]) == "a.jpg (number 0), b.jpg"


def test_what_a_person_names_is_found() -> None:
    film, taken = Naming(range(0, 20, 2)), Naming([0, 2, 3], ["a.jpg", "b.jpg", "7.jpg", "3"])
    assert (film.row_of("4"), film.row_of("5"), film.row_of("IMG_1.JPG"), film.row_of("9" * 5000)) == (2, None, None, None)
    assert [taken.row_of(name) for name in ("a.jpg", "a", "b.jpg", "7.jpg", "7", "2", "3", "8")] == [0, 0, None, 1, 1, 1, 2, None]
