"""Frames of a film are called by their numbers in it, and photographs by the names of their files: a person knows no others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from nerfsem_method.errors import printable

_NAMED = 4
"""A sentence about many files names so many of them, or so many runs of them."""
_RUN = 3
"""So many photographs that follow each other are named by the first and the last one."""
_LONGEST = 40
"""Of a name with more characters than this the middle is left out."""
_DIGITS = 20
"""No clip has so many frames that their numbers have so many digits."""


@dataclass(frozen=True)
class Naming:
    """A naming knows what the frames that were taken of a clip are called.

    Attributes:
        numbers: The frames have these numbers in the clip, from 0, where those that are damaged or not taken count, too.
        files: The clip's photographs, by their numbers, are files of these names; empty for a film.
    """

    numbers: Sequence[int]
    files: Sequence[str] = ()

    def without(self, numbers: Collection[int]) -> Naming:
        """Return the naming of the others, where frames of these numbers are left out."""
        return replace(self, numbers=[number for number in self.numbers if number not in numbers])

    def of(self, numbers: Iterable[int]) -> str:
        """Name frames by their ascending numbers in the clip, as "frames 3, 12-30" or "a.jpg, c.jpg to h.jpg and 6 more"."""
        if not self.files:
            return shortened(frames_text(list(numbers)))
        parts = [part for run in _runs(numbers) for part in ([run] if len(run) >= _RUN else [[number] for number in run])]
        told = [" to ".join(map(self._name, dict.fromkeys((part[0], part[-1])))) for part in parts]
        return _with_rest(told, sum(map(len, parts[_NAMED:])))

    def of_rows(self, rows: Iterable[int]) -> str:
        """Name frames by their places, ascending, among those that were taken."""
        return self.of(self.numbers[row] for row in rows)

    def row_of(self, name: str) -> int | None:
        """Return the place among the frames that were taken of that with this name or number; None where there is none.

        A photograph may be named without the ending of its file; only where none is called so is a number its place in the clip.
        """
        stems = [PurePath(file).stem for file in self.files]
        called = [number for files in (self.files, stems) for number, file in enumerate(files) if file == name]
        if not called and not (name.isdecimal() and len(name) < _DIGITS):
            return None
        number = called[0] if called else int(name)
        return {taken: row for row, taken in enumerate(self.numbers)}.get(number)

    def _name(self, number: int) -> str:
        """Return the name of one photograph, with its number where another one, in another folder, is called the same."""
        name = self.files[number]
        return f"{shown(name)} (number {number})" if self.files.count(name) > 1 else shown(name)


def shown(name: str) -> str:
    """Return a file's name as it may be shown anywhere: without control characters, and not too long."""
    text, half = printable(name), _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[: half - 1]}…{text[-half:]}"


def files_text(names: Sequence[str]) -> str:
    """Name files, as "a.jpg, b.jpg, d.jpg, e.jpg and 2 more"."""
    return _with_rest([shown(name) for name in names], len(names[_NAMED:]))


def _with_rest(parts: Sequence[str], more: int) -> str:
    return ", ".join(parts[:_NAMED]) + (f" and {more} more" if more else "")


def frames_text(numbers: Sequence[int]) -> str:
    """Name frames by their ascending numbers, as "frame 3" or "frames 3, 12-30"."""
    return f"frame{'s' * (len(numbers) != 1)} {spans(numbers)}"


def spans(numbers: Iterable[int]) -> str:
    """Write ascending numbers as "3, 12-30"."""
    return ", ".join("-".join(map(str, run if len(run) == 1 else (run[0], run[-1]))) for run in _runs(numbers))


def _runs(numbers: Iterable[int]) -> list[list[int]]:
    """Return ascending numbers in runs without gaps."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return found


def shortened(text: str, most: int = 80) -> str:
    """Return a text, cut where it would fill more than a line."""
    return text if len(text) <= most else f"{text[:most].rsplit(',', 1)[0]}, ..."
