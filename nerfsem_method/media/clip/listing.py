"""A folder or a pattern stands for photographs; this module says for which, and in which order."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.clip import MIN_FRAMES

CAMERA_KINDS = (".jpg", ".jpeg", ".jpe", ".jfif", ".heic", ".heif", ".avif", ".tif", ".tiff", ".webp", ".bmp", ".png")
"""Files with these endings are photographs; of two with one name the kind that comes first here is taken."""
RAW_KINDS = (
    ".3fr .arw .cr2 .cr3 .crw .dng .erf .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f"
).split()
"""Files with these endings hold what a sensor measured; colours are made of that by a developing program, with choices."""
VIDEO_KINDS = ".3gp .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .ts .webm .wmv .gif".split()
_MASK_NAME = re.compile(r"(.+?)[ ._-](mask|masks|matte|alpha|seg|depth)$", re.IGNORECASE)


@dataclass(frozen=True)
class Listing:
    """A listing is the photographs of a folder or a pattern in their natural order.

    `left_out` are files that could have been photographs, by name, with the reason why they are not; `videos` lie among them.
    """

    photographs: list[Path]
    left_out: dict[str, str]
    videos: list[Path]


def list_folder(folder: Path) -> Listing:
    """Return the photographs that lie in a folder. Raises CaptureError, naming what to give instead, where there are none."""
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise CaptureError(f"{folder} cannot be read: {(error.strerror or str(error)).lower()}") from None
    found = _sort_out(entries)
    if len(found.photographs) < MIN_FRAMES and found.videos:
        raise CaptureError(f"{folder} is a folder with a video: name the video, {found.videos[0]}")
    if not found.photographs:
        deeper = [entry for entry in sorted(entries, key=natural) if entry.is_dir() and _holds_photographs(entry)]
        hint = f"; {deeper[0]} does: name that folder" if deeper else "; name a video or a folder of photographs"
        raise CaptureError(_raw_alone(entries) or f"{folder} holds no photographs{hint}")
    return found


def list_pattern(pattern: Path) -> Listing:
    """Return the photographs whose paths fit a pattern, with wildcards (`shots/*.JPG`) or a number (`f_%04d.png`).

    Raises CaptureError where nothing usable fits.
    """
    entries = _numbered(pattern) if re.search(r"%0?\d*d", pattern.name) else map(Path, glob.glob(str(pattern), recursive=True))
    entries = list(entries)
    if not entries:
        raise CaptureError(f"{pattern} does not exist, and no file fits it as a pattern")
    found = _sort_out(entries)
    if not found.photographs and len(found.videos) != 1:
        videos = f"; it fits {len(found.videos)} videos: name one of them" if found.videos else ""
        raise CaptureError(_raw_alone(entries) or f"no photograph fits {pattern}{videos}")
    return found


def natural(path: Path) -> tuple[list[str | int], str]:
    """Return what to sort paths by, so that numbers in their names are compared as numbers: IMG_2 comes before IMG_10."""
    parts = re.split(r"(\d+)", path.stem.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


def _numbered(pattern: Path) -> Iterable[Path]:
    """Yield the files whose names are `pattern`'s with a number in place of its %d or %04d."""
    before, width, after = re.fullmatch(r"(.*?)%(0?\d*)d(.*)", pattern.name, re.DOTALL).groups()  # type: ignore[union-attr]
    digits = rf"\d{{{int(width)},}}" if width.strip("0") else r"\d+"
    name = re.compile("".join((re.escape(before.replace("%%", "%")), digits, re.escape(after.replace("%%", "%")))))
    if pattern.parent.is_dir():
        yield from (entry for entry in pattern.parent.iterdir() if name.fullmatch(entry.name))


def _sort_out(entries: Iterable[Path]) -> Listing:
    """Return which of some files are photographs, each picture once; hidden files and those of other kinds are passed over."""
    files = [path for path in entries if not path.name.startswith(".") and path.is_file()]
    files.sort(key=natural)
    pictures = [path for path in files if path.suffix.lower() in CAMERA_KINDS]
    chosen, left_out = _without_twins(pictures)
    taken = {(path.parent, path.stem.casefold()) for path in chosen}
    for path in files:
        if path.suffix.lower() in RAW_KINDS and (path.parent, path.stem.casefold()) not in taken:
            left_out[path.name] = "a RAW file, which has to be developed to JPEG or TIFF first"
    return Listing(chosen, left_out, [path for path in files if path.suffix.lower() in VIDEO_KINDS])


def _without_twins(pictures: list[Path]) -> tuple[list[Path], dict[str, str]]:
    """Return one file a photograph: a JPEG has its HEIC or its mask beside it, under the same name or one made of it."""
    names = {(path.parent, path.name.casefold()) for path in pictures}
    stems: dict[tuple[Path, str], list[Path]] = {}
    for path in pictures:
        stems.setdefault((path.parent, path.stem.casefold()), []).append(path)
    chosen, masked = [], False
    for (folder, stem), twins in stems.items():
        best = min(twins, key=lambda path: CAMERA_KINDS.index(path.suffix.lower()))
        found = _MASK_NAME.fullmatch(stem)
        base = found[1] if found else ""
        mask = (folder, stem) in names or bool(base) and ((folder, base) in stems or (folder, base) in names)
        masked = masked or any(twin.suffix.lower() == ".png" and twin is not best for twin in twins)
        if not mask:
            chosen.append(best)
    left_out = {}
    if masked:  # Where PNG files lie beside photographs of their names, one without a photograph is a mask, or a screenshot.
        left_out = {path.name: "a PNG file among photographs of another kind" for path in chosen if path.suffix.lower() == ".png"}
        chosen = [path for path in chosen if path.suffix.lower() != ".png"]
    return chosen, left_out


def _holds_photographs(folder: Path) -> bool:
    try:
        return bool(_sort_out(folder.iterdir()).photographs)
    except OSError:
        return False


def _raw_alone(entries: Iterable[Path]) -> str:
    """Return the complaint about RAW files where there are no photographs but these."""
    raw = sorted((path for path in entries if path.suffix.lower() in RAW_KINDS), key=natural)
    return f"{raw[0]} is a RAW file: develop the photographs to JPEG or TIFF first, all with the same settings" if raw else ""
