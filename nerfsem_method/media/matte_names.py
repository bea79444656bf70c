"""Photographs and mattes are in the order that the numbers in their names count, and these numbers tell what is missing."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.naming import shortened, spans

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".pgm", ".pbm", ".ppm", ".pnm", ".tga", ".jp2", ".j2k",
    ".jpf", ".jpx", ".exr",
)
"""Files of a folder of mattes with these endings are mattes; all others, and hidden files, are passed over."""
ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".tgz", ".gz", ".bz2", ".xz")
"""Files with these endings hold others, which are to be unpacked first."""
DATA_KINDS = (
    ".npy", ".npz", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".csv", ".txt", ".mat", ".h5", ".hdf5", ".pkl", ".pickle", ".pt",
    ".pth", ".nii", ".nii.gz", ".svg", ".psd", ".xcf",
)
"""Files with these endings hold mattes as numbers, outlines or layers, which only the program that wrote them knows to draw."""
NOTES = ("readme", "license", "licence", "notes", "changelog")
"""A file of text with such a name is none of mattes."""
VIDEO_KINDS = (
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts",
    ".webm", ".wmv", ".gif",
)
"""Files with these endings are videos, whose frames ffmpeg saves one by one."""
WANTED = "as 8-bit PNG files, one a frame, white where the object is and black elsewhere"
"""So mattes are given, whatever they were before."""
FEWEST = 8
"""The last numbers of fewer names may run without gaps by chance."""
_NUMBER = re.compile(r"([0-9]+)")
_DECIMAL = re.compile(r"([0-9]+(?:\.[0-9]+)?)")
_LAST_NUMBER = re.compile(r"([0-9]+)([^0-9]*)$")
_SIGNED = re.compile(r"(?<![0-9A-Za-z])-(?=[0-9])")
"""A hyphen before a number may be a minus, but not one between letters or numbers, as in frame-1 and 2024-11-14."""


def list_mattes(folder: Path) -> list[Path]:
    """Return the images of a folder in the order that their numbers count. Raises CaptureError if there are none."""
    if not folder.is_dir():
        raise CaptureError(f"{folder} is no folder of mattes{_instead(folder)}")
    found = [path for path in folder.iterdir() if _is_image(path)]
    if not found:
        deeper = [entry for entry in in_order(folder.iterdir()) if entry.is_dir() and any(map(_is_image, entry.iterdir()))]
        hint = f"; {deeper[0]} does: name that folder" if deeper else _of_another_kind(folder)
        raise CaptureError(f"{folder} holds no images{hint}")
    return in_order(found)


def _of_another_kind(folder: Path) -> str:
    """Return what to do about the files of a folder without images."""
    files = [path for path in in_order(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    if not files:
        return f"; give the mattes {WANTED}"
    kind, number = Counter(map(_kind, files)).most_common(1)[0]
    if number == 1:
        return f", only {files[0].name}{_instead(files[0])}"
    return f", only {number} {f'{kind} files' if kind else 'files without an ending'}: save their mattes {WANTED}"


def _kind(path: Path) -> str:
    """Return the ending that tells what a file is: NIfTI files are data, and are often compressed."""
    return ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix.lower()


def _instead(path: Path) -> str:
    """Return what to name in the place of a path that is no folder of mattes."""
    if "*" in path.name or _kind(path) in SUFFIXES:
        return f": name the folder, {path.parent}"
    if _kind(path) in ARCHIVES:
        return ": unpack the archive, and name the folder that is in it"
    if not path.is_file():
        return ""
    if _kind(path) in VIDEO_KINDS:
        command = f"mkdir mattes && ffmpeg -i {shlex.quote(str(path))} -fps_mode passthrough mattes/%06d.png"
        return f"; save the frames of a video of mattes into one: {command}"
    if _kind(path) in DATA_KINDS and not path.stem.lower().startswith(NOTES):
        return f": save the mattes that are in it {WANTED}, and name their folder"
    return f"; give a folder of mattes {WANTED}"


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def in_order(files: Iterable[Path]) -> list[Path]:
    """Return files in the order that the numbers in their names count: IMG_2 comes before IMG_10, t-1 before t0, 0.04 before 0.2.

    Those of one folder stay together. Where the last numbers alone run without gaps, they are the order, whatever stands before.
    """
    files = list(files)
    signed = not all(_SIGNED.search(path.stem) for path in files)  # a hyphen that all of them have is no minus
    number = _DECIMAL if _are_decimals([path.stem for path in files]) else _NUMBER

    def place(path: Path) -> tuple[list[list[str | float]], list[str | float], str]:
        folders = [_natural(part.casefold(), signed=False, number=_NUMBER) for part in path.parent.parts]
        return folders, _natural(path.stem.casefold(), signed, number), path.name

    ordered = sorted(files, key=place)
    counts = _counts_at_the_end(ordered)
    return ordered if counts is None else [ordered[index] for index in sorted(range(len(ordered)), key=counts.__getitem__)]


def _are_decimals(stems: list[str]) -> bool:
    """Return whether each name's last number is a decimal as programs print them, and not the part of a count, 1.10 after 1.9.

    A part is padded with zeros to the length of the shortest. What has no such zeros is a decimal if it goes up steadily.
    """
    found = [numbers[-1] for stem in stems if (numbers := _DECIMAL.findall(stem))]
    fractions = [number.partition(".")[2] for number in found if "." in number]
    if len(found) != len(stems) or len({len(fraction) for fraction in fractions}) < 2:
        return False
    shortest = min(map(len, fractions))
    padded = any(len(fraction) > shortest and fraction.startswith("0") for fraction in fractions)
    return padded or _steady([float(number) for number in found])


def _steady(values: list[float]) -> bool:
    """Return whether values, in their order, go up by about as much each time; rounding makes a step half as large again."""
    steps = [later - earlier for earlier, later in zip(sorted(values), sorted(values)[1:], strict=False)]
    return bool(steps) and max(steps) < 1.5 * min(steps)


def _counts_at_the_end(files: list[Path]) -> list[int] | None:
    """Return the last number of each name where these run without gaps, and what stands before them is no order; None elsewhere.

    It is one where names share it, as minutes before seconds, or where a number in it is another in each name and either goes up
    steadily or is padded.
    """
    ends = [_LAST_NUMBER.search(path.stem) for path in files]
    if len(files) < FEWEST or len({path.parent for path in files}) != 1 or any(_SIGNED.search(path.stem) for path in files):
        return None
    counts = [int(end[1]) for end in ends if end]
    alike = len({end[2] for end in ends if end}) == 1  # what follows the number
    if len(counts) != len(files) or not alike or len(set(counts)) < len(files) or max(counts) - min(counts) >= len(files):
        return None
    before = [path.stem[: end.start()] for path, end in zip(files, ends, strict=True) if end]
    counters = [[number for number in _DECIMAL.findall(text) if "." not in number] for text in before]
    columns = list(zip(*counters, strict=True)) if len({len(numbers) for numbers in counters}) == 1 else []
    padded = (len(set(column)) == len(files) and len({len(number) for number in column}) == 1 for column in columns)
    steady = (_steady([int(number) for number in column]) for column in columns)
    return None if len(set(before)) < len(files) or any(padded) or any(steady) else counts


def partners(mattes: list[Path], names: list[str]) -> list[int] | None:
    """Return the index of the matte of each photograph, by its file's name; None unless the names are surely made for that.

    They are where each photograph has one matte whose name is its own between the same two texts, be these empty: 7.jpg has
    7.png, mask_7.png or 7.jpg.png. Mattes of other photographs may lie there, too. With two kinds of such mattes, depth_7.png
    beside mask_7.png, only those of the photographs' very names are sure. Else each must have one matte that bears its name.
    """
    index_of = {_plain(path.stem): index for index, path in enumerate(mattes)}
    if not names or len(index_of) < len(mattes):
        return None
    for keys in (_stems(names), [_plain(name) for name in names]):
        places = re.compile(f"(?=({re.escape(keys[0])}))")
        around = {(stem[: at.start()], stem[at.end(1) :]) for stem in index_of for at in places.finditer(stem)}
        fits = [
            (before, after)
            for before, after in around
            if not (before[-1:].isdigit() or after[:1].isdigit())  # The number in the name is another one.
            and all(f"{before}{key}{after}" in index_of for key in keys)
        ]
        if len(set(keys)) == len(keys) and (("", "") in fits or len(fits) == 1):
            before, after = ("", "") if ("", "") in fits else fits[0]
            return [index_of[f"{before}{key}{after}"] for key in keys]
    return _one_bearer_each(index_of, _stems(names))


def _one_bearer_each(index_of: dict[str, int], keys: list[str]) -> list[int] | None:
    """Return the index of the one matte whose name holds each photograph's as a word of its own; None unless all have one.

    What stands around it may differ: programs for drawing mattes put letters of their own before each name.
    """
    found: list[int] = []
    for key in keys:
        word = re.compile(f"(?<![^\\W_]){re.escape(key)}(?![^\\W_])")
        bearers = [index for stem, index in index_of.items() if key in stem and word.search(stem)]
        if len(bearers) != 1:
            return None
        found += bearers
    return found if len(set(found)) == len(keys) else None


def in_doubt(mattes: list[Path], names: list[str]) -> list[str]:
    """Return a remark where some of the photographs' `mattes` bear their names, and one bears that of another photograph."""
    stems, own = _stems([path.name for path in mattes]), _stems(names)
    others = [(name, path.name) for name, path, a, b in zip(names, mattes, stems, own, strict=True) if a != b and b in stems]
    if not others or all(a != b for a, b in zip(stems, own, strict=True)):
        return []
    return [f"the mattes were taken in their order, and so {others[0][0]} has the matte {others[0][1]}: is that right?"]


