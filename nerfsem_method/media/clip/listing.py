"""A folder or a pattern stands for photographs; this module says for which, and in which order."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.matte_names import SUFFIXES, VIDEO_KINDS, in_order

CAMERA_KINDS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".heic", ".heif", ".avif", ".tif", ".tiff", ".webp", ".bmp", ".png",
    ".mpo", ".jp2", ".j2k", ".jpf", ".jpx", ".tga", ".ppm", ".pnm",
)
"""Files with these endings are photographs; of two with one name the kind that comes first here is taken."""
RAW_KINDS = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf",
    ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)
"""Files with these endings hold what a sensor measured; colours are made of that by a developing program, with choices."""
SEVERAL = 8
"""So many files of one unknown kind may well be pictures."""
_MASKS = (
    "masks?|mattes?|alpha|segm?|segmentation|silhouettes?|foreground|fg|gt|labels?|depth|disp|disparity|normals?|ao|albedo|roughness|metallic|conf"
    "|confidence"
)
_MASK_NAMES = (
    re.compile(rf"(.+?)(?:[ ._-](?:{_MASKS})|mask|matte)(?:[._-]?\d+)?"),
    re.compile(rf"(?:(?:{_MASKS})(?:[ ._-]|(?=\d))|mask|matte)(.+)"),
)
"""A mask of 7 is called 7_mask, 7mask, 7_mask_0, mask_7 or depth7; COLMAP wants 7.jpg.png."""
_PICTURES = "rgb|colou?r|image|img|photo|original"
_PHOTOGRAPH_NAME = re.compile(rf"(.+?)[ ._-](?:{_PICTURES})|(?:{_PICTURES})(?:[ ._-]|(?=\d))(.+)")
"""A photograph 7_rgb, rgb_7 or rgb7 has a mask 7_mask."""

_GONE = "a link to a file that is not there"
_EDITED = re.compile(r"^(img_)e(?=\d{4}$)")
"""An iPhone calls the edited copy of IMG_0001 IMG_E0001."""


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
    entries = list(folder.iterdir())
    found = _sort_out(entries)
    if not found.photographs and len(found.videos) > 1:
        still = all(path.suffix.lower() == ".gif" for path in found.videos)
        stills = ", or save each as a PNG if it is a still one" if still else ""
        raise CaptureError(f"{folder} is a folder with {len(found.videos)} videos: name one, such as {found.videos[0]}{stills}")
    if not found.photographs and found.videos:
        raise CaptureError(f"{folder} is a folder with a video: name the video, {found.videos[0]}")
    if not found.photographs:
        nearly = _broken(found) or _where_else(folder) or _of_another_kind(entries)
        raise CaptureError(
            _raw_alone(entries) or f"{folder} holds no photographs{nearly or '; name a video or a folder of photographs'}"
        )
    return found


def _broken(found: Listing) -> str:
    """Return what is to be said of links in the place of photographs."""
    links = [name for name, reason in found.left_out.items() if reason == _GONE]
    return f" but {len(links)} links to files that are not there, such as {links[0]}: bring these back" if links else ""


def _where_else(folder: Path) -> str:
    """Return where photographs lie instead: in a folder below, or several; a camera begins a new one now and then. Or nothing."""
    deeper = [entry for entry in in_order(folder.iterdir()) if entry.is_dir() and _holds_photographs(entry)]
    if not deeper:
        return ""
    if len(deeper) == 1:
        return f"; {deeper[0]} does: name that folder"
    names = ", ".join(entry.name for entry in deeper[:4]) + ", ..." * (len(deeper) > 4)
    return f"; {len(deeper)} folders in it do ({names}): name one, or all as a pattern, '{folder / '*' / '*'}'"


def _of_another_kind(entries: Iterable[Path]) -> str:
    """Return what is to be said of files that may well be pictures, of a kind that is not read or without an ending."""
    files = [path for path in in_order(entries) if path.is_file() and not path.name.startswith(".")]
    (kind, count), *_ = Counter(path.suffix.lower() for path in files).most_common(1) or [("", 0)]
    if count < SEVERAL:
        return ""
    what = f"{kind} files" if kind else "files without an ending"
    remedy = "save them as PNG or JPEG" if kind else "give them that of their kind, such as .jpg"
    return f" but {count} {what}, such as {next(path.name for path in files if path.suffix.lower() == kind)}: {remedy}"


def list_pattern(pattern: Path) -> Listing:
    """Return the photographs whose paths fit a pattern, with wildcards (`shots/*.JPG`) or a number (`f_%04d.png`).

    Raises CaptureError where nothing usable fits.
    """
    if re.search(r"%0?\d*d", pattern.name):
        entries = list(_numbered(pattern))
    elif pattern.parent.is_dir() and "**" not in pattern.name:  # Brackets in the name of a folder are part of it.
        entries = [pattern.parent / name for name in glob.glob(pattern.name, root_dir=pattern.parent)]
    else:
        entries = [Path(name) for name in glob.glob(str(pattern), recursive=True)]
    if not entries:
        raise CaptureError(f"{pattern} does not exist, and no file fits it as a pattern")
    found = _sort_out(entries)
    if not found.photographs and len(found.videos) != 1:
        videos = f"; it fits {len(found.videos)} videos: name one of them" if found.videos else ""
        raise CaptureError(_raw_alone(entries) or f"no photograph fits {pattern}{videos}")
    return found


def _numbered(pattern: Path) -> Iterable[Path]:
    """Yield the files whose names are `pattern`'s with a number in place of its %d or %04d."""
    before, width, after = re.fullmatch(r"(.*?)%(0?\d*)d(.*)", pattern.name, re.DOTALL).groups()  # type: ignore[union-attr]
    digits = rf"\d{{{int(width)},}}" if width.strip("0") else r"\d+"
    name = re.compile("".join((re.escape(before.replace("%%", "%")), digits, re.escape(after.replace("%%", "%")))))
    if pattern.parent.is_dir():
        yield from (entry for entry in pattern.parent.iterdir() if name.fullmatch(entry.name))


def _sort_out(entries: Iterable[Path]) -> Listing:
    """Return which of some files are photographs, each picture once; hidden files and those of other kinds are passed over."""
    shown = [path for path in entries if not path.name.startswith(".")]
    files = in_order(path for path in shown if path.is_file())
    twins: dict[tuple[Path, str], list[Path]] = {}
    for path in files:
        if path.suffix.lower() in CAMERA_KINDS:
            twins.setdefault(_kin(path), []).append(path)
    best = {min(same, key=lambda path: CAMERA_KINDS.index(path.suffix.lower())) for same in twins.values()}
    stems, names = {stem for path in best for stem in _called(path)}, {(path.parent, path.name.casefold()) for path in best}
    left_out = {path.name: _GONE for path in in_order(shown) if _is_broken(path)}
    for path in files:
        if path.suffix.lower() in RAW_KINDS:
            left_out[path.name] = (
                "what the sensor measured of photographs that lie there, too"
                if _kin(path) in twins
                else "a RAW file has to be developed to JPEG or TIFF first"
            )
        elif (original := _EDITED.sub(r"\1", path.stem.casefold())) != path.stem.casefold() and (path.parent, original) in twins:
            left_out[path.name] = "an edited copy of a photograph that lies there, too"
        elif path.suffix.lower() in CAMERA_KINDS and path not in best:
            left_out[path.name] = "the same photograph lies there as a file of another kind"
        elif _is_mask(path, stems, names):
            left_out[path.name] = "it is a mask of another photograph; --mattes takes a folder of such"
    chosen = [path for path in files if path in best and path.name not in left_out]
    return Listing(chosen, left_out, [path for path in files if path.suffix.lower() in VIDEO_KINDS])


def _is_broken(path: Path) -> bool:
    return path.suffix.lower() in CAMERA_KINDS and path.is_symlink() and not path.exists()


def _called(path: Path) -> list[tuple[Path, str]]:
    """Return by what names a photograph's masks may call it, but for its whole file name."""
    stem = path.stem.casefold()
    found = _PHOTOGRAPH_NAME.fullmatch(stem)
    return [(path.parent, called) for called in (stem, *(found.groups() if found else ())) if called]


def _is_mask(path: Path, stems: set[tuple[Path, str]], names: set[tuple[Path, str]]) -> bool:
    """Return whether a file is called as a mask of a photograph is, of which `stems` and file `names` are known by folder."""
    stem = path.stem.casefold()
    if path.suffix.lower() not in SUFFIXES:
        return False
    found = (form.fullmatch(stem) for form in _MASK_NAMES)
    return (path.parent, stem) in names or any((path.parent, match[1]) in stems for match in found if match)


def _kin(path: Path) -> tuple[Path, str]:
    """Return what the files of one photograph have in common."""
    return path.parent, path.stem.casefold()


def _holds_photographs(folder: Path) -> bool:
    try:
        return bool(_sort_out(folder.iterdir()).photographs)
    except OSError:
        return False


def _raw_alone(entries: Iterable[Path]) -> str:
    """Return the complaint about RAW files where there are no photographs but these."""
    raw = in_order(path for path in entries if path.suffix.lower() in RAW_KINDS)
    return f"{raw[0]} is a RAW file: develop the photographs to JPEG or TIFF first, all with the same settings" if raw else ""