def _stems(names: list[str]) -> list[str]:
    return [_plain(name).rpartition(".")[0] or _plain(name) for name in names]


def _plain(name: str) -> str:
    """Return a name without capitals, its accents written in one way: macOS writes them in another."""
    return unicodedata.normalize("NFC", name).casefold()


def _natural(stem: str, signed: bool, number: re.Pattern[str]) -> list[str | float]:
    """Return a name as texts and numbers in turn, by which names are compared."""
    parts: list[str | float] = list(number.split(stem))
    for index in range(1, len(parts), 2):
        before, text = str(parts[index - 1]), str(parts[index])
        value = float(text) if "." in text else int(text)
        minus = signed and before.endswith("-") and not before[-2:-1].isalnum() and (before != "-" or index == 1)
        parts[index - 1 : index + 1] = [before[:-1], -value] if minus else [before, value]
    return parts


def frame_numbers(files: list[Path]) -> list[int] | None:
    """Return the number in each name that counts the frames, None where no single number does."""
    found = [[int(number) for number in _NUMBER.findall(path.stem)] for path in files]
    if len(files) < 2 or len({len(numbers) for numbers in found}) > 1:
        return None
    varying = [column for column in zip(*found, strict=True) if len(set(column)) > 1]
    return list(varying[0]) if len(varying) == 1 and len(set(varying[0])) == len(files) else None


def check_number(folder: Path, files: list[Path], count: int) -> list[str]:
    """Raise CaptureError unless there are as many mattes as frames, and return remarks about their numbers."""
    numbers = frame_numbers(files)
    if len(files) != count:
        hint = _why(files, numbers, count)
        if not hint and len(files) > count:
            hint = "; ffmpeg makes files of its very frames with -fps_mode passthrough"
        raise CaptureError(f"{folder} holds {len(files)} mattes, the video has {count} frames; one a frame is needed{hint}")
    if numbers is not None and _step(numbers) is None and not _are_decimals([path.stem for path in files]):
        skipped = spans(sorted(set(range(min(numbers), max(numbers))) - set(numbers)))
        return [f"the numbers of the mattes skip {shortened(skipped)}; they were taken in order, one for each frame"]
    return []


def _why(files: list[Path], numbers: list[int] | None, count: int) -> str:
    """Return what the names tell about a wrong number of mattes."""
    kinds = Counter(path.suffix.lower() for path in files)
    if len(kinds) > 1:
        return f" (there are {', '.join(f'{n} {kind}' for kind, n in sorted(kinds.items()))} files: keep those of one kind)"
    if numbers is None:
        return ""
    step = _step(numbers)
    if step is not None and step > 1 and len(files) < count:
        return f"; their numbers name every {step}th frame: draw the others, too, or take these frames alone (--every {step})"
    missing = sorted(set(range(min(numbers), min(numbers) + count)) - set(numbers))
    if len(files) < count and len(missing) == count - len(files):
        return f"; their numbers are {shortened(spans(sorted(numbers)))}, so {shortened(spans(missing))} may be missing"
    return f"; their numbers are {shortened(spans(sorted(numbers)))}"


def _step(numbers: list[int]) -> int | None:
    """Return the step from each number to the next where that is always the same."""
    steps = {later - earlier for earlier, later in zip(sorted(numbers), sorted(numbers)[1:], strict=False)}
    return steps.pop() if len(steps) == 1 else None
